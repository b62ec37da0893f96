"""Training of the autoencoder and its clusters: both stages, checkpoints, precision."""
