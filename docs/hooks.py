"""What MkDocs does to pages beside ``mkdocs.yml``: links, formulas and docstring roles."""

from __future__ import annotations

import re
from re import Match
from xml.etree.ElementTree import Element, SubElement

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from markdown.preprocessors import Preprocessor
from mkdocs.config.defaults import MkDocsConfig

Found = tuple[Element | str, int, int]


class Formula(InlineProcessor):
    """LaTeX becomes MathML, which browsers draw without a script."""

    def __init__(self, pattern: str, md: Markdown, display: str) -> None:
        super().__init__(pattern, md)
        self.display = display

    def handleMatch(self, m: Match[str], data: str) -> Found:
        formula = convert(" ".join(m[1].split()), display=self.display)
        return self.md.htmlStash.store(formula), m.start(0), m.end(0)


class Directive(Preprocessor):
    """A ``.. math::`` directive and its formula become one paragraph."""

    def run(self, lines: list[str]) -> list[str]:
        text = "\n".join(lines)
        return re.sub(r"^( *\.\. math::)\s+", r"\1 ", text, flags=re.MULTILINE).split("\n")


class Role(InlineProcessor):
    """A Sphinx role becomes code; if the site documents the name, the code is a link."""

    def handleMatch(self, m: Match[str], data: str) -> Found:
        short, name = m[1], m[2]
        references = self.md.inlinePatterns["mkdocs-autorefs"].hook
        target = references.expand_identifier(name) if references else name
        # An optional reference to an unknown name is no warning: it stays code.
        link = Element("autoref", identifier=target, optional="")
        SubElement(link, "code").text = name.rpartition(".")[2] if short else name
        return link, m.start(0), m.end(0)


class Value(InlineProcessor):
    """``:obj:`None``` is a value and no reference."""

    def handleMatch(self, m: Match[str], data: str) -> Found:
        code = Element("code")
        code.text = m[1]
        return code, m.start(0), m.end(0)


class Link(InlineProcessor):
    """A reST link with its address."""

    def handleMatch(self, m: Match[str], data: str) -> Found:
        link = Element("a", href=m[2])
        link.text = " ".join(m[1].split())
        return link, m.start(0), m.end(0)


class Docstrings(Extension):
    """Formulas of pages and docstrings, and the Sphinx roles of docstrings."""

    def extendMarkdown(self, md: Markdown) -> None:
        md.preprocessors.register(Directive(md), "math-directive", 5)
        # Backticks have priority 190 and backslashes 180: roles come before them, dollars between.
        add = md.inlinePatterns.register
        add(Formula(r"^\s*\.\. math::\s*(.+)\Z", md, "block"), "math-directive", 199)
        add(Formula(r":math:`([^`]+)`", md, "inline"), "math-role", 198)
        add(Value(r":obj:`([^`]+)`", md), "value", 197)
        add(Role(r":(?:class|func|meth|attr|mod|data):`(~?)([^`]+)`", md), "role", 196)
        add(Link(r"`([^`<]+?)\s*<(https?://[^>]+)>`_", md), "rest-link", 195)
        add(Formula(r"\$\$(.+?)\$\$", md, "block"), "math-display", 189)
        add(Formula(r"(?<![\w$])\$(\S|\S[^$\n]*?\S)\$(?![\w$])", md, "inline"), "math-inline", 188)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the extension to pages and docstrings."""
    config.markdown_extensions.append(Docstrings())
    return config


def on_page_markdown(markdown: str, **_: object) -> str:
    """Links out of docs/ work in the repository and would be dead on the site: their text stays."""
    return re.sub(r"\[([^]]+)\]\(\.\./[^)]*\)", r"\1", markdown)


def on_page_content(html: str, **_: object) -> str:
    r"""Attributes such as ``weights\_`` of docstrings lose the backslash that reST needs."""
    return html.replace("\\_", "_")
