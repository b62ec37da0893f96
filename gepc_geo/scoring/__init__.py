"""From windows to scores of windows, people, frames and clips."""
