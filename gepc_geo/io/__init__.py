"""Reading poses from files, and writing them: one registry, one small module for each format."""

from __future__ import annotations

from gepc_geo.io.reading import Reading, read, read_all
from gepc_geo.io.registry import FORMATS, IN_ONE_FILE, WRITABLE
from gepc_geo.io.writers import write

__all__ = ["FORMATS", "IN_ONE_FILE", "WRITABLE", "Reading", "read", "read_all", "write"]
