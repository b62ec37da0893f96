"""Skeletons, tracked poses, a tracker, and checks of poses."""
