"""The estimator: its fit, its scores and its file."""
