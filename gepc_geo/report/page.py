"""The page: one file with everything in it, plotting library and all, that never asks a network."""

from __future__ import annotations

import html
import json
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from gepc_geo.errors import InputError
from gepc_geo.utils.files import atomic_path


def plotting_script() -> str:
    """Plotly's JavaScript, as the extra ``report`` brings it.

    Raises:
        InputError: plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise InputError(
            "plotly is not installed, expected it for reports (pip install 'gepc_geo[report]')"
        ) from None
    return get_plotlyjs()


def make_page(content: dict[str, Any]) -> str:
    """The HTML of what :func:`~gepc_geo.report.content.gather` found.

    Names in it come from files of anybody's: they are carried as data, which no text can leave, and
    the page's script only ever shows them as text.

    Raises:
        InputError: plotly is not installed.
    """
    # A "</script>" or "<!--" in a name would end the element that carries it.
    data = json.dumps(content, allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e")
    parts = files("gepc_geo.report") / "static"
    return Template((parts / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(f"Movement report: {content['about'].get('run', '')}"),
        style=(parts / "page.css").read_text(encoding="utf-8"),
        script=(parts / "page.js").read_text(encoding="utf-8"),
        data=data,
        plotly=plotting_script(),
    )


def write_page(content: dict[str, Any], path: str | Path) -> None:
    """Writes the page, whole or not at all.

    Raises:
        InputError: plotly is not installed; a file that cannot be written.
    """
    page = make_page(content)
    with atomic_path(path) as temporary:
        # File names may hold what is no text; as data they are escaped, in the title replaced.
        temporary.write_text(page, encoding="utf-8", errors="replace")
