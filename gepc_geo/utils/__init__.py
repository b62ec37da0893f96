"""Devices, files, progress and ranks; this package imports nothing about poses."""
