"""Names of clips: as much of the path below the folder that was given as makes them different."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Folders that a tool makes for its files; the one around them is the clip's.
_TOOLS = ("labels", "json", "keypoints", "sep-json", "predictions", "pose_json")


@dataclass(frozen=True)
class Place:
    """Where a clip was found.

    Attributes:
        folders: The folders below the one that was given, outermost first.
        parts: What names the clip within the last of them, outermost first.
    """

    folders: tuple[str, ...]
    parts: tuple[str, ...]

    def names(self, home: str) -> tuple[list[str], int]:
        """All names, outermost first, and the position of the one that a clip is called by."""
        names = [*self.folders, *self.parts]
        if self.parts:
            return names, len(names) - 1
        own = [i for i, folder in enumerate(self.folders) if folder not in _TOOLS]
        return (names, own[-1]) if own else ([home, *names], 0)


def name_clips(places: Sequence[Place], given: Path) -> list[str]:
    """The name of each clip: its own, behind those around it that tell it from others of the same.

    Two clips that nothing tells apart get the same name.

    Args:
        places: Where they were found.
        given: The file or folder that was given.
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
    """The name of the folder that was given, or of the one around it where that is a tool's."""
    # Resolved, so that the working directory has a name too.
    folder = given.resolve()
    folder = folder if folder.is_dir() else folder.parent
    names = [one.name for one in (folder, *folder.parents) if one.name and one.name not in _TOOLS]
    return names[0] if names else "clip"


def _apart(found: Sequence[tuple[list[str], int]]) -> list[str]:
    """Names of clips that are all called the same, told apart by the nearest names around them."""
    # By distance from the own name: folders around it first, then those within.
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
