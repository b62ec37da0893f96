"""Frames of videos and of folders of pictures, decoded one after the other."""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io import media_kind
from gepc_geo.poses.tracks import PoseTracks
from gepc_geo.scoring.metrics import runs
from gepc_geo.utils.files import as_text

_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


class Frames(ABC):
    """The frames of one clip, from a video or a folder of pictures.

    Args:
        path: The video or the folder.

    Attributes:
        path: The video or the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """Width and height of a frame in pixels."""

    @property
    @abstractmethod
    def fps(self) -> float:
        """Frames a second; NaN if unknown."""

    @abstractmethod
    def check_count(self, count: int) -> None:
        """Checks that there are at least ``count`` frames.

        Raises:
            InputError: There are fewer.
        """

    @abstractmethod
    def read(self, numbers: Sequence[int]) -> Iterator[Any]:
        """Yields frames as RGB pictures of Pillow, one at a time.

        Args:
            numbers: Numbers of frames, from 0, rising.

        Raises:
            InputError: A frame cannot be read.
        """


class PictureFrames(Frames):
    """The pictures of a folder, in natural order of their names.

    Raises:
        InputError: ``path`` is no folder.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        if not path.is_dir():
            raise InputError(f"{path} must be a folder of pictures")
        self._paths = sorted(
            (one for one in path.iterdir() if one.suffix.lower() in _PICTURES), key=_natural
        )

    @property
    def size(self) -> tuple[int, int]:
        """Size of the first picture."""
        self.check_count(1)
        return tuple(next(self.read([0])).size)

    @property
    def fps(self) -> float:
        """NaN: pictures have no rate."""
        return float("nan")

    def check_count(self, count: int) -> None:
        """As :meth:`Frames.check_count`."""
        if len(self._paths) < count:
            raise InputError(
                f"{self.path} must have {count} pictures, one for each frame of the clip, got "
                f"{len(self._paths)}"
            )

    def read(self, numbers: Sequence[int]) -> Iterator[Any]:
        """As :meth:`Frames.read`."""
        from PIL import Image

        for number in numbers:
            path = self._paths[number]
            try:
                with Image.open(path) as picture:
                    yield picture.convert("RGB")
            except (OSError, SyntaxError, Image.DecompressionBombError) as error:
                raise InputError(f"could not read picture {path}: {error}") from None


class VideoFrames(Frames):
    """The frames of a video, decoded by FFmpeg.

    Raises:
        InputError: The file is no video, or a package of the extra ``video`` is not installed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        check_installed("imageio_ffmpeg", "to read videos")
        if media_kind(path) == "a picture" and path.suffix.lower() != ".gif":
            raise InputError(f"{path} must be a video, got a picture (--frames-dir takes pictures)")

    @cached_property
    def _meta(self) -> dict[str, Any]:
        with self._decoded() as stream:
            return stream.meta

    @property
    def size(self) -> tuple[int, int]:
        """Size of the frames, after the rotation that the file asks for."""
        width, height = self._meta["size"]
        return int(width), int(height)

    @property
    def fps(self) -> float:
        """The rate in the file; NaN if it has none."""
        return float(self._meta["fps"]) or float("nan")

    def check_count(self, count: int) -> None:
        """As :meth:`Frames.check_count`.

        Frames are counted only if there may be too few by the header of the file: :meth:`read`
        refuses a video that ends earlier.
        """
        # 1: rounded durations.
        if self._meta["duration"] * self._meta["fps"] < count + 1 and self._counted() < count:
            raise self._too_short(count)

    def read(self, numbers: Sequence[int]) -> Iterator[Any]:
        """As :meth:`Frames.read`."""
        from PIL import Image

        with self._decoded(numbers) as stream:
            size = stream.meta["size"]
            count = 0
            for data in islice(stream.frames, len(numbers)):
                yield Image.frombytes("RGB", size, data)
                count += 1
        if count < len(numbers):
            raise self._too_short(numbers[-1] + 1)

    def _decoded(self, numbers: Sequence[int] | None = None) -> _Stream:
        return _Stream(self.path, numbers)

    def _counted(self) -> int:
        from imageio_ffmpeg import count_frames_and_secs

        found: int = count_frames_and_secs(str(self.path.resolve()))[0]
        return found

    def _too_short(self, count: int) -> InputError:
        return InputError(
            f"{self.path} must have {count:,} frames, as many as the clip of the poses, got "
            f"{self._counted():,}"
        )


class _Stream:
    """FFmpeg's output of some frames of a video, as a context manager.

    Attributes:
        meta: FFmpeg's description of the video.
        frames: The bytes of each frame.
    """

    meta: dict[str, Any]
    frames: Iterator[bytes]

    def __init__(self, path: Path, numbers: Sequence[int] | None) -> None:
        self._path = path
        # Frames by number: without times, FFmpeg neither repeats nor drops frames to keep a rate.
        filters = ["settb=1", "setpts=N*1000"]
        if numbers is not None:
            filters.insert(0, f"select='{_between(numbers)}'")
        self._output = ["-an", "-vf", ",".join(filters), "-r", "1/1000"]

    def __enter__(self) -> _Stream:
        from imageio_ffmpeg import read_frames

        self._reader = read_frames(str(self._path.resolve()), output_params=self._output)
        # It warns of rotated videos, which it reads rightly.
        logger = logging.getLogger("imageio_ffmpeg")
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            self.meta = next(self._reader)
        except (OSError, IndexError, AttributeError):
            # FFmpeg's output is long, and differs between versions.
            raise InputError(
                f"{self._path} must be a video, got a file without frames that FFmpeg can decode"
            ) from None
        finally:
            logger.setLevel(level)
        self.frames = self._read()
        return self

    def _read(self) -> Iterator[bytes]:
        try:
            yield from self._reader
        except RuntimeError:
            # A frame was cut off; the reader of this stream counts the frames.
            return

    def __exit__(self, *_: object) -> None:
        self._reader.close()


class Footage:
    """The videos, or folders of pictures, of the clips of poses.

    Args:
        path: A video or a folder of pictures, for one clip; or a folder of videos, or of folders of
            pictures, with the names of the clips.
        kind: ``"video"`` or ``"pictures"``.

    Raises:
        InputError: ``path`` does not exist, or the extra ``video`` is not installed.
    """

    def __init__(self, path: str | Path, kind: str) -> None:
        if kind not in ("video", "pictures"):
            raise InputError(f"kind must be video or pictures, got {kind!r}")
        self.path, self.kind = Path(path), kind
        check_installed("PIL", "to draw on frames")
        if kind == "video" and not self.path.exists():
            raise InputError(f"{self.path} does not exist")
        if kind == "pictures" and not self.path.is_dir():
            raise InputError(f"{self.path} must be a folder of pictures")

    @property
    def _of_one_clip(self) -> bool:
        if self.kind == "video":
            return not self.path.is_dir()
        inside = list(self.path.iterdir())
        return any(one.suffix.lower() in _PICTURES for one in inside) or not any(
            one.is_dir() for one in inside
        )

    def of_clips(self, names: Sequence[str]) -> dict[int, Frames]:
        """Matches clips to their frames.

        The only clip matches a video, or a folder of pictures, of any name. Of several clips, the
        one with its name does.

        Args:
            names: Names of the clips.

        Returns:
            Frames by position of the clip, for at least one clip.

        Raises:
            InputError: No clip has frames.
        """
        frames = VideoFrames if self.kind == "video" else PictureFrames
        if self._of_one_clip:
            own = self.path.stem if self.kind == "video" else self.path.name
            chosen = [i for i, name in enumerate(names) if as_text(name) == as_text(own)]
            chosen = [0] if len(names) == 1 else chosen
            if not chosen:
                raise InputError(
                    f"{self.path} must have the name of one of the {len(names)} clips, such as "
                    f"{names[0]!r}, or the poses must be of one clip, got {own!r}"
                )
            return {chosen[0]: frames(self.path)}
        found = {i: path for i, name in enumerate(names) if (path := self._place(name)) is not None}
        if not found:
            things = "videos" if self.kind == "video" else "folders of pictures"
            raise InputError(
                f"{self.path} must have {things} with the names of clips, such as "
                f"{next(iter(names), '(no clips)')!r}, got none"
            )
        return {i: frames(path) for i, path in found.items()}

    def _place(self, name: str) -> Path | None:
        """The video or folder of a clip."""
        place = self.path / name
        # Names come from files: they lead nowhere else.
        if not name or not place.resolve().is_relative_to(self.path.resolve()):
            return None
        if self.kind == "pictures":
            return place if place.is_dir() and place != self.path else None
        if not place.parent.is_dir():
            return None
        return next(
            (
                one
                for one in sorted(place.parent.iterdir())
                if one.stem == place.name and media_kind(one) == "a video"
            ),
            None,
        )


def check_installed(module: str, purpose: str) -> None:
    """Checks that a package of the extra ``video`` is installed.

    Args:
        module: Name of the package.
        purpose: What it is for, in words.

    Raises:
        InputError: It is not installed.
    """
    if find_spec(module) is None:
        raise InputError(f"{module} must be installed {purpose}: pip install 'gepc_geo[video]'")


def pixels_of(tracks: PoseTracks, number: int, size: tuple[int, int]) -> tuple[float, float]:
    """Factors from the positions of a clip to pixels of its frames, across and down.

    Args:
        tracks: Poses.
        number: Index of the clip.
        size: Width and height of the frames.

    Raises:
        InputError: The poses are in 3D, which have no place in a picture.
    """
    if tracks.dims != 2:
        raise InputError(
            f"poses must be in 2D for the pictures behind them, got {tracks.dims} coordinates"
        )
    known = tracks.image_size[number].astype(np.float64)
    # Poses without a picture size are in pixels of their frames.
    width, height = size if np.isnan(known).any() else known.tolist()
    return size[0] / width, size[1] / height


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in re.split(r"(\d+)", path.name)]


def _between(numbers: Sequence[int]) -> str:
    """FFmpeg's expression for the numbers of frames."""
    chosen = np.zeros(max(numbers, default=-1) + 1, dtype=bool)
    chosen[list(numbers)] = True
    return "+".join(f"between(n,{a},{b - 1})" for a, b in runs(chosen).tolist()) or "0"
