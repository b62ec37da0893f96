"""DeepLabCut's tables in HDF5, with the same content as its CSV files.

pandas writes these files with PyTables, and both unpickle attributes of a file, which can execute
code. This reader reads values as arrays, and the pickled lists of column names as plain containers
(:mod:`gepc_geo.io._common.unpickle`).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.io._common.cells import MAX_COLUMNS
from gepc_geo.io._common.clip import Clips
from gepc_geo.io._common.unpickle import parse_pickle
from gepc_geo.io.formats.deeplabcut import Table, clip_of_table, frames_of_index
from gepc_geo.poses.schema import MAX_FRAMES, MAX_VALUE
from gepc_geo.poses.skeleton import Skeleton

_KIND = "a DeepLabCut table in HDF5"
_MAGIC = b"\x89HDF\r\n\x1a\n"
# Largest number of values in one table: 2 GiB.
_MOST = 2**28
# Levels of column names: scorer, (individuals,) bodyparts, coords.
_LEVELS = (3, 4)


def detect(path: Path) -> bool:
    """Whether a file begins as HDF5."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def read_deeplabcut_h5(path: Path, skeleton: Skeleton | None) -> Clips:
    """Reads one video, as :func:`gepc_geo.io.formats.deeplabcut.read_deeplabcut`.

    Raises:
        InputError: Another kind of file, a table without all joints of a skeleton, or h5py is
            missing.
    """
    try:
        import h5py
    except ImportError:
        raise InputError(
            f"h5py must be installed to read {path} (pip install 'gepc_geo[hdf5]'); tables in CSV "
            "need no h5py"
        ) from None
    try:
        with h5py.File(path, "r") as file:
            table = _Reader(path, h5py).table(file)
    except InputError:
        raise
    except Exception as error:
        # Damage causes exceptions of any type in the library.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"could not read {path} as {_KIND}: {reason}") from None
    return clip_of_table(table, path, skeleton)


# -- inner -----------------------------------------------------------------------------------------


class _Reader:
    """Reads the two formats of pandas with h5py."""

    def __init__(self, path: Path, h5py: Any) -> None:
        self._path, self._h5py = path, h5py

    def table(self, file: Any) -> Table:
        """Reads the only table of a file."""
        kinds = {
            name: self._text(group, "pandas_type")
            for name in file
            if isinstance(group := self._item(file, name), self._h5py.Group)
        }
        found = [name for name, kind in kinds.items() if kind in ("frame", "frame_table")]
        if len(found) != 1:
            raise InputError(f"{self._path} must be {_KIND}, got {len(found)} tables of pandas")
        group = file[found[0]]
        if kinds[found[0]] == "frame":
            columns, index, values = self._fixed(group)
        else:
            columns, index, values = self._appendable(group)
        if index.ndim != 1 or index.dtype.kind not in "iuS" or len(index) != len(values):
            raise self._wrong("rows that are no numbered frames")
        if index.dtype.kind == "S":
            # The index has names of pictures.
            texts = [one.decode("utf-8", "replace") for one in index.tolist()]
            index = frames_of_index(texts, range(1, len(texts) + 1), self._path)
        if not values.shape[1] == len(columns) <= MAX_COLUMNS:
            raise self._wrong(f"{values.shape[1]} columns for {len(columns)} names")
        if (np.abs(values) > MAX_VALUE).any():
            raise self._wrong(f"a value that is infinite or over {MAX_VALUE:g}")
        names = [(key[1] if len(key) == _LEVELS[1] else "", key[-2], key[-1]) for key in columns]
        return Table(names, index.astype(np.int64), values)

    def _appendable(self, group: Any) -> tuple[list[tuple[str, ...]], np.ndarray, np.ndarray]:
        """Reads the ``table`` format: rows of an index and blocks of columns."""
        dataset = self._item(group, "table")
        fields = (dataset.dtype.names or ()) if isinstance(dataset, self._h5py.Dataset) else ()
        if "index" not in fields:
            raise self._wrong("rows that are no numbered frames")
        rows = self._array(dataset)
        columns: list[tuple[str, ...]] = []
        blocks = []
        for name in fields:
            if not name.startswith("values_block_"):
                continue
            kind = dataset.attrs.get(f"{name}_kind")
            names = parse_pickle(bytes(kind), self._path, _KIND) if kind is not None else None
            if not isinstance(names, list) or not all(map(_is_name, names)):
                raise self._wrong("columns of unknown names")
            columns += names
            blocks.append(self._numbers(rows[name].reshape(len(rows), -1)))
        return columns, rows["index"], np.concatenate([np.zeros((len(rows), 0)), *blocks], axis=1)

    def _fixed(self, group: Any) -> tuple[list[tuple[str, ...]], np.ndarray, np.ndarray]:
        """Reads the ``fixed`` format: arrays of the axes and of the blocks."""
        if "axis1" not in group:
            raise self._wrong("rows that are no numbered frames")
        index = self._array(self._item(group, "axis1"))
        columns: list[tuple[str, ...]] = []
        blocks = []
        count = self._count(group, "nblocks", MAX_COLUMNS)
        # The sum is checked before reading: blocks may be one array many times.
        sizes = [self._size(self._item(group, f"block{block}_values")) for block in range(count)]
        if sum(sizes) > 8 * _MOST:
            raise self._wrong(f"arrays of {sum(sizes)} bytes")
        for block in range(count):
            levels = []
            for level in range(self._count(group, f"block{block}_items_nlevels", _LEVELS[1])):
                texts = self._array(self._item(group, f"block{block}_items_level{level}"))
                codes = self._array(self._item(group, f"block{block}_items_label{level}"))
                if texts.dtype.kind != "S" or codes.dtype.kind not in "iu":
                    raise self._wrong("columns of unknown names")
                if not ((codes >= 0) & (codes < len(texts))).all():
                    raise self._wrong("columns of unknown names")
                levels.append([texts[code].decode("utf-8") for code in codes])
            columns += zip(*levels, strict=True)
            blocks.append(self._numbers(self._array(self._item(group, f"block{block}_values"))))
        if not all(map(_is_name, columns)) or not blocks:
            raise self._wrong("columns of unknown names")
        return columns, index, np.concatenate(blocks, axis=1)

    def _item(self, group: Any, name: str) -> Any:
        """An item of a group; links to other files are refused."""
        link = group.get(name, getlink=True)
        if link is None:
            raise self._wrong(f"no {name}")
        if not isinstance(link, self._h5py.HardLink):
            raise self._wrong(f"a link called {name!r:.40}")
        return group[name]

    def _array(self, dataset: Any) -> np.ndarray:
        """Reads a data set within the file, up to the size of a table."""
        if not isinstance(dataset, self._h5py.Dataset) or dataset.dtype.hasobject:
            raise self._wrong("something other than arrays of numbers and names")
        if dataset.external or dataset.is_virtual:
            raise self._wrong("values in other files")
        size = self._size(dataset)
        if size > 8 * _MOST or (dataset.shape and dataset.shape[0] > MAX_FRAMES):
            raise self._wrong(f"an array of {size} bytes")
        return np.asarray(dataset[()])

    def _size(self, dataset: Any) -> int:
        """Uncompressed size in bytes."""
        if not isinstance(dataset, self._h5py.Dataset):
            raise self._wrong("something other than arrays of numbers and names")
        return int(math.prod(dataset.shape) * dataset.dtype.itemsize)

    def _numbers(self, values: np.ndarray) -> np.ndarray:
        if values.ndim != 2 or values.dtype.kind not in "iuf":
            raise self._wrong("columns that are no numbers")
        return values.astype(np.float64)

    def _count(self, group: Any, name: str, most: int) -> int:
        count = group.attrs.get(name)
        if not isinstance(count, np.integer) or not 0 < count <= most:
            raise self._wrong(f"{name} {count!r:.40}")
        return int(count)

    def _text(self, group: Any, name: str) -> str:
        value = group.attrs.get(name)
        return bytes(value).decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def _wrong(self, what: str) -> InputError:
        return InputError(f"{self._path} must be {_KIND}, got {what}")


def _is_name(one: Any) -> bool:
    """Whether ``one`` is a column name of DeepLabCut."""
    return (
        isinstance(one, tuple)
        and len(one) in _LEVELS
        and all(isinstance(text, str) for text in one)
    )
