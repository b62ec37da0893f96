"""The paper's method with one option changed at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from gepc_geo.experiments.coarse import Coarse
from gepc_geo.experiments.results import Condition, Result
from gepc_geo.experiments.tables import Table, comparison, mean_table
from gepc_geo.nn.attention import ATTENTIONS
from gepc_geo.nn.spatial import BRANCHES
from gepc_geo.options import Options

#: The scoring mode of section 3.4 of the paper, which depends on mixtures and cluster layers.
PAPERS_MODE = "assignment"
#: The variant without any change.
DEFAULT = "default"
#: Options to vary one at a time, and their values. Scoring modes share a training.
VARIED: dict[str, tuple[Any, ...]] = {
    "coefficients": (0, 6, 12),
    "branches": tuple(
        list(names) for count in range(1, len(BRANCHES)) for names in combinations(BRANCHES, count)
    ),
    "attention": tuple(ATTENTIONS),
    "clusters": (5, 10, 20, 50),
    "assignment": ("softmax", "student"),
    "target": ("dec", "paper"),
    "density": ("gaussian-ilr", "gaussian-p", "dirichlet"),
    "augment": ("none", "flip", "vary", "paper"),
}


def variants(options: Options) -> dict[str, Options]:
    """Options by name of the variant; the values of ``options`` itself make no variant.

    The variant ``pooling=none`` has an encoder that keeps all frames: every temporal stride is 1.

    Args:
        options: The options of the default variant.
    """
    changed = {DEFAULT: options}
    for option, values in VARIED.items():
        for value in values:
            if value != getattr(options, option):
                text = "+".join(value) if isinstance(value, list) else value
                changed[f"{option}={text}"] = replace(options, **{option: value})
    changed["pooling=none"] = replace(options, strides=[1] * len(options.strides))
    return changed


class Ablation(Coarse):
    """:class:`Coarse` for the :func:`variants` of the options, each with all scoring modes."""

    name = "ablation"
    about = "whole clips, variants of the paper's method"

    def conditions(self) -> list[Condition]:
        """Every split and direction with every variant."""
        return [
            Condition(base.split, base.direction, variant)
            for variant in variants(self.options)
            for base in super(Ablation, self).conditions()
        ]

    def options_of(self, condition: Condition) -> Options:
        """The options of the condition's variant."""
        return variants(self.options)[condition.variant]

    def row(self, result: Result) -> str:
        """The variant, and the scoring mode if it is not the default mode."""
        variant = result.condition.variant
        return f"{variant}:{result.mode}" if result.mode else variant

    def column(self, result: Result) -> str:
        """The direction, as variants are rows."""
        return result.condition.direction

    def tables(self, results: Sequence[Result]) -> list[Table]:
        """Means of the default mode, means of each scoring mode, and every split."""
        plain = [result for result in results if not result.mode]
        modes = [result for result in results if result.mode]
        return [
            mean_table("Means", "variant", plain, self.row, self.column),
            mean_table("Scoring modes", "variant", modes, _variant, lambda result: result.mode),
            *self.split_tables(results),
        ]

    def remarks(self, results: Sequence[Result]) -> list[str]:
        """Paired comparisons over splits and directions.

        The first compares mode ``max`` with the paper's scoring mode in the default variant. The
        others compare each variant with the default variant in the paper's scoring mode, and in
        mode ``reconstruction``, which does not depend on clusters.
        """
        by_mode = {
            mode: [result for result in results if result.mode == mode]
            for mode in (PAPERS_MODE, "reconstruction")
        }
        plain = [result for result in results if _variant(result) == DEFAULT]
        modes = comparison(plain, lambda result: result.mode, "max", PAPERS_MODE)
        return [f"max minus {PAPERS_MODE}, {DEFAULT}: {modes}"] + [
            f"{name} minus {DEFAULT}, {mode}: {comparison(of_mode, _variant, name, DEFAULT)}"
            for name in dict.fromkeys(map(_variant, results))
            for mode, of_mode in by_mode.items()
            if name != DEFAULT
        ]


def _variant(result: Result) -> str:
    return result.condition.variant
