"""Tables of scores, metrics against labels, and scoring on several machines."""

from gepc_geo.evaluation.evaluator import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
