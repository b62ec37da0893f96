"""Scores of a detector as tables, against labels, and over several machines."""

from gepc_geo.evaluation.evaluator import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
