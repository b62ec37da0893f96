"""Training of the autoencoder and its clusters."""
