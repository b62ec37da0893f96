"""Clip names: the shortest unique part of the path below the given folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Folders of tools; the folder around one of them names the clip.
_TOOLS = ("labels", "json", "keypoints", "sep-json", "predictions", "pose_json")


@dataclass(frozen=True)
class Place:
    """The place of a clip.

    Attributes:
        folders: The folders below the given one, outermost first.
        parts: Names of the clip within the last folder, outermost first.
    """

    folders: tuple[str, ...]
    parts: tuple[str, ...]

    def names(self, home: str) -> tuple[list[str], int]:
        """All names, outermost first, and the position of the clip's own name."""
        names = [*self.folders, *self.parts]
        if self.parts:
            return names, len(names) - 1
        own = [i for i, folder in enumerate(self.folders) if folder not in _TOOLS]
        return (names, own[-1]) if own else ([home, *names], 0)


def name_clips(places: Sequence[Place], given: Path) -> list[str]:
    """The name of each clip: its own, after the names around it that distinguish equal ones.

    Two clips without any difference get the same name.

    Args:
        places: Places of the clips.
        given: The given file or folder.
    """
    home = _home(given)
    found = [place.names(home) for place in places]
    groups: dict[str, list[int]] = defaultdict(list)
    for i, (names, own) in enumerate(found):
        groups[names[own]].append(i)
    result = [""] * len(places)
    for members in groups.values():
        for i, name in zip(members, _apart([found[i] for i in members]), strict=True):
            result[i] = name
    return result


# -- inner -----------------------------------------------------------------------------------------


def _home(given: Path) -> str:
    """The name of the given folder, or of the folder around a tool's folder."""
    # A resolved path gives the working directory a name.
    folder = given.resolve()
    folder = folder if folder.is_dir() else folder.parent
    names = [one.name for one in (folder, *folder.parents) if one.name and one.name not in _TOOLS]
    return names[0] if names else "clip"


def _apart(found: Sequence[tuple[list[str], int]]) -> list[str]:
    """Distinguishes equal clip names by the nearest names around them."""
    # By distance from the own name: outer folders first, then inner names.
    reach = max(max(own, len(names) - 1 - own) for names, own in found)
    steps = [*range(-1, -reach - 1, -1), *range(1, reach + 1)]

    def at(i: int, step: int) -> str:
        names, own = found[i]
        return names[own + step] if 0 <= own + step < len(names) else ""

    chosen = [0]
    count = 1
    for step in steps:
        if count == len(found):
            break
        keys = {tuple(at(i, one) for one in [*chosen, step]) for i in range(len(found))}
        if len(keys) > count:
            chosen.append(step)
            count = len(keys)
    return [
        "/".join(filter(None, (at(i, step) for step in sorted(chosen)))) for i in range(len(found))
    ]
