"""Penn Action (Zhang, Zhu, Derpanis: From Actemes to Action, ICCV 2013)."""

from __future__ import annotations

from pathlib import Path

from gepc_geo.datasets.folders import data_folder
from gepc_geo.io import read
from gepc_geo.poses.tracks import PoseTracks


class PennAction:
    """2,326 clips of 15 actions, one person each, 13 joints in 2D.

    Args:
        root: Folder with ``labels/*.mat``.

    Raises:
        InputError: The files do not exist; the error names their source.
    """

    def __init__(self, root: str | Path) -> None:
        self.folder = data_folder(
            root,
            "labels",
            ".mat",
            "Penn Action (the archive Penn_Action.tar.gz from Weiyu Zhang's page at the University "
            "of Pennsylvania)",
        )

    def tracks(self) -> PoseTracks:
        """All clips with classes (``"squat"``) and the official splits ``train`` and ``test``."""
        return read(self.folder, format="penn-action")
