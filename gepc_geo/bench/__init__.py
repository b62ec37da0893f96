"""Benchmarks of speed and memory against ordinary implementations."""
