"""Northwestern-UCLA Multiview Action 3D (Wang et al., CVPR 2014)."""

from __future__ import annotations

from pathlib import Path

from gepc_geo.datasets.folders import data_folder
from gepc_geo.io import read
from gepc_geo.poses.tracks import PoseTracks

#: The actions by class number.
ACTIONS = {
    "1": "pick up with one hand",
    "2": "pick up with two hands",
    "3": "drop trash",
    "4": "walk around",
    "5": "sit down",
    "6": "stand up",
    "8": "donning",
    "9": "doffing",
    "11": "throw",
    "12": "carry",
}


class NWUCLA:
    """1,484 clips of 10 actions by 10 people from 3 views, Kinect v1, 20 joints in 3D.

    Args:
        root: Folder with ``all_sqe/*.json``.

    Raises:
        InputError: The files do not exist; the error names their source.
    """

    def __init__(self, root: str | Path) -> None:
        self.folder = data_folder(
            root,
            "all_sqe",
            ".json",
            "Northwestern-UCLA Multiview Action 3D (the skeletons as JSON, all_sqe, as skeleton "
            "action recognition projects such as CTR-GCN link them)",
        )

    def tracks(self) -> PoseTracks:
        """All clips with classes as numbers (:data:`ACTIONS`).

        Views 1 and 2 are the split ``train``, view 3 is ``test``.
        """
        return read(self.folder, format="nw-ucla")
