"""The names of the package: imported at their first use, without optional packages."""

from __future__ import annotations

import subprocess
import sys

import pytest

import gepc_geo
from gepc_geo.detector.gepc import GEPC

# What only readers, plots, films, reports and exports need.
OPTIONAL = (
    "msgspec",
    "h5py",
    "matplotlib",
    "plotly",
    "imageio",
    "onnx",
    "onnxscript",
    "onnxruntime",
)
SCRIPT = f"""
import sys
for name in {OPTIONAL}:
    sys.modules[name] = None  # importing it fails
import gepc_geo
assert "torch" not in sys.modules and "sklearn" not in sys.modules
for name in gepc_geo.__all__:
    value = getattr(gepc_geo, name)
    print(name, "class" if isinstance(value, type) else "text")
"""


def test_public_names_need_no_optional_package():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == gepc_geo.__all__
    assert "GEPC class" in done.stdout and "__version__ text" in done.stdout


def test_public_names_are_listed_and_are_those_of_their_modules():
    assert set(gepc_geo.__all__) <= set(dir(gepc_geo))
    assert set(gepc_geo._MODULES) == set(gepc_geo.__all__) - {"__version__"}
    for name, module in gepc_geo._MODULES.items():
        assert getattr(gepc_geo, name).__module__ == module
    assert gepc_geo.GEPC is GEPC


def test_modules_are_imported_at_their_first_use():
    code = """
import sys, gepc_geo
assert "gepc_geo.io" not in sys.modules and "torch" not in sys.modules
print(gepc_geo.io.read.__module__, gepc_geo.errors.InputError.__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["gepc_geo.io.reading", "InputError"]


def test_unknown_names_raise_attribute_error():
    with pytest.raises(AttributeError, match="module 'gepc_geo' has no attribute 'Gepc'"):
        gepc_geo.Gepc  # noqa: B018
