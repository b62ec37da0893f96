"""Scores of people in streams of frames, as they come: the batch scorer's, in bounded memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from gepc_geo.detector import GEPC, check_detector
from gepc_geo.errors import InputError
from gepc_geo.options import MODES
from gepc_geo.tracks import MAX_VALUE, PoseTracks
from gepc_geo.windows import FilledTracks, PoseWindows, fill_pieces

# A frame so many frames behind its camera's latest one is no late one: the camera began anew.
_RESTART = 250
# Neither is one that ends so long a run of rising late ones.
_RISING = 10
# Twelve years at 25 a second; larger frame numbers are time stamps or damage.
_LAST_FRAME = 10**10
_LAST_ID = np.iinfo(np.int64).max
# What key points and features have of every joint.
_EACH = {"keypoints": "coordinates", "features": "features"}
#: What :attr:`OnlineScorer.dropped` counts.
REASONS = ("late", "duplicate", "unnamed", "restart", "unscored")


@dataclass
class Frame:
    r"""The people in one frame of one camera; :math:`n` of them, or nobody.

    Attributes:
        camera: Name of the camera (or clip).
        frame: Number of the frame, from 0; as in files ``3.0`` and ``"3"`` are 3.
        ids: :math:`[n]` person ids, whole numbers, ``2.0`` and ``"2"`` among them; ``None``: somebody
            without an id, who is left out.
        keypoints: :math:`[n, V, C]`, in the units of the training poses.
        confidence: :math:`[n, V]` from 0 (a missing joint) to 1, larger ones count as 1; ``None``: every
            joint was seen.
        features: :math:`[n, V, D]` for detectors whose poses have such.
        image_size: Width and height in pixels, for detectors with scale ``image``.
    """

    camera: str
    frame: int
    ids: Any
    keypoints: Any
    confidence: Any = None
    features: Any = None
    image_size: tuple[float, float] | None = None


@dataclass
class OnlineScores:
    r"""Scores of the :math:`W` windows that became complete; higher is more abnormal.

    Attributes:
        camera: :math:`W` names.
        session: :math:`[W]` int64, how often the camera had begun anew before the window.
        person: :math:`[W]` int64, person ids.
        first: :math:`[W]` int64, number of the window's first frame.
        scores: For each mode :math:`[W]` float64.
        settled: For each camera and session of this push the last frame that no window to come
            contains; ``None``: the session has ended.
    """

    camera: list[str] = field(default_factory=list)
    session: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    person: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    first: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    scores: dict[str, np.ndarray] = field(
        default_factory=lambda: {mode: np.zeros(0) for mode in MODES}
    )
    settled: dict[tuple[str, int], int | None] = field(default_factory=dict)

    def __len__(self) -> int:
        """The number of windows, :math:`W`."""
        return len(self.camera)


class OnlineScorer:
    r"""Scores windows of people as their frames come, from any number of cameras.

    The windows, and their scores but for rounding, are those of :meth:`GEPC.window_scores` on the same
    tracks, at the detector's ``score_stride``, ``max_gap`` and options; padded ones are left out.
    Nobody knows the future: a joint that is missing is interpolated to where it is seen next only if
    that is known by the time of scoring, else it stays where it was seen last. ``wait`` says how many
    frames a window waits for that, and for frames that come late.

    - Missing frames of a person are interpolated as in :func:`gepc_geo.windows.fill`; whoever is
      missing for longer is forgotten, and begins anew on return, as does a switched id.
    - Frames may come in any order within ``wait`` frames; what comes later than that is dropped.
    - As in files, an id of -1 is none, and of a person who is twice in a frame the better pose counts (of two
      frames of one number, the first). Whoever has no id is left out.
    - A frame number 250 or more behind the camera's latest, or the tenth late one in a row that rises:
      the camera began anew, or its latest number was wrong.

    Held are, for each person present, the last ``window + max_gap + wait`` frames (or the stride, where
    that is longer) and for each joint the last row that had it. A camera that is over is held until it is closed.

    Args:
        detector: A fitted one that scores frames, not whole clips.
        wait: Frames between a window's end and its scoring; default: the detector's ``max_gap``, so
            that holes of that length are filled as in batch scoring. 0: at once.

    Attributes:
        dropped: How many person-frames came too ``late``, were ``duplicate`` or ``unnamed`` (without
            an id), how often a camera had a ``restart``, how many windows were ``unscored`` as their score was no finite number.
        last_dropped: Of those reasons that occurred, camera and frame (of a window the last one) of the
            last time.

    Raises:
        InputError: A detector that is not fitted or scores whole clips, ``wait`` below 0.

    Example:
        >>> scorer = OnlineScorer(GEPC.load("model.pt"))  # doctest: +SKIP
        >>> scorer.push(Frame("gate", 0, [7], keypoints)).scores["nearest"]  # doctest: +SKIP
    """

    def __init__(self, detector: GEPC, wait: int | None = None) -> None:
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
        self.dropped = dict.fromkeys(REASONS, 0)
        self.last_dropped: dict[str, tuple[str, int]] = {}
        self._cameras: dict[str, _Camera] = {}

    def check(self, frame: Frame) -> _Checked:
        """Makes sure that a frame can be pushed.

        Raises:
            InputError: What is wrong with it: shapes, ids, numbers that are not finite.
        """
        return _checked(frame, self.detector)

    def push(self, *frames: Frame) -> OnlineScores:
        """Takes frames of any cameras; scores, in one pass, of all windows they made complete.

        The scores are the same however frames are grouped.

        Raises:
            InputError: As :meth:`check`, of any frame; then none is taken.
        """
        checked = [self.check(frame) for frame in frames]
        due: list[_Due] = []
        settled: dict[tuple[str, int], int | None] = {}
        for one in checked:
            name = one.camera
            self._drop("unnamed", one.unnamed, name, one.frame)
            self._drop("duplicate", one.repeated, name, one.frame)
            camera = self._cameras.setdefault(name, _Camera())
            horizon = camera.latest - self.wait
            late = one.frame <= horizon
            if one.frame <= camera.latest - _RESTART or camera.counts_anew(
                one.frame, late, self.wait
            ):
                self._drop("restart", 1, name, one.frame)
                due += self._take_due(name, camera, None)
                settled[name, camera.session] = None
                camera = self._cameras[name] = _Camera(session=camera.session + 1)
            elif late:
                self._drop("late", len(one.ids), name, one.frame)
                continue
            for person, rows in zip(one.ids, one.rows, strict=True):
                track = camera.people.setdefault(person, _Person())
                if not track.insert(one.frame, rows):
                    self._drop("duplicate", 1, name, one.frame)
            camera.latest = max(camera.latest, one.frame)
            camera.image_size = one.image_size
            horizon = camera.latest - self.wait
            due += self._take_due(name, camera, horizon)
            # The last window of a piece is known when nobody can join it any more.
            settled[name, camera.session] = horizon - self._length - self.detector.options_.max_gap
        return self._score(due, settled)

    def close(self, camera: str | None = None) -> OnlineScores:
        """Ends a camera's stream (or all): scores of the windows that were waiting; all is forgotten.

        Args:
            camera: A camera's name; default: all of them.
        """
        due: list[_Due] = []
        settled: dict[tuple[str, int], int | None] = {}
        for name in [camera] if camera is not None else list(self._cameras):
            ended = self._cameras.pop(name, None)
            if ended is not None:
                due += self._take_due(name, ended, None)
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

    @property
    def _length(self) -> int:
        return self.detector.options_.length

    def _take_due(self, name: str, camera: _Camera, horizon: int | None) -> list[_Due]:
        """The windows that end by ``horizon`` (``None``: all), taken out of the tracks."""
        options = (
            self._length,
            self.detector.options_.score_stride,
            self.detector.options_.max_gap,
        )
        pieces: list[_Piece] = []
        for person, track in list(camera.people.items()):
            pieces += track.take(person, horizon, *options)
            if not track.frames:
                del camera.people[person]
        return [_materialise(name, camera, pieces, self.detector)] if pieces else []

    def _score(
        self, due: Sequence[_Due], settled: dict[tuple[str, int], int | None]
    ) -> OnlineScores:
        if not due:
            return OnlineScores(settled=settled)
        count = [len(one.first) for one in due]
        channels = np.concatenate([one.channels for one in due])
        size, length = channels.shape[:2]
        clip = np.repeat(np.arange(len(due)), count)
        person = np.concatenate([one.person for one in due])
        first = np.concatenate([one.first for one in due])
        table = FilledTracks(
            channels=channels.reshape(-1, *channels.shape[2:]),
            clip=np.repeat(clip, length),
            track=np.repeat(person, length),
            frame=(first[:, None] + np.arange(length)).reshape(-1),
            piece=np.arange(size + 1) * length,
            source=_source(self.detector, np.stack([one.image_size for one in due])),
        )
        windows = PoseWindows.of_table(table, length, self.detector.options_.max_gap)
        scores = self.detector.batch_scores(windows)
        good = np.isfinite(np.stack(list(scores.values()))).all(0)
        for at in np.flatnonzero(~good):
            self._drop("unscored", 1, due[clip[at]].camera, int(first[at]) + length - 1)
        return OnlineScores(
            camera=[due[i].camera for i in clip[good]],
            session=np.array([one.session for one in due])[clip[good]],
            person=person[good],
            first=first[good],
            scores={mode: score[good] for mode, score in scores.items()},
            settled=settled,
        )


@dataclass
class _Checked:
    """A frame in the form that tracks keep: rows [n, V, C'] of joints that mean something."""

    camera: str
    frame: int
    ids: list[int]
    rows: np.ndarray
    image_size: np.ndarray
    unnamed: int
    repeated: int


@dataclass
class _Due:
    """The windows [w, T, V, C'] that one frame made complete."""

    camera: str
    session: int
    person: np.ndarray
    first: np.ndarray
    channels: np.ndarray
    image_size: np.ndarray


@dataclass
class _Piece:
    """What windows of one person are made of: rows, the first ``sparse`` of them not consecutive."""

    person: int
    frames: list[int]
    rows: list[np.ndarray]
    sparse: int
    starts: list[int]


@dataclass
class _Camera:
    people: dict[int, _Person] = field(default_factory=dict)
    latest: int = -1
    session: int = 0
    image_size: np.ndarray = field(default_factory=lambda: np.full(2, np.nan, np.float32))
    # Late frames in a row that each had a higher number than those before, and the last of them.
    rising: int = 0
    highest: int = -1

    def counts_anew(self, frame: int, late: bool, wait: int) -> bool:
        """Whether late frames rise for so long that they are the camera's count, begun anew."""
        if not late or frame < self.highest - wait:
            self.rising, self.highest = 0, -1
        if late and frame > self.highest:
            self.rising, self.highest = self.rising + 1, frame
        return self.rising >= _RISING


class _Person:
    """The rows of one person that windows to come are made of, in order of frames."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.rows: list[np.ndarray] = []
        # Rows at the front that are there only to interpolate from.
        self.sparse = 0
        # Where the next window of the first piece starts, once one was taken.
        self.next: int | None = None

    def insert(self, frame: int, row: np.ndarray) -> bool:
        """Puts a row in its place; ``False``: there is one already."""
        at = len(self.frames)
        while at and self.frames[at - 1] > frame:
            at -= 1
        if at and self.frames[at - 1] == frame:
            return False
        self.frames.insert(at, frame)
        self.rows.insert(at, row)
        return True

    def take(
        self, person: int, horizon: int | None, length: int, stride: int, max_gap: int
    ) -> list[_Piece]:
        """The windows that end by ``horizon``; rows that no other window needs are forgotten."""
        pieces = []
        while self.frames:
            size = self._piece_size(max_gap)
            last = self.frames[size - 1]
            closed = horizon is None or horizon - last > max_gap
            # A gap at a window's end is filled once the row behind it is settled, too.
            at = size if horizon is None else bisect_right(self.frames, horizon, hi=size)
            end = self.frames[at - 1] if at else -1
            origin = self.frames[0] if self.next is None else self.next
            starts = list(range(origin, end - length + 2, stride))
            following = starts[-1] + stride if starts else self.next
            final = last - length + 1
            if closed and following is not None and final > following - stride:
                # The last frames of a piece are always a window.
                starts.append(final)
            if starts:
                part = (self.frames[:size], self.rows[:size])
                pieces.append(_Piece(person, *part, self.sparse, starts))
            if not closed:
                self.next = following
                if following is not None:
                    self._trim(min(following, final))
                break
            del self.frames[:size], self.rows[:size]
            self.sparse, self.next = 0, None
        return pieces

    def _piece_size(self, max_gap: int) -> int:
        """Rows before the first gap that is too long."""
        for at in range(self.sparse + 1, len(self.frames)):
            if self.frames[at] - self.frames[at - 1] > max_gap + 1:
                return at
        return len(self.frames)

    def _trim(self, start: int) -> None:
        """Forgets rows before ``start`` but the last, and the last that had each joint."""
        old = sum(frame < start for frame in self.frames)
        if old < 2:
            self.sparse = old
            return
        seen = np.stack([row[:, -1] > 0 for row in self.rows[:old]])
        # Of a joint that was never seen every row is the last.
        latest = old - 1 - seen[::-1].argmax(0)
        keep = sorted({old - 1, *latest[seen.any(0)].tolist()})
        self.frames[:old] = [self.frames[at] for at in keep]
        self.rows[:old] = [self.rows[at] for at in keep]
        self.sparse = len(keep)


def _materialise(name: str, camera: _Camera, pieces: Iterable[_Piece], detector: GEPC) -> _Due:
    """Windows cut from pieces whose holes are filled, all people at once."""
    pieces = list(pieces)
    size = np.array([len(one.frames) for one in pieces])
    rows = np.stack([row for one in pieces for row in one.rows])
    offset = np.cumsum(size) - size
    number = np.arange(len(rows)) - np.repeat(offset, size)
    joined = number[1:] > 0
    inserted = joined & (number[1:] >= np.repeat([one.sparse for one in pieces], size)[1:])
    dims = detector.dims_
    tracks = _source(detector, camera.image_size[None])
    tracks = PoseTracks(
        **{
            **vars(tracks),
            "keypoints": rows[..., :dims].copy(),
            "confidence": rows[..., -1].copy(),
            "features": rows[..., dims:-1].copy() if detector.num_features_ else None,
            "frame": np.array([frame for one in pieces for frame in one.frames]),
            "track": np.repeat([one.person for one in pieces], size),
            "clip": np.zeros(len(rows), np.int64),
        }
    )
    table = fill_pieces(tracks, joined, inserted)
    count = [len(one.starts) for one in pieces]
    first = np.array([start for one in pieces for start in one.starts])
    # Behind the sparse rows a piece is consecutive up to its last one.
    final = table.piece[1:] - 1
    place = np.repeat(final - table.frame[final], count) + first
    return _Due(
        camera=name,
        session=camera.session,
        person=np.repeat([one.person for one in pieces], count),
        first=first,
        channels=table.channels[place[:, None] + np.arange(detector.options_.length)],
        image_size=camera.image_size,
    )


def _source(detector: GEPC, image_size: np.ndarray) -> PoseTracks:
    """Tracks without rows: the skeleton and the cameras' image sizes."""
    joints, count = detector.skeleton_.num_joints, len(image_size)
    return PoseTracks(
        keypoints=np.zeros((0, joints, detector.dims_), np.float32),
        confidence=np.zeros((0, joints), np.float32),
        frame=np.zeros(0, np.int64),
        track=np.zeros(0, np.int64),
        clip=np.zeros(0, np.int64),
        skeleton=detector.skeleton_,
        clip_names=tuple(map(str, range(count))),
        clip_length=np.zeros(count, np.int64),
        image_size=image_size,
        fps=np.full(count, np.nan, np.float32),
        camera=("",) * count,
        clip_label=("",) * count,
        clip_split=("",) * count,
    )


def _checked(frame: Frame, detector: GEPC) -> _Checked:
    number = _whole(frame.frame)
    if number is None:
        raise InputError(
            f"a frame of camera {frame.camera!r} has number {_shown(frame.frame)}, which is not whole, "
            "expected one from 0"
        )
    where = f"frame {number} of camera {frame.camera!r}"
    if not 0 <= number <= _LAST_FRAME:
        raise InputError(f"{where} is out of range, expected 0 to {_LAST_FRAME}")
    ids = _ids(frame.ids, where)
    joints, dims = detector.skeleton_.num_joints, detector.dims_
    shapes = {
        "keypoints": (len(ids), joints, dims),
        "confidence": (len(ids), joints),
        "features": (len(ids), joints, detector.num_features_),
    }
    arrays = {}
    for name, shape in shapes.items():
        value = getattr(frame, name)
        if value is None and name == "confidence":
            value = np.ones(shape)
        elif value is None and not detector.num_features_:
            value = np.zeros(shape)
        array = _numbers(value, f"{where}: {name}")
        if not len(ids) and not array.size:
            array = array.reshape(shape)
        if array.shape != shape:
            raise InputError(
                f"{where}: {name} has shape {list(array.shape)}, expected {list(shape)}: "
                f"{len(ids)} people with the {joints} joints of {detector.skeleton_.name}"
                + (f", {shape[2]} {_EACH[name]} each" if len(shape) > 2 else "")
            )
        arrays[name] = array.astype(np.float32)
    if not (arrays["confidence"] >= 0).all():
        raise InputError(f"{where} has a confidence below 0 or NaN, expected 0 to 1")
    # Some pose estimators exceed 1 a little.
    arrays["confidence"] = np.minimum(arrays["confidence"], 1)
    seen = arrays["confidence"] > 0
    # What stands at a joint that was not seen means nothing, and may be anything.
    arrays["keypoints"][~seen] = 0
    for name in ("keypoints", "features"):
        if not (np.abs(arrays[name]) <= MAX_VALUE).all():
            raise InputError(
                f"{where} has a {name} value that is not finite or over {MAX_VALUE:g}, "
                "expected confidence 0 for a missing joint"
            )
    size = np.full(2, np.nan, np.float32)
    if frame.image_size is not None:
        size = _numbers(frame.image_size, f"{where}: image_size").astype(np.float32)
        if size.shape != (2,) or not (np.isfinite(size) & (size > 0)).all():
            raise InputError(f"{where} has image size {frame.image_size}, expected width, height")
    elif detector.options_.scale == "image":
        raise InputError(f"{where} has no image size, which scale 'image' needs")
    rows = np.concatenate(
        [arrays["keypoints"], arrays["features"], arrays["confidence"][..., None]], axis=2
    )
    # Nobody whose joints are all missing is there.
    there = np.flatnonzero(seen.any(1))
    named = [at for at in there.tolist() if ids[at] is not None]
    better = arrays["confidence"].mean(1)
    best: dict[int | None, int] = {}
    for at in named:
        if better[at] > better[best.setdefault(ids[at], at)]:
            best[ids[at]] = at
    kept = list(best.values())
    return _Checked(
        camera=frame.camera,
        frame=number,
        ids=[one for one in best if one is not None],
        rows=rows[kept],
        image_size=size,
        unnamed=len(there) - len(named),
        repeated=len(named) - len(kept),
    )


def _ids(value: Any, where: str) -> list[int | None]:
    """One id a person, ``None`` for those without one."""
    try:
        values = value.tolist() if isinstance(value, (np.ndarray, torch.Tensor)) else list(value)
    except TypeError:
        raise InputError(f"{where} has ids {_shown(value)}, expected one id a person") from None
    ids = [None if one is None else _whole(one) for one in values]
    for one, number in zip(values, ids, strict=True):
        if one is not None and number is None:
            raise InputError(f"{where} has person id {_shown(one)}, expected a whole number")
        if number is not None and not -_LAST_ID <= number <= _LAST_ID:
            raise InputError(f"{where} has person id {number}, expected at most {_LAST_ID}")
    # Trackers write -1 for those whom they do not follow.
    return [None if number == -1 else number for number in ids]


def _whole(value: Any) -> int | None:
    """A whole number, as files may have it too: ``3``, ``3.0``, ``"3"``; of anything else ``None``."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return None if isinstance(value, float) and number != value else number


def _shown(value: Any) -> str:
    """A value in an error, as JSON has it."""
    value = value.item() if isinstance(value, np.generic) else value
    return "null" if value is None else f"{value!r:.40}"


def _numbers(value: Any, what: str) -> np.ndarray:
    try:
        array = np.asarray(value.cpu() if isinstance(value, torch.Tensor) else value)
    except ValueError:
        raise InputError(f"{what} are of uneven lengths, expected an array of numbers") from None
    if array.size == 0:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iuf":
        values = np.array(value, dtype=object).flat
        wrong = (one for one in values if type(one) not in (int, float))
        # Whole numbers alone are here only where they are too large.
        raise InputError(f"{what} has {_shown(next(wrong, array.flat[0]))} in it, expected numbers")
    return array
