"""Events of the page, and their peaks."""

from __future__ import annotations

from typing import Any

from gepc_geo.detector.gepc import GEPC
from gepc_geo.evaluation.events import Event, events_of
from gepc_geo.evaluation.score_options import ScoreOptions
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.report.scenes import Peak
from gepc_geo.scoring.explanation import Explanation
from gepc_geo.scoring.scorer import WindowScores


def alarms_of(
    detector: GEPC,
    scored: WindowScores,
    tracks: PoseTracks,
    options: ScoreOptions,
    level: str,
    explanation: Explanation | None,
) -> list[Event]:
    """The events; none for scores of clips, and for smoothed or corrected scores of frames."""
    plain = ScoreOptions(options.mode, padded=options.padded, faults=options.faults)
    if level != "frame" or options != plain:
        return []
    words = None if explanation is None else explanation.words
    return events_of(detector, scored, tracks, options, words)


def event_at(peak: Peak, events: list[Event], faults: bool) -> Event | None:
    """The event of a clip that a peak is in."""
    for event in events:
        same = faults or bool(event.fault) == bool(peak.fault)
        if event.start <= peak.frame <= event.end and same:
            return event
    return None


def shown(event: Event) -> dict[str, Any]:
    """An event as values of the page."""
    people = list(event.people)
    values = {"id": event.id, "start": event.start, "end": event.end, "people": people}
    return values | {"windows": event.windows, "near": event.near}


def with_events(peaks: list[Peak], alarms: list[Event], clip: int, most: int) -> list[Peak]:
    """The peak of each alarm, in their order, then peaks outside of alarms up to the limit."""
    found = [Peak(clip, event.peak, event.score, event.person) for event in alarms]
    others = [
        peak
        for peak in peaks
        if not any(event.start <= peak.frame <= event.end for event in alarms)
    ]
    return found + others[: max(0, most - len(found))]
