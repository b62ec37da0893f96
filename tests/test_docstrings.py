"""Docstrings of functions with many parameters list all parameters and defaults."""

from __future__ import annotations

import ast
import inspect
import re

import pytest

from gepc_geo.baselines import BASELINES, FlatBaseline, WindowBaseline, flatten
from gepc_geo.density.kmeans import kmeans
from gepc_geo.density.mixture import DirichletProcessMixture
from gepc_geo.nn import STGCAE, DenseSpatialAttentionConv, SpatialAttentionConv
from gepc_geo.scoring.aggregation import frame_scores


def documented(thing: object) -> dict[str, str]:
    """The entries of a docstring's ``Args:``, each on one line."""
    section = re.split(r"\n\n(?=\S)", inspect.getdoc(thing).split("Args:\n")[1])[0]
    return {
        name: " ".join(text.split())
        for name, text in re.findall(r"^    (\S+): (.*(?:\n     .*)*)", section, re.MULTILINE)
    }


@pytest.mark.parametrize(
    "thing",
    [
        DenseSpatialAttentionConv,
        DirichletProcessMixture,
        FlatBaseline,
        STGCAE,
        SpatialAttentionConv,
        WindowBaseline,
        *(kind for kind in BASELINES.values() if "Args:" in inspect.getdoc(kind)),
        flatten,
        frame_scores,
        kmeans,
    ],
)
def test_defaults_are_those_of_the_signature(thing):
    entries, parameters = documented(thing), inspect.signature(thing).parameters
    assert set(entries) == set(parameters)
    for name, parameter in parameters.items():
        said = re.search(r"\(default: (.*?)\)$", entries[name])
        assert (said is not None) == (parameter.default is not parameter.empty), name
        value = said and re.fullmatch(":obj:`(.*)`", said[1])
        if value:
            assert ast.literal_eval(value[1]) == parameter.default, name
