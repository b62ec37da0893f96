"""Everything a report says, as plain values: what is gathered, and how much of it is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from gepc_geo._version import __version__
from gepc_geo.detector.gepc import GEPC, check_detector
from gepc_geo.evaluation.evaluator import clip_labels, frame_threshold
from gepc_geo.evaluation.tables import ScoreOptions, check_level, clip_level, frame_level
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.report.curves import histogram, quality
from gepc_geo.report.encode import join_near, pack, thin
from gepc_geo.report.scenes import Normal, Peak, Stage, find_peaks, scene_length, whole_windows
from gepc_geo.report.words import action_words
from gepc_geo.scoring.metrics import runs
from gepc_geo.scoring.scorer import WindowScores
from gepc_geo.streaming.thresholds import Alarm, Series, alarm_runs

#: What a page holds at most: clips, points of a timeline, peaks of a clip, scenes of all, and the
#: characters of those scenes together.
MOST_CLIPS, _POINTS, _PEAKS, _SCENES, _ROOM = 200, 800, 6, 240, 7_000_000


def gather(
    detector: GEPC,
    tracks: PoseTracks,
    *,
    train: PoseTracks | None = None,
    normal: Sequence[str] | None = None,
    options: ScoreOptions | None = None,
    about: dict[str, Any] | None = None,
    quiet: bool = True,
) -> dict[str, Any]:
    """Scores poses and gathers what :func:`~gepc_geo.report.page.write_page` shows.

    Frames are scored, or whole clips by a detector of clips (option ``frames``) or with ``normal``.

    Args:
        detector: A fitted detector.
        tracks: The poses to report on; their ``frame_labels``, where there are any, are shown.
        train: Normal poses, to fetch the nearest normal sequences and the action words from;
            ``None``: words are shown by ``tracks`` themselves, and nothing stands beside a peak.
        normal: For whole clips: the classes that are normal.
        options: How windows become frames or clips.
        about: Names and texts for the page: ``run``, ``data``, ``train`` (why there is none).
        quiet: Show no progress.

    Raises:
        InputError: Poses of another skeleton, options that do not apply.
    """
    options = ScoreOptions() if options is None else options
    check_detector(detector)
    level = "frame" if detector.options_.frames is None and normal is None else "clip"
    check_level(detector, level, options)
    mode = options.mode_of(detector)
    if train is not None:
        detector.pipeline_.check(train)
    labels = tracks.frame_labels if level == "frame" else None
    if normal is not None:
        labels = clip_labels(tracks, normal)
    scored = detector.window_scores(tracks, (mode,), quiet=quiet)
    if level == "frame":
        frames = frame_level(detector, scored, tracks, options)
        score, person = frames.score.numpy(), frames.person.numpy()
        threshold, meaning = _threshold(detector, mode, options)
    else:
        score, person = clip_level(detector, scored, tracks, options)
        threshold, meaning = None, ""
    known = np.full(len(score), -1, dtype=np.int8) if labels is None else labels
    stage = _stage(detector, scored, options, mode, level)
    clips, peaks = _clips(tracks, score, person, known, level, threshold, stage)
    length = scene_length(detector)
    references = {} if train is None else _normal(detector, train)
    reference = references.get(length)
    shown = Normal.of(detector, whole_windows(scored.windows, length), reference)
    words = action_words(
        shown if reference is None else reference, None if reference is None else shown.assignment
    )
    scenes = _scenes(stage, peaks, references)
    for number, (peak, scene) in enumerate(scenes):
        place = next(i for i, clip in enumerate(clips) if clip["number"] == peak.clip)
        clips[place]["peaks"].append(number)
        scene |= {"clip": place, "frame": peak.frame, "value": round(peak.score, 4)}
    return {
        "about": {"version": __version__, **(about or {})},
        "level": level,
        "mode": mode,
        "lengths": list(detector.lengths_),
        "skeleton": {
            "joints": list(tracks.skeleton.joints),
            "bones": [list(bone) for bone in tracks.skeleton.bones],
        },
        "threshold": threshold,
        "threshold_meaning": meaning,
        "totals": {
            "clips": tracks.num_clips,
            "people": tracks.num_tracks,
            "frames": int(tracks.clip_length.sum()),
            "alarms": None if threshold is None else _alarms(tracks, score, threshold),
            "abnormal": int((known == 1).sum()) if (known >= 0).any() else None,
            "peaks_left_out": len(peaks) - len(scenes),
        },
        "clips": clips,
        "scenes": [scene for _, scene in scenes],
        "words": words,
        "words_from": "training" if references else "data",
        "words_by": "distance" if detector.network_ is None else "network",
        "words_length": length,
        "histogram": histogram(score, known),
        "quality": quality(score, known, threshold),
        "options": {
            "scoring": {
                "level": level,
                "mode": mode,
                "protocol": options.protocol,
                "smooth": options.smooth,
                "people_correction": options.people_correction,
                "padded": options.padded,
            },
            "detector": {**detector.options_.written(), "mode": detector.mode},
        },
    }


def _threshold(detector: GEPC, mode: str, options: ScoreOptions) -> tuple[float | None, str]:
    """Where frames count as alarms, and what that means."""
    alarm = Alarm.of(detector)
    # Smoothed or corrected scores are other scores than those the threshold was chosen on.
    if alarm is not None and alarm.mode == mode and options == ScoreOptions(options.mode):
        return (
            alarm.threshold,
            f"chosen on normal poses for {alarm.per_hour:g} false alarms an hour",
        )
    if options.protocol != "corrected":
        return None, ""
    share = f"{100 * detector.options_.contamination:g} %"
    return (
        frame_threshold(detector, mode, options),
        f"exceeded by {share} of the moments of normal people that were kept out of training",
    )


def _alarms(tracks: PoseTracks, score: np.ndarray, threshold: float) -> int:
    """Runs of alarmed frames, none across two clips; gaps under a second merged where time is known."""
    parts = np.split(score, tracks.frame_offset[1:-1])
    return sum(
        len(runs(part >= threshold) if np.isnan(fps) else alarm_runs(Series(part, fps), threshold))
        for part, fps in zip(parts, tracks.fps.tolist(), strict=True)
    )


def _stage(
    detector: GEPC, scored: WindowScores, options: ScoreOptions, mode: str, level: str
) -> Stage:
    """The windows that scores were made of: padded ones only where they count."""
    kept = options.padded is not False if level == "clip" else bool(options.padded)
    keep = np.flatnonzero(~scored.windows.padded | kept)
    return Stage(detector, scored.windows.subset(keep), scored.scores[mode][keep], mode)


def _clips(
    tracks: PoseTracks,
    score: np.ndarray,
    person: np.ndarray,
    labels: np.ndarray,
    level: str,
    threshold: float | None,
    stage: Stage,
) -> tuple[list[dict[str, Any]], list[Peak]]:
    """The clips to show, the highest scores first, and their peaks in the order they are kept."""
    offset = tracks.frame_offset if level == "frame" else np.arange(tracks.num_clips + 1)
    parts = list(zip(*(np.split(a, offset[1:-1]) for a in (score, person, labels)), strict=True))
    top = np.array([part[0].max() if len(part[0]) else -np.inf for part in parts])
    order = np.argsort(-top, kind="stable")[:MOST_CLIPS].tolist()
    clips, peaks = [], []
    for clip in order:
        line, who, label = parts[clip]
        if level == "frame":
            found = find_peaks(line, who, clip, scene_length(stage.detector), _PEAKS, threshold)
        else:
            found = [_clip_peak(stage, clip, float(line[0]), int(who[0]))] if who[0] >= 0 else []
        peaks.append(found)
        # Peaks are marked on the line, so they are points of it.
        keep = np.union1d(thin(line, _POINTS), [p.frame for p in found]).astype(np.int64)
        keep = keep[keep < len(line)]
        fps = float(tracks.fps[clip])
        clips.append(
            {
                "number": clip,
                "name": tracks.clip_names[clip],
                "class": tracks.clip_label[clip],
                "length": int(tracks.clip_length[clip]),
                "fps": None if np.isnan(fps) else round(fps, 4),
                "top": round(float(top[clip]), 4) if len(line) else None,
                "alarmed": int((line >= threshold).sum()) if threshold is not None else None,
                "label": int(label[0]) if level == "clip" else None,
                "x": pack(keep.astype(np.float32)),
                "y": pack(line[keep]),
                "abnormal": _abnormal(label).tolist() if level == "frame" else [],
                "labelled": bool((label >= 0).any()),
                "peaks": [],
            }
        )
    # Every clip's highest peak comes before any clip's second.
    ranks = [sorted(filter(None, rank), key=lambda p: -p.score) for rank in zip_longest(*peaks)]
    return clips, [peak for rank in ranks for peak in rank]


def _abnormal(label: np.ndarray) -> np.ndarray:
    """Runs of abnormal frames, as many as a line has points: smaller gaps cannot be seen."""
    return join_near(runs(label == 1), -(-len(label) // _POINTS))


def _clip_peak(stage: Stage, clip: int, score: float, person: int) -> Peak:
    """The middle of the most abnormal window of the person who decided a clip."""
    windows = stage.windows
    own = np.flatnonzero((windows.clip == clip) & (windows.track == person))
    window = own[stage.scores[own].argmax()]
    rows = windows.rows(window)
    return Peak(clip, int(windows.table.frame[rows[len(rows) // 2]]), score, person)


def _normal(detector: GEPC, tracks: PoseTracks) -> dict[int, Normal]:
    """Training windows by length, of those that scenes have."""
    windows = detector.pipeline_.windows(tracks, detector.options_.stride)
    lengths = {detector.lengths_[0], scene_length(detector)}
    return {length: Normal.of(detector, whole_windows(windows, length)) for length in lengths}


def _scenes(
    stage: Stage, peaks: list[Peak], normal: dict[int, Normal]
) -> list[tuple[Peak, dict[str, Any]]]:
    """Scenes of the first peaks, as many as there is room for.

    Args:
        stage: The scored windows.
        peaks: In the order they are kept.
        normal: Training windows by length; none: nothing stands beside a peak.
    """
    casts = [(peak, stage.cast(peak)) for peak in peaks[:_SCENES]]
    casts = [(peak, cast) for peak, cast in casts if len(cast)]
    if not casts:
        return []
    borders = np.cumsum([len(cast) for _, cast in casts])[:-1]
    shares = np.split(stage.shares(np.concatenate([cast for _, cast in casts])), borders)
    nearest = stage.nearest(np.array([cast[0] for _, cast in casts]), normal)
    scenes, room = [], _ROOM
    for (peak, cast), share, beside in zip(casts, shares, nearest, strict=True):
        scene = stage.scene(peak, cast, share)
        if beside is not None:
            scene["normal"] = beside
        room -= len(json.dumps(scene))
        if room < 0:
            break
        scenes.append((peak, scene))
    return scenes
