"""Devices, files, progress, ranks: nothing of poses."""
