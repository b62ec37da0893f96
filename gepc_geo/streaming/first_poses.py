"""The first poses of a stream, which are checked like those of files."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gepc_geo.poses.diagnostics import find_faults
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.streaming.frames import Frame, checked
from gepc_geo.windows.pipeline import InputPipeline

#: Person-frames that are checked: signs of wrong poses are shares of poses, which few do not give.
FIRST = 200


class FirstPoses:
    """Collects the first 200 person-frames of a stream, and looks for signs of wrong poses.

    Args:
        pipeline: The pipeline of the detector.
    """

    def __init__(self, pipeline: InputPipeline) -> None:
        self._pipeline = pipeline
        self._places: dict[tuple[int, int, int], np.ndarray] = {}
        self._cameras: dict[str, np.ndarray] = {}
        self._done = False

    def add(self, frames: Iterable[Frame]) -> list[str]:
        """Takes frames that :func:`~gepc_geo.streaming.frames.checked` accepts.

        Returns:
            The sentences of :func:`~gepc_geo.poses.diagnostics.find_faults`, once, when the first
            person-frames are complete; else none.
        """
        for frame in [] if self._done else frames:
            found = checked(frame, self._pipeline)
            self._cameras[found.camera] = found.image_size
            camera = list(self._cameras).index(found.camera)
            for person, row in zip(found.ids, found.rows, strict=True):
                self._places.setdefault((camera, person, found.frame), row)
        return self.finish() if len(self._places) >= FIRST else []

    def finish(self) -> list[str]:
        """The sentences about the poses so far, if they were not given before."""
        if self._done or not self._places:
            return []
        self._done = True
        camera, person, frame = np.array(list(self._places)).T
        rows = np.stack(list(self._places.values()))
        tracks = PoseTracks.build(
            rows[..., : self._pipeline.dims],
            rows[..., -1],
            frame,
            person,
            camera,
            self._pipeline.skeleton,
            list(self._cameras),
            image_size=np.stack(list(self._cameras.values())),
        )
        self._places.clear()
        return find_faults(tracks)
