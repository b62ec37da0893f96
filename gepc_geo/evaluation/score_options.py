"""Options of score tables, and whether a detector can give them."""

from __future__ import annotations

from dataclasses import dataclass

from gepc_geo.detector.gepc import GEPC, check_detector
from gepc_geo.errors import InputError
from gepc_geo.options import MODES, Options
from gepc_geo.scoring.aggregation import PROTOCOLS

#: Kinds of rows of a score table.
LEVELS = ("joint", "window", "person", "frame", "clip", "event")
# Options that apply to scores of frames only.
_FRAME_OPTIONS = ("protocol", "smooth", "people_correction")


@dataclass
class ScoreOptions:
    """Aggregation of window scores to scores of frames and clips.

    Attributes:
        mode: Scoring mode; ``None``: the detector's. (default: :obj:`None`)
        protocol: ``"corrected"``, or ``"reference"``: the public implementation's frame
            aggregation (centre frame of a window, most normal person, smoothing across clips).
            (default: :obj:`"corrected"`)
        smooth: Standard deviation, in frames, of the Gaussian that smooths a clip's frame scores; 0
            for none. (default: :obj:`0.0`)
        people_correction: Account for the number of people in a frame: the largest of many scores
            is larger than the largest of few by chance alone. (default: :obj:`False`)
        padded: Whether windows of tracks shorter than the shortest window count; ``None``: for
            levels other than ``"frame"`` and ``"event"``. (default: :obj:`None`)
        faults: Judge windows with tracking faults like all others; else they give no scores to
            people, frames and clips. (default: :obj:`False`)
    """

    mode: str | None = None
    protocol: str = "corrected"
    smooth: float = 0.0
    people_correction: bool = False
    padded: bool | None = None
    faults: bool = False

    def check(self, level: str = "frame") -> None:
        """Checks that every value is allowed and applies to scores of ``level``.

        Raises:
            InputError: For the first value that is not allowed or does not apply.
        """
        if self.mode is not None and self.mode not in MODES:
            raise InputError(f"mode must be {' or '.join(MODES)}, got {self.mode!r}")
        if self.protocol not in PROTOCOLS:
            raise InputError(f"protocol must be {' or '.join(PROTOCOLS)}, got {self.protocol!r}")
        if not 0 <= self.smooth < float("inf"):
            raise InputError(f"smooth must be 0 or more frames, got {self.smooth}")
        if self.people_correction and self.protocol == "reference":
            raise InputError("protocol must be 'corrected' with people correction, got 'reference'")
        for name in _FRAME_OPTIONS if level != "frame" else ():
            if getattr(self, name) != getattr(ScoreOptions, name):
                raise InputError(
                    f"level must be frame for {name.replace('_', ' ')} {getattr(self, name)}, "
                    f"got {level}"
                )

    def mode_of(self, detector: GEPC) -> str:
        """The scoring mode of these options, or the detector's.

        Raises:
            InputError: As :meth:`~gepc_geo.GEPC.scoring_mode`.
        """
        return detector.scoring_mode(self.mode)


def check_level(detector: GEPC, level: str, options: ScoreOptions) -> None:
    """Checks that a detector gives scores of a level, before any pose is scored.

    Raises:
        InputError: The detector is none or not fitted; the level is unknown, or is ``"frame"`` or
            ``"event"`` of a detector that scores whole clips; an option does not apply to the
            level; the detector does not have the mode.
    """
    check_detector(detector)
    check_options(detector.options_, level, options)
    options.mode_of(detector)


def check_options(fitted: Options, level: str, options: ScoreOptions) -> None:
    """As :func:`check_level`, for an estimator that was fitted with the options ``fitted``."""
    if level not in LEVELS:
        raise InputError(f"level must be {' or '.join(LEVELS)}, got {level!r}")
    options.check(level)
    if level in ("frame", "event") and fitted.frames is not None:
        raise InputError(
            "level must be joint, window, person or clip for a detector of whole clips "
            f"(frames {fitted.frames}), got {level}"
        )
