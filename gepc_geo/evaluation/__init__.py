"""Scores of a detector as tables, against labels, and over several machines."""
