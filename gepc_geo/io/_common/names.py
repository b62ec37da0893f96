"""Names of clips as names of files, and names that no file of poses has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gepc_geo.errors import InputError

# What lies beside data and is none, though its ending may be that of data.
_DOCUMENTS = re.compile(r"(read[-_ ]?me|licen[cs]e|copying|notice|changelog)\b.*", re.IGNORECASE)
# What AlphaPose puts behind the name of a clip; readers take it away.
_ENDINGS = ("alphapose-results", "_alphapose_tracked_person")
# In bytes: file systems take 255, and formats put frame numbers and endings behind names.
_LONGEST = 200


def is_passed_over(path: Path) -> bool:
    """Whether a file, by its path in the folder that is read, is hidden or a document."""
    # Spreadsheets that are open have a file ~$NAME beside them.
    hidden = any(part.startswith((".", "~$")) for part in path.parts)
    return hidden or bool(_DOCUMENTS.fullmatch(path.stem))


def file_names(clip_names: Sequence[str]) -> list[str]:
    """The names of clips as names of files that are read back; folders in them become ``_``.

    Names come from files that other people made: none may lead out of the folder that is written to.

    Raises:
        InputError: A name that is absolute, empty, hidden, a document's, has ``..`` in it, cannot be
            printed or is over 200 bytes long; two clips that get one name.
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
                f"clip {clip!r:.80} cannot give its name to a file that is read back, expected "
                "printable names that are not empty, absolute or hidden, without '..', of at most "
                f"{_LONGEST} bytes, and none of a document (README) or of AlphaPose's files"
            )
        if name in owner:
            raise InputError(
                f"clips {owner[name]!r} and {clip!r} would both be in files called {name!r}, "
                "expected names that differ in more than folders"
            )
        owner[name] = clip
    return list(owner)
