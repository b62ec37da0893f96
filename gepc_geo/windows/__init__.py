"""Windows of tracks: their table, batches, and what detectors see of them."""
