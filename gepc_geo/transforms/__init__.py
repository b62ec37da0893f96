"""PyG transforms of windows: normalisation, augmentation, low frequencies, spatio-temporal graphs."""
