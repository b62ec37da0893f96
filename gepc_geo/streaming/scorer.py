"""Scores of people in streams of frames, as they come: the batch scorer's, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gepc_geo.detector.gepc import GEPC, check_detector
from gepc_geo.errors import InputError
from gepc_geo.streaming.frames import CheckedFrame, Frame, checked
from gepc_geo.streaming.people import Camera, Person, Piece, windows_of

#: What :attr:`OnlineScorer.dropped` counts.
REASONS = ("late", "duplicate", "unnamed", "restart", "unscored")


@dataclass
class OnlineScores:
    r"""Scores of the :math:`W` windows that became complete; higher is more abnormal.

    Attributes:
        camera: :math:`W` names.
        session: :math:`[W]` int64, how often the camera had begun anew before the window.
        person: :math:`[W]` int64, person ids.
        first: :math:`[W]` int64, number of the window's first frame.
        length: :math:`[W]` int64, the window's frames.
        scores: For each mode :math:`[W]` float64.
        settled: For each camera and session of this push the last frame that no window to come, of
            whatever length, contains; ``None``: the session has ended.
    """

    camera: list[str] = field(default_factory=list)
    session: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    person: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    first: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    length: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    scores: dict[str, np.ndarray] = field(default_factory=dict)
    settled: dict[tuple[str, int], int | None] = field(default_factory=dict)

    def __len__(self) -> int:
        """The number of windows, :math:`W`."""
        return len(self.camera)


class OnlineScorer:
    r"""Scores windows of people as their frames come, from any number of cameras.

    The windows, and their scores but for rounding, are those of :meth:`GEPC.window_scores` on the same
    tracks, at the detector's ``score_stride``, ``max_gap`` and options; padded ones are left out. Each
    comes as soon as it is complete: a frame has windows of the shortest length first, and of the longer
    ones later.
    Nobody knows the future: a joint that is missing is interpolated to where it is seen next only if
    that is known by the time of scoring, else it stays where it was seen last. ``wait`` says how many
    frames a window waits for that, and for frames that come late.

    - Missing frames of a person are interpolated as in :func:`gepc_geo.windows.filling.fill`; whoever is
      missing for longer is forgotten, and begins anew on return, as does a switched id.
    - Frames may come in any order within ``wait`` frames; what comes later than that is dropped.
    - As in files, an id of -1 is none, and of a person who is twice in a frame the better pose counts (of two
      frames of one number, the first). Whoever has no id is left out.
    - A frame number 250 or more behind the camera's latest, or the tenth late one in a row that rises:
      the camera began anew, or its latest number was wrong.

    Held are, for each person present, the last frames, as many as the longest window has, ``max_gap`` and
    ``wait`` more (or the stride, where that is longer) and for each joint the last row that had it. A
    camera that is over is held until it is closed.

    Args:
        detector: A fitted one that scores frames, not whole clips.
        wait: Frames between a window's end and its scoring; default: the detector's ``max_gap``, so
            that holes of that length are filled as in batch scoring. 0: at once.
        modes: Scoring modes; what only others need is not computed. (default: all of the detector's)

    Attributes:
        dropped: How many person-frames came too ``late``, were ``duplicate`` or ``unnamed`` (without
            an id), how often a camera had a ``restart``, how many windows were ``unscored`` as their score was no finite number.
        last_dropped: Of those reasons that occurred, camera and frame (of a window the last one) of the
            last time.

    Raises:
        InputError: A detector that is not fitted or scores whole clips, ``wait`` below 0, a mode that the
            detector lacks.

    Example:
        >>> scorer = OnlineScorer(GEPC.load("model.pt"))  # doctest: +SKIP
        >>> scorer.push(Frame("gate", 0, [7], keypoints)).scores["combined"]  # doctest: +SKIP
    """

    def __init__(
        self, detector: GEPC, wait: int | None = None, modes: Sequence[str] | None = None
    ) -> None:
        check_detector(detector)
        if detector.options_.frames is not None:
            raise InputError(
                f"this detector scores whole clips (frames {detector.options_.frames}), "
                "expected one that scores windows"
            )
        self.detector = detector
        self.wait = detector.options_.max_gap if wait is None else wait
        if self.wait < 0:
            raise InputError(f"wait is {wait}, expected 0 or more frames")
        self.modes = tuple(map(detector.scoring_mode, detector.modes_ if modes is None else modes))
        self.dropped = dict.fromkeys(REASONS, 0)
        self.last_dropped: dict[str, tuple[str, int]] = {}
        self._cameras: dict[str, Camera] = {}

    def check(self, frame: Frame) -> CheckedFrame:
        """Makes sure that a frame can be pushed.

        Raises:
            InputError: What is wrong with it: shapes, ids, numbers that are not finite.
        """
        return checked(frame, self.detector.pipeline_)

    def push(self, *frames: Frame) -> OnlineScores:
        """Takes frames of any cameras; scores, in one pass, of all windows they made complete.

        The scores are the same however frames are grouped.

        Raises:
            InputError: As :meth:`check`, of any frame; then none is taken.
        """
        due: list[Piece] = []
        settled: dict[tuple[str, int], int | None] = {}
        # The last window of a piece is known when nobody can join it any more.
        behind = self.detector.lengths_[-1] + self.detector.options_.max_gap
        for one in [self.check(frame) for frame in frames]:
            name = one.camera
            self._drop("unnamed", one.unnamed, name, one.frame)
            self._drop("duplicate", one.repeated, name, one.frame)
            camera = self._cameras.setdefault(name, Camera(name))
            if camera.begins_anew(one.frame, self.wait):
                self._drop("restart", 1, name, one.frame)
                due += self._take_due(camera, None)
                settled[name, camera.session] = None
                camera = self._cameras[name] = Camera(name, camera.session + 1)
            elif one.frame <= camera.latest - self.wait:
                self._drop("late", len(one.ids), name, one.frame)
                continue
            for person, rows in zip(one.ids, one.rows, strict=True):
                track = camera.people.setdefault(person, Person())
                if not track.insert(one.frame, rows):
                    self._drop("duplicate", 1, name, one.frame)
            camera.latest = max(camera.latest, one.frame)
            camera.image_size = one.image_size
            horizon = camera.latest - self.wait
            due += self._take_due(camera, horizon)
            settled[name, camera.session] = horizon - behind
        return self._score(due, settled)

    def close(self, camera: str | None = None) -> OnlineScores:
        """Ends a camera's stream (or all): scores of the windows that were waiting; all is forgotten.

        Args:
            camera: A camera's name; default: all of them.
        """
        due: list[Piece] = []
        settled: dict[tuple[str, int], int | None] = {}
        for name in [camera] if camera is not None else list(self._cameras):
            ended = self._cameras.pop(name, None)
            if ended is not None:
                due += self._take_due(ended, None)
                settled[name, ended.session] = None
        return self._score(due, settled)

    @property
    def held(self) -> int:
        """Person-frames in memory."""
        people = (one for camera in self._cameras.values() for one in camera.people.values())
        return sum(len(person.frames) for person in people)

    # -- inner ---------------------------------------------------------------------------------

    def _drop(self, reason: str, count: int, camera: str, frame: int) -> None:
        if count:
            self.dropped[reason] += count
            self.last_dropped[reason] = camera, frame

    def _take_due(self, camera: Camera, horizon: int | None) -> list[Piece]:
        options = self.detector.options_
        return camera.take(horizon, self.detector.lengths_, options.score_stride, options.max_gap)

    def _score(
        self, pieces: Sequence[Piece], settled: dict[tuple[str, int], int | None]
    ) -> OnlineScores:
        if not pieces:
            nothing = {mode: np.zeros(0) for mode in self.modes}
            return OnlineScores(scores=nothing, settled=settled)
        windows = windows_of(pieces, self.detector.pipeline_)
        scores = self.detector.scorer_.few(windows, self.modes).scores
        good = np.isfinite(np.stack(list(scores.values()))).all(0)
        bad = windows.subset(~good)
        for piece, last in zip(bad.piece, bad.frame + bad.size - 1, strict=True):
            self._drop("unscored", 1, pieces[piece].camera, int(last))
        windows = windows.subset(good)
        return OnlineScores(
            camera=[pieces[at].camera for at in windows.piece],
            session=np.array([one.session for one in pieces])[windows.piece],
            person=windows.track,
            first=windows.frame,
            length=windows.size,
            scores={mode: score[good] for mode, score in scores.items()},
            settled=settled,
        )
