"""Report page: one HTML file with all scripts and data, readable without a network."""

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
    """JavaScript of plotly, from the extra ``report``.

    Raises:
        InputError: plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise InputError(
            "plotly must be installed for reports: pip install 'gepc_geo[report]'"
        ) from None
    script: str = get_plotlyjs()
    return script


def make_page(content: dict[str, Any]) -> str:
    """Makes the HTML of a report.

    Names come from untrusted files. They are data of the page, escaped, and the script of the page
    shows them as text only.

    Args:
        content: Result of :func:`~gepc_geo.report.content.gather`.

    Raises:
        InputError: plotly is not installed.
    """
    # Without escapes, "</script>" or "<!--" in a name would end the data element.
    data = json.dumps(content, allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e")
    static = files("gepc_geo.report") / "static"
    return Template((static / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(f"Movement report: {content['about'].get('run', '')}"),
        style=(static / "page.css").read_text(encoding="utf-8"),
        script=(static / "page.js").read_text(encoding="utf-8"),
        data=data,
        plotly=plotting_script(),
    )


def write_page(content: dict[str, Any], path: str | Path) -> None:
    """Writes a report page atomically.

    Args:
        content: Result of :func:`~gepc_geo.report.content.gather`.
        path: File to write.

    Raises:
        InputError: plotly is not installed, or the file is not writable.
    """
    page = make_page(content)
    with atomic_path(path) as temporary:
        # File names may not be valid text: the data escapes them, the title replaces them.
        temporary.write_text(page, encoding="utf-8", errors="replace")
