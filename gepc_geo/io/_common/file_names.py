"""File names of clips, and names of files that hold no poses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gepc_geo.errors import InputError

# Documents beside data, even with a suffix of data.
_DOCUMENTS = re.compile(r"(read[-_ ]?me|licen[cs]e|copying|notice|changelog)\b.*", re.IGNORECASE)
# Endings that AlphaPose adds to the name of a clip, and readers remove.
_ENDINGS = ("alphapose-results", "_alphapose_tracked_person")
# In bytes: file systems allow 255, and formats add frame numbers and suffixes.
_LONGEST = 200


def is_passed_over(path: Path) -> bool:
    """Whether a file is hidden or a document, by its path in the folder."""
    # A spreadsheet program writes ~$NAME beside an open file.
    hidden = any(part.startswith((".", "~$")) for part in path.parts)
    return hidden or bool(_DOCUMENTS.fullmatch(path.stem))


def file_names(clip_names: Sequence[str]) -> list[str]:
    """File names of clips, which readers accept; folders in them become ``_``.

    Clip names are untrusted input: none may lead out of the output folder.

    Raises:
        InputError: A name that is absolute, empty, hidden, a document's, not printable or over 200
            bytes, or contains ``..``; two clips with one file name.
    """
    owner: dict[str, str] = {}
    for clip in clip_names:
        parts = re.split(r"[/\\]", clip)
        name = "_".join(parts)
        if (
            any(not part or part.startswith(".") for part in parts)
            or not name.isprintable()
            or _DOCUMENTS.fullmatch(name)
            or name.endswith(_ENDINGS)
            or len(name.encode()) > _LONGEST
        ):
            raise InputError(
                "the name of a clip must be printable and relative, without empty, hidden or '..' "
                f"parts, of at most {_LONGEST} bytes, and other than a document's (README) or "
                f"AlphaPose's, got {clip!r:.80}"
            )
        if name in owner:
            raise InputError(
                f"names of clips must differ in more than folders, got {owner[name]!r} and "
                f"{clip!r}, both for files called {name!r}"
            )
        owner[name] = clip
    return list(owner)
