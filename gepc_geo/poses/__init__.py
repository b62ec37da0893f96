"""Skeletons, tracks of poses, a tracker, and checks of what looks wrong."""
