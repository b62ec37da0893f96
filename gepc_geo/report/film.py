"""The frames of a film: people on a picture, their ids and scores, and the scores of the clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gepc_geo.report.faces import Heads, blur_heads
from gepc_geo.report.labels import place_labels
from gepc_geo.report.paint import colours
from gepc_geo.report.times import time_text
from gepc_geo.scoring.aggregation import FAULT, NOBODY, SHORT

# Height of the strip below the picture, and of the text in it.
STRIP, _TEXT = 64, 26
# Drawing scale; drawings are reduced afterwards, for smooth lines.
_FINER = 2
_GROUND, _WHITE, _INK, _OUTLINE = (247, 249, 250), (255, 255, 255), (28, 39, 51), (16, 22, 28)
_ALARM, _FAULT = (208, 24, 48), (126, 58, 190)
# Amount of red of a score at the threshold: amber.
_AT_THRESHOLD = 0.55
_WHY = {NOBODY: "nobody in view", SHORT: "not judged", FAULT: "tracking fault"}


def amounts(score: np.ndarray, scores: np.ndarray, threshold: float | None) -> np.ndarray:
    """Amounts of red, from 0 (normal) to 1; NaN without a score.

    They rise from the median of ``scores`` to their 99 % quantile; the threshold is amber.

    Args:
        score: Scores.
        scores: All scores of the poses.
        threshold: Alarm threshold. (``None`` if unknown)
    """
    finite = scores[np.isfinite(scores)]
    low, high = np.quantile(finite, [0.5, 0.99]) if len(finite) else (0.0, 1.0)
    if threshold is None:
        scaled: np.ndarray = np.clip((score - low) / max(high - low, 1e-9), 0, 1)
        return scaled
    low = min(low, threshold - 1e-9)
    high = max(high, threshold + (threshold - low) / 2)
    return np.interp(score, [low, threshold, high], [0.0, _AT_THRESHOLD, 1.0])


@dataclass(frozen=True, eq=False)
class FilmedClip:
    r"""A clip in pixels of the film.

    Attributes:
        points: Joints, :math:`[R, V, 2]`.
        seen: Whether each joint was detected, :math:`[R, V]`.
        score: Scores of person-frames, :math:`[R]`; NaN without a score.
        fault: Whether a person-frame has a tracking fault, :math:`[R]`.
        amount: Amounts of red, :math:`[R]`.
        frame: Frame of each row, :math:`[R]`.
        track: Person of each row, :math:`[R]`.
        bones: Pairs of joints.
        line: Highest score of each frame, :math:`[N]`; NaN without a score.
        line_amount: Amount of red of each frame, :math:`[N]`.
        state: What was judged in each frame, :math:`[N]`
            (:data:`gepc_geo.scoring.aggregation.STATES`).
        threshold: Alarm threshold and its amount of red.
        fps: Frames a second; NaN if unknown.
        size: Width and height of the picture.
        heads: Heads to blur.
    """

    points: np.ndarray
    seen: np.ndarray
    score: np.ndarray
    fault: np.ndarray
    amount: np.ndarray
    frame: np.ndarray
    track: np.ndarray
    bones: tuple[tuple[int, int], ...]
    line: np.ndarray
    line_amount: np.ndarray
    state: np.ndarray
    threshold: float | None
    fps: float
    size: tuple[int, int]
    heads: Heads | None


class Painter:
    """Draws the frames of a film.

    Args:
        clip: The clip.
        first: First frame of the strip below the picture.
        end: Frame after the last of the strip.
    """

    def __init__(self, clip: FilmedClip, first: int, end: int) -> None:
        from PIL import ImageFont

        self.clip, self._first, self._end = clip, first, end
        width, height = clip.size
        self.size = (width, height + STRIP)
        self._thick = max(2, round(max(clip.size) / 300)) * _FINER
        self._paint = colours(clip.amount).round().astype(int)
        # The most abnormal person is drawn last, on top.
        self._order = np.lexsort((np.nan_to_num(clip.amount, nan=-1), clip.frame))
        self._starts = np.searchsorted(clip.frame[self._order], np.arange(len(clip.line) + 1))
        self._label_font: Any = ImageFont.load_default(
            size=max(11, round(max(clip.size) / 62)) * _FINER
        )
        self._font = self._fitting_font()
        self._strip = self._draw_strip()

    def draw(self, number: int, picture: Any | None) -> Any:
        """Draws a frame.

        Args:
            number: Frame number.
            picture: Picture to draw on. (``None``: blank)

        Returns:
            RGB picture of Pillow.
        """
        from PIL import Image, ImageDraw

        width, height = self.clip.size
        image = Image.new("RGB", self.size, _GROUND)
        if picture is not None:
            picture = picture if picture.size == self.clip.size else picture.resize(self.clip.size)
            if self.clip.heads is not None:
                blur_heads(picture, self.clip.heads.at(number))
            image.paste(picture, (0, 0))
        over = Image.new("RGBA", (width * _FINER, height * _FINER), (0, 0, 0, 0))
        draw = ImageDraw.Draw(over)
        rows = self._order[self._starts[number] : self._starts[number + 1]]
        for row in rows.tolist():
            self._draw_person(draw, row)
        self._draw_labels(draw, [row for row in reversed(rows.tolist()) if self._is_seen(row)])
        small = over.resize(self.clip.size, Image.Resampling.BOX)
        image.paste(small, (0, 0), small)
        image.paste(self._strip_at(number), (0, height))
        return image

    def _is_seen(self, row: int) -> bool:
        return bool(self.clip.seen[row].any())

    def _colour(self, row: int) -> tuple[int, ...]:
        return _FAULT if self.clip.fault[row] else tuple(self._paint[row].tolist())

    def _draw_person(self, draw: Any, row: int) -> None:
        """Draws a skeleton and a box; dark outlines show on any ground."""
        if not self._is_seen(row):
            return
        clip, colour = self.clip, self._colour(row)
        box = (self._box(row) * _FINER).tolist()
        # Bones of small people are thin: the person stays visible.
        longer = max(box[2] - box[0], box[3] - box[1])
        thick = round(min(self._thick, max(_FINER, longer / 45)))
        joints = [(x * _FINER, y * _FINER) for x, y in clip.points[row].tolist()]
        bones = [
            [joints[a], joints[b]] for a, b in clip.bones if clip.seen[row, a] and clip.seen[row, b]
        ]
        visible = [joint for joint, seen in zip(joints, clip.seen[row], strict=True) if seen]
        for paint, more in ((_OUTLINE, _FINER // 2), (colour, 0)):
            for bone in bones:
                draw.line(bone, fill=paint, width=thick + 2 * more)
            radius = 0.8 * thick + more
            for x, y in visible:
                draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=paint)
        if clip.fault[row]:
            _dashed(draw, box, colour, self._thick // 2)
        else:
            for paint, more in ((_OUTLINE, _FINER), (colour, 0)):
                wide = [box[0] - more, box[1] - more, box[2] + more, box[3] + more]
                draw.rectangle(wide, outline=paint, width=self._thick // 2 + 2 * more)

    def _box(self, row: int) -> np.ndarray:
        """Box around the detected joints of a person, in the picture."""
        points = self.clip.points[row][self.clip.seen[row]]
        low, high = points.min(0), points.max(0)
        edge = 3 + 0.06 * float((high - low).max())
        box = np.concatenate([low - edge, high + edge])
        limits = np.array(self.clip.size * 2) - 1
        return np.clip(box, 0, limits)

    def _draw_labels(self, draw: Any, rows: list[int]) -> None:
        """Draws id and score of the people, the most abnormal first."""
        if not rows:
            return
        font, edge = self._label_font, 3 * _FINER
        texts = [self._label(row) for row in rows]
        high = sum(font.getmetrics()) + edge
        sizes = np.array([(font.getlength(text) + 2 * edge, high) for text in texts])
        boxes = np.stack([self._box(row) for row in rows]) * _FINER
        width, height = self.clip.size
        places = place_labels(boxes, sizes, width * _FINER, height * _FINER, _FINER)
        for row, text, (x, y), size, box in zip(rows, texts, places, sizes, boxes, strict=True):
            colour = self._colour(row)
            area = [x, y, x + size[0], y + size[1]]
            near = (np.clip(x + size[0] / 2, box[0], box[2]), np.clip(y, box[1], box[3]))
            if abs(near[0] - x - size[0] / 2) > size[0] or abs(near[1] - y) > 2 * high:
                draw.line([x + size[0] / 2, y + high / 2, *near], fill=colour, width=_FINER)
            alarm = self.clip.threshold is not None and (
                self.clip.score[row] >= self.clip.threshold
            )
            fill = colour if self.clip.fault[row] else _ALARM if alarm else _OUTLINE
            draw.rectangle(area, fill=fill, outline=colour, width=_FINER)
            draw.text((x + edge, y + edge / 2), text, fill=_WHITE, font=font)

    def _label(self, row: int) -> str:
        score, person = self.clip.score[row], int(self.clip.track[row])
        if self.clip.fault[row]:
            return f"{person} tracking fault"
        return f"{person}" if np.isnan(score) else f"{person} · {score:.2f}"

    # -- the strip below the picture ---------------------------------------------------------------

    def _texts(self, number: int) -> tuple[str, str]:
        """Moment, and score and threshold, of a frame."""
        clip = self.clip
        moment = "   ".join(filter(None, [time_text(number, clip.fps), f"frame {number}"]))
        value = clip.line[number]
        text = (
            f"no score: {_WHY[int(clip.state[number])]}"
            if np.isnan(value)
            else f"score {value:.2f}"
        )
        return (
            moment,
            text if clip.threshold is None else f"{text} · threshold {clip.threshold:.2f}",
        )

    def _fitting_font(self) -> Any:
        """The largest font in which all texts fit side by side."""
        from PIL import ImageFont

        last = len(self.clip.line) - 1
        value = float(np.nanmax(np.abs(self.clip.line), initial=0.0))
        longest = f"{' '.join(self._texts(last))} no score: tracking fault {value:.2f}"
        for size in range(15, 4, -1):
            font = ImageFont.load_default(size=size * _FINER)
            if font.getlength(longest) <= (self.size[0] - 24) * _FINER:
                break
        return font

    def _across(self, number: float) -> float:
        return 8 + (number - self._first) / (self._end - self._first) * (self.size[0] - 16)

    def _draw_strip(self) -> Any:
        """Bars of the scores, and the threshold; frames without a score have none."""
        from PIL import Image, ImageDraw

        clip = self.clip
        strip = Image.new("RGB", (self.size[0] * _FINER, STRIP * _FINER), _WHITE)
        draw = ImageDraw.Draw(strip)
        low, high = (STRIP - 6) * _FINER, (_TEXT + 4) * _FINER
        paint = colours(clip.line_amount).round().astype(int)
        for number in range(self._first, self._end):
            edges = [self._across(number) * _FINER, self._across(number + 1) * _FINER]
            if clip.state[number] == FAULT:
                draw.rectangle([edges[0], low - 2 * _FINER, edges[1], low], fill=_FAULT)
            if not np.isnan(clip.line[number]):
                top = low - max(2.0, clip.line_amount[number] * (low - high))
                draw.rectangle([edges[0], top, edges[1], low], fill=tuple(paint[number].tolist()))
        if clip.threshold is not None:
            up = low - _AT_THRESHOLD * (low - high)
            draw.line([8 * _FINER, up, (self.size[0] - 8) * _FINER, up], fill=_INK, width=1)
        return strip

    def _strip_at(self, number: int) -> Any:
        """The strip with the moment of the film."""
        from PIL import Image, ImageDraw

        strip = self._strip.copy()
        draw = ImageDraw.Draw(strip)
        moment, score = self._texts(number)
        value, threshold = self.clip.line[number], self.clip.threshold
        alarm = threshold is not None and value >= threshold
        middle = _TEXT * _FINER / 2
        draw.text((8 * _FINER, middle), moment, fill=_INK, font=self._font, anchor="lm")
        draw.text(
            ((self.size[0] - 8) * _FINER, middle),
            score,
            fill=_ALARM if alarm else _INK,
            font=self._font,
            anchor="rm",
        )
        now = self._across(number + 0.5) * _FINER
        draw.line([now, _TEXT * _FINER, now, (STRIP - 3) * _FINER], fill=_INK, width=2 * _FINER)
        return strip.resize((self.size[0], STRIP), Image.Resampling.BOX)


def _dashed(draw: Any, box: list[float], colour: tuple[int, ...], thick: int) -> None:
    """Draws a rectangle of dashes with dark outlines."""
    left, top, right, bottom = box
    dash = 4 * thick
    for across, fixed in ((True, top), (True, bottom), (False, left), (False, right)):
        start, end = (left, right) if across else (top, bottom)
        for at in np.arange(start, end, 2 * dash).tolist():
            stop = min(at + dash, end)
            line = [at, fixed, stop, fixed] if across else [fixed, at, fixed, stop]
            draw.line(line, fill=_OUTLINE, width=thick + _FINER)
            draw.line(line, fill=colour, width=thick)
