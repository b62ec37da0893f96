"""Readers and writers of pose files: a registry, and one module for each format."""

from __future__ import annotations

from gepc_geo.io._common.file_names import file_names
from gepc_geo.io._common.media import media_kind
from gepc_geo.io.reading import Reading, read, read_all
from gepc_geo.io.registry import FORMATS, IN_ONE_FILE, WRITABLE
from gepc_geo.io.writers import write

__all__ = [
    "FORMATS",
    "IN_ONE_FILE",
    "WRITABLE",
    "Reading",
    "file_names",
    "media_kind",
    "read",
    "read_all",
    "write",
]
