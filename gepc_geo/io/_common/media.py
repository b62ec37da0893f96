"""Recognition of videos and pictures, given in place of poses."""

from __future__ import annotations

from pathlib import Path

_PICTURES = (
    (b"\xff\xd8\xff", 0),
    (b"\x89PNG\r\n\x1a\n", 0),
    (b"GIF87a", 0),
    (b"GIF89a", 0),
    (b"II*\0", 0),
    (b"MM\0*", 0),
    (b"WEBP", 8),
)
_VIDEOS = (
    (b"AVI ", 8),
    (b"\x1a\x45\xdf\xa3", 0),
    (b"FLV\1", 0),
    (b"\0\0\1\xba", 0),
    (b"\0\0\1\xb3", 0),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", 0),
    (b"OggS", 0),
)
# Brands of MP4-like files that hold pictures.
_STILL = (b"avif", b"heic", b"heix", b"mif1")
_PICTURE_ENDINGS = (
    *(".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".heic", ".avif"),
)
_VIDEO_ENDINGS = (
    *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".flv", ".wmv", ".mpg", ".mpeg", ".3gp"),
    *(".ogv", ".mts", ".m2ts", ".h264"),
)


def media_kind(path: Path) -> str:
    """``"a video"``, ``"a picture"`` or an empty string, by the first bytes, then the suffix."""
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
    except OSError:
        return ""
    if start[4:8] == b"ftyp":
        return "a picture" if start[8:12] in _STILL else "a video"
    for kind, marks in (("a picture", _PICTURES), ("a video", _VIDEOS)):
        if any(start[at : at + len(mark)] == mark for mark, at in marks):
            return kind
    ending = path.suffix.lower()
    if ending in _VIDEO_ENDINGS:
        return "a video"
    return "a picture" if ending in _PICTURE_ENDINGS else ""
