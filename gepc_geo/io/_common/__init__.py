"""Functions that several readers or writers share."""
