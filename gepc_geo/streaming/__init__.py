"""Scores and alerts of streams of poses, and adaptation to new normal behaviour."""
