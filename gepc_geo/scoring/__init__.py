"""Scores of windows, people, frames and clips."""
