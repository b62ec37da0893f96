"""What MkDocs is told beside ``mkdocs.yml``."""

import re


def on_page_markdown(markdown: str, **_: object) -> str:
    """Links out of docs/ work in the repository and would be dead on the site: their text stays."""
    return re.sub(r"\[([^]]+)\]\(\.\./[^)]*\)", r"\1", markdown)


def on_page_content(html: str, **_: object) -> str:
    """The docstrings' Sphinx roles: the name or the formula alone, as code."""
    html = re.sub(r":(?:math|class|func|meth|attr|mod|data|obj):<code>~?", "<code>", html)
    return html.replace("<p>.. math::", "<p>")
