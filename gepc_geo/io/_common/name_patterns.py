"""Common forms of names, and the fields of digits in which the names differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# Sizes of pictures and random letters and digits contain no frame number.
_TOKEN = re.compile(
    r"(?P<size>(?<!\d)\d{2,5}[xX]\d{2,5}(?!\d))"
    r"|(?P<random>(?<![0-9A-Za-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(?=[0-9a-f]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,})(?![0-9A-Za-z]))"
    r"|(?P<digits>\d+)"
)
# A number with more digits is no frame number.
_MOST_DIGITS = 18


@dataclass(frozen=True)
class Form:
    """Names that differ only in some fields: ``texts[0] + fields[0] + texts[1] + ...``.

    Attributes:
        texts: The text before, between and after the fields.
        members: Positions of the names.
        fields: For each field its text in every name: digits, or random letters and digits.
        counters: The fields that may be numbers.
    """

    texts: tuple[str, ...]
    members: list[int]
    fields: list[list[str]]
    counters: list[int]

    def varies(self, field: int) -> bool:
        """Whether names differ in a field."""
        return len(set(self.fields[field])) > 1

    def is_shared(self, field: int) -> bool:
        """Whether two or more names, on average, have the same value of a field."""
        return 2 * len(set(self.fields[field])) <= len(self.members)

    def numbers(self, field: int) -> list[int]:
        """The values of a field as numbers."""
        return [int(text) for text in self.fields[field]]

    def groups(self, clip: Sequence[int]) -> list[list[int]]:
        """The names with each combination of values of the given fields."""
        rows: dict[tuple[str, ...], list[int]] = {}
        for row in range(len(self.members)):
            rows.setdefault(tuple(self.fields[field][row] for field in clip), []).append(row)
        return list(rows.values())

    def tells_apart(self, clip: Sequence[int], frame: int) -> bool:
        """Whether the names of a clip have different frame numbers."""
        numbers = self.numbers(frame)
        return all(len({numbers[row] for row in rows}) == len(rows) for rows in self.groups(clip))


def forms_of(stems: Sequence[str], members: Sequence[int]) -> list[Form]:
    """The forms of the names ``stems[i]`` for ``i`` in ``members``."""
    forms: dict[tuple[str, ...], tuple[list[int], list[list[str]]]] = {}
    for i in members:
        texts, values, at = [""], [], 0
        for match in _TOKEN.finditer(stems[i]):
            if match["size"]:
                continue
            texts[-1] += stems[i][at : match.start()]
            # A mark excludes random text from forms of numbers.
            texts[-1] += "\0" if match["random"] else ""
            texts.append("")
            values.append(match[0])
            at = match.end()
        texts[-1] += stems[i][at:]
        rows, found = forms.setdefault(tuple(texts), ([], []))
        rows.append(i)
        found.append(values)
    _put_fractions(forms)
    made = []
    for key, (rows, found) in forms.items():
        fields = [list(field) for field in zip(*found, strict=True)]
        counters = [
            i
            for i, field in enumerate(fields)
            if not key[i].endswith("\0") and max(map(len, field)) <= _MOST_DIGITS
        ]
        made.append(Form(key, rows, fields, counters))
    return made


# -- inner -----------------------------------------------------------------------------------------


def _put_fractions(forms: dict[tuple[str, ...], tuple[list[int], list[list[str]]]]) -> None:
    """Adds a zero fraction to names of whole seconds: ``12-00-01`` beside ``12-00-01.05``."""
    for key in [*forms]:
        longer = (*key[:-1], ".", key[-1])
        if len(key) > 3 and longer in forms:
            rows, values = forms.pop(key)
            others, found = forms[longer]
            others += rows
            found += [[*one, "0" * len(found[0][-1])] for one in values]
