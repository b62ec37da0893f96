"""Scores of people in streams of frames, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gepc_geo.detector.gepc import GEPC, check_detector
from gepc_geo.errors import InputError
from gepc_geo.scoring.joint_shares import joint_shares, main_joints
from gepc_geo.streaming.frames import CheckedFrame, Frame, checked
from gepc_geo.streaming.people import Camera, Person, Piece, windows_of
from gepc_geo.windows.dataset import PoseWindows

# Measures that need other people, or more of the past than a stream keeps.
_UNKNOWN = ("distance", "dwell")
#: Reasons that :attr:`OnlineScorer.dropped` counts.
REASONS = ("late", "duplicate", "unnamed", "restart", "unscored")


@dataclass
class OnlineScores:
    r"""Scores of :math:`W` complete windows; higher is more abnormal.

    Attributes:
        camera: Camera of each window, :math:`W` names.
        session: Restarts of the camera before the window, :math:`[W]` int64.
        person: Person ids, :math:`[W]` int64.
        first: First frame of each window, :math:`[W]` int64.
        length: Frames of each window, :math:`[W]` int64.
        scores: Scores by mode, :math:`[W]` float64.
        settled: For each camera and session of this push, the last frame that no later window
            contains; ``None`` if the session has ended.
        quality: Quality of each window, :math:`[W]` float64; NaN if tracking faults are not
            skipped.
        fault: Worst sign of a tracking fault of each window, :math:`[W]` int64, a position in
            :data:`gepc_geo.windows.quality.SIGNS`; -1 without a fault.
        joints: Main joints of each window that is explained
            (:func:`gepc_geo.scoring.joint_shares.main_joints`); empty for others.
        why: What is unusual about each window that is explained, in words; empty for others.
        short: Person-frames of tracks that ended too short for a window.
    """

    camera: list[str] = field(default_factory=list)
    session: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    person: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    first: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    length: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    scores: dict[str, np.ndarray] = field(default_factory=dict)
    settled: dict[tuple[str, int], int | None] = field(default_factory=dict)
    quality: np.ndarray = field(default_factory=lambda: np.zeros(0))
    fault: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    joints: list[tuple[str, ...]] = field(default_factory=list)
    why: list[str] = field(default_factory=list)
    short: int = 0

    def __len__(self) -> int:
        """The number of windows, :math:`W`."""
        return len(self.camera)


class OnlineScorer:
    r"""Scores windows of people frame by frame, for any number of cameras.

    Windows and scores are those of :meth:`GEPC.window_scores` on the same tracks, except for
    rounding and padded windows. A window is scored once it is complete, so shorter windows come
    first. A missing joint is interpolated if it is seen again before the window is scored; else it
    stays at its last position. A window waits ``wait`` frames for that, and for late frames.

    - Missing frames of a person are interpolated as in :func:`gepc_geo.windows.filling.fill`. After
    a
      longer gap, or with another id, a new track begins.
    - Frames may come in any order within ``wait`` frames; later ones are dropped.
    - As in files, -1 is no id, and people without an id are left out. Of two poses with one id in a
      frame the better one counts; of two frames with one number, the first.
    - A stream restarts when frame numbers jump back by 250 or more, or at the tenth late frame in a
      row with rising numbers.

    For each person present the scorer stores the latest rows, about as many as the longest window
    has frames, and the last row of each joint. It stores a camera until :meth:`close`.

    Args:
        detector: A fitted detector that scores windows, not clips.
        wait: Frames between the end of a window and its scoring, 0 or more. (default: the option
            ``max_gap`` of the detector, so that gaps are filled as in batch scoring)
        modes: Scoring modes. (default: all of the detector)
        explain: Least score in the first mode of windows whose main joints are computed.
            (default: ``None``, of no window)
        fps: Frames a second, for words about speeds. (default: NaN, the rate of training)

    Attributes:
        dropped: Counts by reason: person-frames that were ``late``, ``duplicate`` or ``unnamed``
            (without an id), each ``restart`` of a camera, and windows that are ``unscored`` because
            their score is not finite.
        last_dropped: Camera and frame of the last drop by reason; for a window, its last frame.

    Raises:
        InputError: The detector is not fitted, scores clips or lacks a mode, or ``wait`` is less
            than 0.

    Example:
        >>> scorer = OnlineScorer(GEPC.load("model.pt"))  # doctest: +SKIP
        >>> scorer.push(Frame("gate", 0, [7], keypoints)).scores["combined"]  # doctest: +SKIP
    """

    def __init__(
        self,
        detector: GEPC,
        wait: int | None = None,
        modes: Sequence[str] | None = None,
        explain: float | None = None,
        fps: float = math.nan,
    ) -> None:
        check_detector(detector)
        if detector.options_.frames is not None:
            raise InputError(
                "the detector must score windows, got one that scores clips "
                f"(frames {detector.options_.frames})"
            )
        self.detector = detector
        self.wait = detector.options_.max_gap if wait is None else wait
        if self.wait < 0:
            raise InputError(f"wait must be 0 or more frames, got {wait}")
        self.modes = tuple(map(detector.scoring_mode, detector.modes_ if modes is None else modes))
        self.explain, self.fps = explain, fps
        self.dropped = dict.fromkeys(REASONS, 0)
        self.last_dropped: dict[str, tuple[str, int]] = {}
        self._cameras: dict[str, Camera] = {}
        self._short = 0

    def check(self, frame: Frame) -> CheckedFrame:
        """Checks a frame.

        Raises:
            InputError: Shapes, ids or numbers are not valid.
        """
        return checked(frame, self.detector.pipeline_)

    def push(self, *frames: Frame) -> OnlineScores:
        """Takes frames of any cameras; returns the scores of all windows that are complete.

        Scores do not depend on how frames are grouped, except for rounding.

        Raises:
            InputError: A frame fails :meth:`check`; then no frame is taken.
        """
        due: list[Piece] = []
        settled: dict[tuple[str, int], int | None] = {}
        # The last window of a piece is known once no later frame can join the piece.
        behind = self.detector.lengths_[-1] + self.detector.options_.max_gap
        for frame in [self.check(unchecked) for unchecked in frames]:
            name = frame.camera
            self._drop("unnamed", frame.unnamed, name, frame.frame)
            self._drop("duplicate", frame.repeated, name, frame.frame)
            camera = self._cameras.setdefault(name, Camera(name))
            if camera.restarts(frame.frame, self.wait):
                self._drop("restart", 1, name, frame.frame)
                due += self._take_due(camera, None)
                settled[name, camera.session] = None
                camera = self._cameras[name] = Camera(name, camera.session + 1)
            elif frame.frame <= camera.latest - self.wait:
                self._drop("late", len(frame.ids), name, frame.frame)
                continue
            for person, row in zip(frame.ids, frame.rows, strict=True):
                track = camera.people.setdefault(person, Person())
                if not track.insert(frame.frame, row):
                    self._drop("duplicate", 1, name, frame.frame)
            camera.latest = max(camera.latest, frame.frame)
            camera.image_size = frame.image_size
            horizon = camera.latest - self.wait
            due += self._take_due(camera, horizon)
            settled[name, camera.session] = horizon - behind
        return self._score(due, settled)

    def close(self, camera: str | None = None) -> OnlineScores:
        """Ends the stream of a camera, and returns the scores of its remaining windows.

        Args:
            camera: Name of the camera. (default: ``None``, all cameras)
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
        """Number of person-frames in memory."""
        people = (person for camera in self._cameras.values() for person in camera.people.values())
        return sum(len(person.frames) for person in people)

    # -- private -------------------------------------------------------------------------------

    def _drop(self, reason: str, count: int, camera: str, frame: int) -> None:
        if count:
            self.dropped[reason] += count
            self.last_dropped[reason] = camera, frame

    def _take_due(self, camera: Camera, horizon: int | None) -> list[Piece]:
        options = self.detector.options_
        camera.settle(horizon, options.max_gap, self.detector.pipeline_)
        due = camera.take(horizon, self.detector.lengths_, options.score_stride, options.max_gap)
        self._short, camera.short = self._short + camera.short, 0
        return due

    def _score(
        self, pieces: Sequence[Piece], settled: dict[tuple[str, int], int | None]
    ) -> OnlineScores:
        short, self._short = self._short, 0
        if not pieces:
            empty = {mode: np.zeros(0) for mode in self.modes}
            return OnlineScores(scores=empty, settled=settled, short=short)
        windows, overlap = windows_of(pieces, self.detector.pipeline_, self.fps)
        scored = self.detector.scorer_.score_few(windows, self.modes, overlap)
        scores, quality = scored.scores, scored.quality
        value = np.full(len(windows), np.nan) if quality is None else quality.value
        sign = np.full(len(windows), -1) if quality is None else quality.sign
        finite = np.isfinite(np.stack(list(scores.values()))).all(0)
        unscored = windows.subset(~finite)
        for piece, last in zip(unscored.piece, unscored.frame + unscored.size - 1, strict=True):
            self._drop("unscored", 1, pieces[piece].camera, int(last))
        windows = windows.subset(finite)
        return OnlineScores(
            camera=[pieces[at].camera for at in windows.piece],
            session=np.array([piece.session for piece in pieces])[windows.piece],
            person=windows.track,
            first=windows.frame,
            length=windows.size,
            scores={mode: score[finite] for mode, score in scores.items()},
            settled=settled,
            quality=value[finite],
            fault=sign[finite],
            joints=self._joints(windows, scores[self.modes[0]][finite]),
            why=self._why(windows, scores[self.modes[0]][finite], sign[finite] >= 0),
            short=short,
        )

    def _joints(self, windows: PoseWindows, score: np.ndarray) -> list[tuple[str, ...]]:
        """Main joints of the windows with at least the score ``explain``."""
        joints: list[tuple[str, ...]] = [()] * len(windows)
        at = self._explained(score)
        if len(at):
            shares = joint_shares(self.detector.scorer_, windows.subset(at), self.modes[0])
            for number, share in zip(at.tolist(), shares, strict=True):
                joints[number] = main_joints(share, windows.skeleton.joints)
        return joints

    def _why(self, windows: PoseWindows, score: np.ndarray, fault: np.ndarray) -> list[str]:
        """Words for the windows with at least the score ``explain``."""
        why, measures = [""] * len(windows), self.detector.measures_
        at = self._explained(score)
        at = at[~fault[at]]
        if len(at) and measures is not None:
            explanation = measures.explain(windows.subset(at), unknown=_UNKNOWN)
            for number, text in zip(at.tolist(), explanation.window_words().tolist(), strict=True):
                why[number] = text
        return why

    def _explained(self, score: np.ndarray) -> np.ndarray:
        return np.flatnonzero(score >= (np.inf if self.explain is None else self.explain))
