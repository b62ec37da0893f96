"""The estimator: its fit, what it says once fitted, and its file."""
