"""The paper's chain with one thing changed at a time."""

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

#: The scoring mode of section 3.4 of the paper: mixtures and cluster layers show in it.
PAPERS_MODE = "assignment"
#: The variant without any change.
DEFAULT = "default"
#: Options that are varied one by one, and their values. Scoring modes need no training of their own.
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
    """Options by the variant's name; values that they have already are no variant.

    ``pooling=none`` is an encoder that keeps all frames: every temporal stride is 1.
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
    """:class:`Coarse` for the :func:`variants` of the chain, each with all of its scoring modes."""

    name = "ablation"
    about = "whole clips, variants of the paper's chain"

    def conditions(self) -> list[Condition]:
        """Every split and direction with every variant."""
        return [
            Condition(one.split, one.direction, variant)
            for variant in variants(self.options)
            for one in super(Ablation, self).conditions()
        ]

    def options_of(self, condition: Condition) -> Options:
        """The options of the condition's variant."""
        return variants(self.options)[condition.variant]

    def row(self, result: Result) -> str:
        """The variant, and the scoring mode where it is not the default one."""
        one = result.condition.variant
        return f"{one}:{result.mode}" if result.mode else one

    def column(self, result: Result) -> str:
        """The direction: variants are rows."""
        return result.condition.direction

    def tables(self, results: Sequence[Result]) -> list[Table]:
        """Means of the default score, of each scoring mode, and every split."""
        plain = [result for result in results if not result.mode]
        modes = [result for result in results if result.mode]
        return [
            mean_table("Means", "variant", plain, self.row, self.column),
            mean_table("Scoring modes", "variant", modes, _variant, lambda one: one.mode),
            *self.split_tables(results),
        ]

    def remarks(self, results: Sequence[Result]) -> list[str]:
        """Each variant against the default one, paired over splits and directions.

        In the paper's scoring mode and in that of the reconstruction, which does not see the clusters.
        First of all the largest soft assignment against the mixture over them, of the default variant.
        """
        by_mode = {
            mode: [result for result in results if result.mode == mode]
            for mode in (PAPERS_MODE, "reconstruction")
        }
        plain = [result for result in results if _variant(result) == DEFAULT]
        found = comparison(plain, lambda one: one.mode, "max", PAPERS_MODE)
        return [f"max minus {PAPERS_MODE}, {DEFAULT}: {found}"] + [
            f"{name} minus {DEFAULT}, {mode}: {comparison(some, _variant, name, DEFAULT)}"
            for name in dict.fromkeys(map(_variant, results))
            for mode, some in by_mode.items()
            if name != DEFAULT
        ]


def _variant(result: Result) -> str:
    return result.condition.variant
