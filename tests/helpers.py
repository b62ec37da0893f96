"""What several test modules use: a network small enough to train in a moment, scripts as modules."""

from __future__ import annotations

import importlib.util
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

from pytest import MonkeyPatch
from torch.utils._python_dispatch import TorchDispatchMode

ROOT = Path(__file__).parent.parent
#: Options of a detector that trains in a moment.
NETWORK = dict(
    encoder_channels=[2, 2, 2],
    strides=[1, 2, 3],
    decoder_channels=[2, 2],
    hidden=1,
    clusters=3,
    components=2,
    stride=4,
    augment="flip",
    precision="fp32",
)


def script(path: str) -> ModuleType:
    """A script of the project as a module, without running it."""
    spec = importlib.util.spec_from_file_location(Path(path).stem + "_script", ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shrink_demo(monkeypatch: MonkeyPatch) -> None:
    """The command ``demo`` on a crowd of few short clips, every kind of anomaly among them."""
    crowd = {"train_clips": 12, "test_clips": 9, "frames_per_clip": 48}
    # The package's attribute of that name is the command, not the module.
    module = sys.modules["gepc_geo.cli.demo"]
    monkeypatch.setattr(module, "run_demo", partial(module.run_demo, crowd=crowd))


class NoReading(TorchDispatchMode):
    """Fails where a value would be read back from the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert name not in ("_local_scalar_dense", "nonzero", "is_nonzero"), name
        return func(*args, **(kwargs or {}))
