"""ShanghaiTech Campus (Luo et al., ICCV 2017) as tracked person boxes."""

from __future__ import annotations

from pathlib import Path

from gepc_geo.datasets.folders import data_folder
from gepc_geo.errors import InputError
from gepc_geo.io import read
from gepc_geo.io.labels import read_frame_labels
from gepc_geo.poses.tracks import PoseTracks

_SOURCE = (
    "ShanghaiTech Campus person box tracks (published with trajectory-based anomaly detection, "
    "arXiv 2207.02279) and the official frame masks (ShanghaiTech Campus data set)"
)


class ShanghaiTech:
    """330 training clips, all normal, and 107 test clips with frame labels; boxes, no key points.

    Args:
        root: Folder with ``train_txt/*.txt``, ``test_txt/*.txt``, ``test_frame_mask/*.npy``.

    Raises:
        InputError: The files do not exist; the error names their source.
    """

    def __init__(self, root: str | Path) -> None:
        self.folders = {
            split: data_folder(root, f"{split}_txt", ".txt", _SOURCE) for split in ("train", "test")
        }
        self.masks = data_folder(root, "test_frame_mask", ".npy", _SOURCE)

    def tracks(self, split: str | None = None) -> PoseTracks:
        """The clips of a split.

        Args:
            split: ``"train"`` or ``"test"``; ``None``: both.

        Raises:
            InputError: Another split.
        """
        if split is None:
            train, test = self.tracks("train"), self.tracks("test")
            return PoseTracks.concat([train, test])
        if split not in self.folders:
            raise InputError(f"split must be train or test, got {split!r}")
        tracks = read(self.folders[split], format="shanghaitech-boxes")
        tracks = tracks.with_(clip_split=[split] * tracks.num_clips)
        return (
            read_frame_labels(self.masks, tracks, check_ends=False) if split == "test" else tracks
        )
