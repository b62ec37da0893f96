"""Scores and alerts of poses as they come, and adaptation to new normal behaviour."""
