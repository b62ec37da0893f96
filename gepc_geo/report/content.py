"""Content of a report, as plain values of limited size."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from gepc_geo._version import __version__
from gepc_geo.detector.gepc import GEPC, check_detector
from gepc_geo.evaluation.alarms import Alarm, Series, alarm_runs
from gepc_geo.evaluation.evaluator import clip_labels, frame_threshold
from gepc_geo.evaluation.events import Event
from gepc_geo.evaluation.score_options import ScoreOptions, check_level
from gepc_geo.evaluation.states import clip_states_of, usable_windows
from gepc_geo.evaluation.tables import clip_level, frame_level
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.report.alarms import alarms_of, event_at, shown, with_events
from gepc_geo.report.backdrops import add_pictures, check_pictures
from gepc_geo.report.curves import histogram, quality
from gepc_geo.report.encode import merge_close, pack, state_spans, thin
from gepc_geo.report.footage import Footage
from gepc_geo.report.scenes import (
    Peak,
    PlacedWindows,
    SceneBuilder,
    find_peaks,
    scene_length,
    whole_windows,
)
from gepc_geo.report.unjudged import fault_peaks, state_summary
from gepc_geo.report.words import action_words
from gepc_geo.scoring.aggregation import FAULT, JUDGED, NOBODY, SHORT, STATES
from gepc_geo.scoring.explanation import Explanation
from gepc_geo.scoring.metrics import runs
from gepc_geo.scoring.scorer import WindowScores

#: Limits of a page: clips, points of a timeline, peaks of a clip (its events may have more), events
#: of a clip, scenes, and characters of scenes.
MOST_CLIPS, _POINTS, _PEAKS, _EVENTS, _SCENES, MOST_CHARACTERS = 200, 800, 6, 24, 240, 7_000_000


def gather(
    detector: GEPC,
    tracks: PoseTracks,
    *,
    train: PoseTracks | None = None,
    normal: Sequence[str] | None = None,
    options: ScoreOptions | None = None,
    about: dict[str, Any] | None = None,
    footage: Footage | None = None,
    blur_faces: bool = False,
    quiet: bool = True,
) -> dict[str, Any]:
    """Scores poses and gathers the content of :func:`~gepc_geo.report.page.write_page`.

    The report scores frames. With ``normal``, or with a detector of clips (option ``frames``), it
    scores whole clips. Frames and clips that were not judged have no score. Peaks of tracking
    faults are apart from the peaks of judged people.

    Args:
        detector: A fitted detector.
        tracks: Poses to report on, with optional ``frame_labels``.
        train: Normal poses for the nearest normal sequences and the action words. Without them,
            words come from ``tracks`` and peaks have no normal sequences. (default: ``None``)
        normal: Normal classes, to score whole clips. (default: ``None``)
        options: Options of frame and clip scores. (default: :class:`ScoreOptions` without changes)
        about: Texts of the page: ``run`` and ``data``, their names, and ``train``, the reason for
            missing training poses. (default: ``None``)
        footage: Real frames to show behind the people of each peak; without them, the page has no
            pictures of people. (default: ``None``)
        blur_faces: Whether to blur the heads of all people with poses. (default: ``False``)
        quiet: Whether to hide the progress. (default: ``True``)

    Returns:
        Content of the page, as values for JSON.

    Raises:
        InputError: The poses have another skeleton, an option does not apply, or there are too few
            real frames.
    """
    options = ScoreOptions() if options is None else options
    check_detector(detector)
    level = "frame" if detector.options_.frames is None and normal is None else "clip"
    check_level(detector, level, options)
    mode = options.mode_of(detector)
    if footage is not None:
        check_pictures(detector, tracks, footage)
    if train is not None:
        detector.pipeline_.check(train)
    labels = tracks.frame_labels if level == "frame" else None
    if normal is not None:
        labels = clip_labels(tracks, normal)
    scored = detector.window_scores(tracks, (mode,), quiet=quiet)
    if level == "frame":
        frames = frame_level(detector, scored, tracks, options)
        score, person = frames.score.numpy(), frames.person.numpy()
        state = frames.state.numpy()
        threshold, meaning = _threshold(detector, mode, options)
    else:
        score, person = clip_level(detector, scored, tracks, options)
        state = clip_states_of(scored, tracks, options)
        threshold, meaning = None, ""
    if labels is None:
        labels = np.full(len(score), -1, dtype=np.int8)
    # Protocol "reference" gives no score to the first and last frames of judged people.
    judged = (state == JUDGED) & (person >= 0)
    drawn = np.where(judged, score, np.nan)
    builder = _scene_builder(detector, scored, options, mode, level)
    events: dict[int, list[Event]] = {}
    alarms: dict[int, list[Event]] = {}
    explanation = detector.explain(tracks, scored)
    for event in alarms_of(detector, scored, tracks, options, level, explanation):
        if options.faults or not event.fault:
            alarms.setdefault(tracks.clip_names.index(event.clip), []).append(event)
        events.setdefault(tracks.clip_names.index(event.clip), []).append(event)
    clips, peaks = _clips(tracks, drawn, person, labels, state, level, threshold, builder, alarms)
    if threshold is not None:
        raw = detector.frame_threshold(mode) if options.people_correction else threshold
        numbers = {clip["number"] for clip in clips}
        faults = fault_peaks(scored, tracks, options, mode, raw, scene_length(detector), _PEAKS)
        peaks += [peak for peak in faults if peak.clip in numbers]
    length = scene_length(detector)
    references = {} if train is None else _references(detector, train)
    reference = references.get(length)
    sound = builder.windows.subset(~builder.fault)
    placed = PlacedWindows.of(detector, whole_windows(sound, length), reference)
    if reference is None:
        words = action_words(placed, None)
    else:
        words = action_words(reference, placed.assignment)
    scenes = _scenes(builder, peaks, references)
    if footage is not None:
        add_pictures(scenes, tracks, footage, blur_faces=blur_faces, quiet=quiet)
    for number, (peak, scene) in enumerate(scenes):
        index = next(i for i, clip in enumerate(clips) if clip["number"] == peak.clip)
        clips[index]["faults" if peak.fault else "peaks"].append(number)
        scene |= {
            "clip": index,
            "frame": peak.frame,
            "value": round(peak.score, 4),
            "fault": peak.fault,
            "event": None,
            "why": "" if explanation is None else _why(explanation, peak, length),
        }
        if at := event_at(peak, events.get(peak.clip, []), options.faults):
            scene["event"] = shown(at)
            if (at.person, at.peak) == (peak.person, peak.frame):
                scene["why"] = at.why
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
            "alarms": None if threshold is None else count_alarms(tracks, drawn, threshold),
            "abnormal": int((labels == 1).sum()) if (labels >= 0).any() else None,
            "peaks_left_out": len(peaks) - len(scenes),
        },
        "clips": clips,
        "scenes": [scene for _, scene in scenes],
        "words": words,
        "words_from": "training" if references else "data",
        "words_by": "distance" if detector.network_ is None else "network",
        "words_length": length,
        "states": state_summary(scored, tracks, options, level, state),
        "histogram": histogram(score[judged], labels[judged]),
        "quality": quality(score, labels, threshold),
        "options": {
            "scoring": {
                "level": level,
                "mode": mode,
                "protocol": options.protocol,
                "smooth": options.smooth,
                "people_correction": options.people_correction,
                "padded": options.padded,
                "judge_faults": options.faults,
            },
            "detector": {**detector.options_.written(), "mode": detector.mode},
        },
    }


def _why(explanation: Explanation, peak: Peak, length: int) -> str:
    """What is unusual about the person of a peak, within the middle length of windows."""
    first, last = peak.frame - length // 2, peak.frame + length // 2
    return explanation.words(peak.clip, peak.person, first, last)


def _threshold(detector: GEPC, mode: str, options: ScoreOptions) -> tuple[float | None, str]:
    """Alarm threshold and its meaning."""
    alarm = Alarm.of(detector)
    # The alarm threshold does not hold for smoothed or corrected scores.
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
        f"exceeded by {share} of the person-frames of normal people held out from training; "
        "a frame with several people exceeds it more often",
    )


def count_alarms(tracks: PoseTracks, score: np.ndarray, threshold: float) -> int:
    """Number of alarms in all clips; with known fps, gaps under a second do not split an alarm.

    Args:
        tracks: The poses.
        score: Scores of all frames; NaN where nobody was judged.
        threshold: The lowest score of an alarm.
    """
    clips = np.split(np.where(np.isnan(score), -np.inf, score), tracks.frame_offset[1:-1])
    return sum(
        len(runs(clip >= threshold) if np.isnan(fps) else alarm_runs(Series(clip, fps), threshold))
        for clip, fps in zip(clips, tracks.fps.tolist(), strict=True)
    )


def _scene_builder(
    detector: GEPC, scored: WindowScores, options: ScoreOptions, mode: str, level: str
) -> SceneBuilder:
    """Scene builder of all windows that count, and of those with tracking faults."""
    padded = options.padded is not False if level == "clip" else bool(options.padded)
    used, fault = usable_windows(scored.windows, scored.quality, options, padded)
    keep = np.flatnonzero(used | fault)
    windows, scores = scored.windows.subset(keep), scored.scores[mode][keep]
    return SceneBuilder(detector, windows, scores, mode, fault[keep])


def _clips(
    tracks: PoseTracks,
    score: np.ndarray,
    person: np.ndarray,
    labels: np.ndarray,
    state: np.ndarray,
    level: str,
    threshold: float | None,
    builder: SceneBuilder,
    alarms: dict[int, list[Event]],
) -> tuple[list[dict[str, Any]], list[Peak]]:
    """Clips by highest score, and their peaks by priority; scores are NaN where not judged."""
    offset = tracks.frame_offset if level == "frame" else np.arange(tracks.num_clips + 1)
    split = [np.split(array, offset[1:-1]) for array in (score, person, labels, state)]
    top = np.array([np.nanmax(part, initial=-np.inf) for part in split[0]])
    # Of the clips that were not judged, those with people come first.
    present = np.array([part.max(initial=-1) for part in split[3]], dtype=np.int64)
    order = np.lexsort((-present, -top))[:MOST_CLIPS].tolist()
    clips, peaks = [], []
    for clip in order:
        line, people, label, states = (arrays[clip] for arrays in split)
        people = np.where(np.isnan(line), -1, people)
        found: list[Peak] = []
        if level == "frame":
            apart = scene_length(builder.detector)
            found = find_peaks(line, people, clip, apart, _PEAKS, threshold)
            found = with_events(found, alarms.get(clip, [])[:_EVENTS], clip, _PEAKS)
        elif len(people) and people[0] >= 0:
            found = [_clip_peak(builder, clip, float(line[0]), int(people[0]))]
        peaks.append(found)
        # Peaks are marked on the line, so they must be points of it.
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
                "top": round(float(top[clip]), 4) if np.isfinite(top[clip]) else None,
                "state": STATES[present[clip]] if len(states) else "",
                "judged": int(np.isfinite(line).sum()),
                "nobody": int((states == NOBODY).sum()),
                "alarmed": int((line >= threshold).sum()) if threshold is not None else None,
                "label": int(label[0]) if level == "clip" else None,
                "x": pack(keep.astype(np.float32)),
                "y": pack(line[keep]),
                "unjudged": state_spans(states, (SHORT, FAULT), _POINTS)
                if level == "frame"
                else [],
                "abnormal": _abnormal(label).tolist() if level == "frame" else [],
                "labelled": bool((label >= 0).any()),
                "peaks": [],
                "faults": [],
            }
        )
    # The highest peaks of all clips come before the second peaks.
    ranks = [sorted(filter(None, rank), key=lambda p: -p.score) for rank in zip_longest(*peaks)]
    return clips, [peak for rank in ranks for peak in rank]


def _abnormal(label: np.ndarray) -> np.ndarray:
    """Runs of abnormal frames; gaps below the resolution of a timeline are closed."""
    return merge_close(runs(label == 1), -(-len(label) // _POINTS))


def _clip_peak(builder: SceneBuilder, clip: int, score: float, person: int) -> Peak:
    """Middle of the most abnormal window of the person with the clip score."""
    windows = builder.windows
    own = np.flatnonzero((windows.clip == clip) & (windows.track == person) & ~builder.fault)
    window = own[builder.scores[own].argmax()]
    rows = windows.rows(window)
    return Peak(clip, int(windows.table.frame[rows[len(rows) // 2]]), score, person)


def _references(detector: GEPC, tracks: PoseTracks) -> dict[int, PlacedWindows]:
    """Training windows without tracking faults, of each length that scenes use."""
    pipeline = detector.pipeline_
    windows = pipeline.sound(pipeline.windows(tracks, detector.options_.stride))
    lengths = {detector.lengths_[0], scene_length(detector)}
    return {
        length: PlacedWindows.of(detector, whole_windows(windows, length)) for length in lengths
    }


def _scenes(
    builder: SceneBuilder, peaks: list[Peak], references: dict[int, PlacedWindows]
) -> list[tuple[Peak, dict[str, Any]]]:
    """Scenes of the first peaks, up to the size limit.

    Args:
        builder: Scene builder of the scored windows.
        peaks: Peaks by priority.
        references: Training windows by length; without them, scenes have no normal sequences.
    """
    found = [(peak, builder.windows_at(peak)) for peak in peaks[:_SCENES]]
    found = [(peak, index) for peak, index in found if len(index)]
    if not found:
        return []
    borders = np.cumsum([len(index) for _, index in found])[:-1]
    shares = np.split(builder.shares(np.concatenate([index for _, index in found])), borders)
    nearest = builder.nearest(np.array([index[0] for _, index in found]), references)
    scenes, characters = [], 0
    for (peak, index), share, sequences in zip(found, shares, nearest, strict=True):
        scene = builder.scene(peak, index, share)
        if sequences is not None:
            scene["normal"] = sequences
        characters += len(json.dumps(scene))
        if characters > MOST_CHARACTERS:
            break
        scenes.append((peak, scene))
    return scenes
