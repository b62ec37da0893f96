"""Every option of a detector, in one place: the estimator's parameters and the command line's flags."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.options.metadata import check_value, default_of, option, written_name

#: Adjacencies of the graph convolution, and kinds of attention of the inferred one, as :mod:`gepc_geo.nn` has
#: them; written out, as the command line's help imports this module and must not import PyTorch.
BRANCHES = ("static", "global", "inferred")
ATTENTIONS = ("dot", "scaled_dot", "additive")
#: Scoring modes that need the trained network: of the soft assignment (section 3.4 of the paper), its largest
#: part, the latent, what reconstruction leaves over.
NETWORK_MODES = ("assignment", "max", "latent", "reconstruction")
#: Scoring modes of the window itself: how far it is from normal ones, how well it is told from altered copies.
WINDOW_MODES = ("nearest", "altered")
#: The mean of tail probabilities of :data:`WINDOW_MODES`.
COMBINED = "combined"
#: What a window's anomaly score can be computed from.
MODES = (COMBINED, *WINDOW_MODES, *NETWORK_MODES)
#: Options that only a network's training and scores depend on.
NETWORK_OPTIONS = (
    *("branches", "attention", "hidden", "encoder_channels", "strides", "decoder_channels"),
    *("kernel_size", "dropout", "assignment", "target", "components", "density"),
    *("covariance", "whitened_dims", "budget", "patience", "cluster_share", "batch_size", "lr"),
    *("cluster_lr", "weight_decay", "cluster_weight", "target_updates", "label_tolerance"),
    *("clip_norm", "precision", "compile", "checkpoint_seconds"),
)
# Frames a second where nobody knows.
_USUAL_FPS = 24.0

#: NumPy and scikit-learn take none above it.
MAX_SEED = 2**32 - 1


@dataclass
class Options:
    """What a detector is made of; each field is a parameter of :class:`gepc_geo.GEPC` and a flag.

    The fields' ``metadata`` holds their help text and limits; :meth:`check` enforces them.
    """

    __signature__: ClassVar[inspect.Signature]

    # -- windows -------------------------------------------------------------------------------
    lengths: list[str] = option(
        ["0.5s", "1s", "2s"],
        "Lengths of windows, in seconds (0.5s; at 24 frames a second where the rate is unknown) or in "
        "frames (12). A person is scored by those that the track is long enough for.",
    )
    stride: int = option(8, "Frames between the starts of training windows.", low=1)
    score_stride: int = option(1, "Frames between the starts of scored windows.", low=1)
    max_gap: int = option(3, "Missing frames to interpolate; a longer gap splits a track.", low=0)
    frames: int | None = option(
        None,
        "Clip-level sets: stretch each person's clip to this many frames, one window; lengths do not apply.",
        low=2,
    )
    # -- input ---------------------------------------------------------------------------------
    scale: str = option(
        "rms",
        "What a pose is divided by: torso length, box height, RMS distance to its centre, or the "
        "image size.",
        choices=("torso", "height", "rms", "image"),
    )
    center: str = option(
        "frame",
        "What is subtracted: the window's mean position, or each frame's.",
        choices=("window", "frame"),
    )
    align: bool = option(True, "Turn 3D poses so that the shoulder line lies along x.")
    motion: bool = option(True, "Keep the person's motion through the image as extra channels.")
    coefficients: int = option(
        6,
        "Lowest frequencies over time that are kept of each joint, at most as many as the shortest window "
        "has frames; 0: the frames themselves.",
        low=0,
    )
    motion_coefficients: int = option(
        3, "The same of the person's motion, at most as many as of joints.", low=1
    )
    augment: str = option(
        "vary",
        "Augmentations, drawn per window in training; vary: flip, with small turns, cuts and changes of speed; "
        "paper: identity, flip, rot90, flip+rot90, rot45.",
        choices=("none", "flip", "vary", "paper"),
    )
    # -- model ---------------------------------------------------------------------------------
    branches: list[str] = option(
        list(BRANCHES),
        "Adjacencies of the graph convolution; static alone: in the block of ST-GCN.",
        choices=BRANCHES,
    )
    attention: str = option(
        "dot",
        "Attention of the inferred adjacency: dot product (the paper's), divided by the root of its "
        "length, or additive as in GAT.",
        choices=ATTENTIONS,
    )
    hidden: int = option(8, "Channel unit h; all channel counts are multiples of it.", low=1)
    encoder_channels: list[int] = option(
        [4, 4, 4, 6, 6, 6, 8, 8, 4], "Encoder blocks' channels, in units of h.", low=1
    )
    strides: list[int] = option(
        [1, 1, 2, 1, 1, 3, 1, 1, 1], "Encoder blocks' temporal strides.", low=1
    )
    decoder_channels: list[int] = option(
        [4, 8, 8, 6, 6, 6], "Decoder blocks' channels, in units of h.", low=1
    )
    kernel_size: int = option(9, "Frames a temporal convolution sees (odd).", low=1)
    dropout: float = option(0.0, "Dropout in the blocks.", low=0, high=0.95)
    # -- clustering and mixture ----------------------------------------------------------------
    clusters: int = option(10, "Number of clusters K.", low=2)
    assignment: str = option(
        "softmax", "Soft assignment: eq. 1 or Student-t.", choices=("softmax", "student")
    )
    target: str = option(
        "dec",
        "Target distribution: eq. 3 as printed, or DEC's p^2/f.",
        choices=("paper", "dec"),
    )
    components: int = option(10, "Components of the Dirichlet process mixture.", low=1)
    density: str = option(
        "gaussian-ilr",
        "Mixture of the assignment mode: Gaussians on log-ratios of p, Gaussians on p (the public "
        "implementation's), or Dirichlet components.",
        choices=("gaussian-ilr", "gaussian-p", "dirichlet"),
    )
    covariance: str = option("full", "Covariance of Gaussians.", choices=("full", "diag"))
    whitened_dims: int = option(
        64, "Principal components that the latent and reconstruction modes keep.", low=1
    )
    mode: str = option(
        COMBINED,
        "What the anomaly score is computed from; combined is the mean of nearest and altered, the others "
        "train an autoencoder.",
        choices=MODES,
    )
    holdout: float = option(
        0.1,
        "Share of the training clips kept out of training, to see when it has converged and to "
        "calibrate scores.",
        low=0,
        high=0.5,
    )
    contamination: float = option(
        0.05, "Share of held-out normal windows above the stored threshold.", low=1e-6, high=0.5
    )
    # -- training ------------------------------------------------------------------------------
    budget: int | None = option(
        None,
        "Window passes of training, over both stages together; 0: untrained; converge: the first "
        "stage ends when the loss of held-out windows does not fall any more.",
        low=0,
        none="converge",
    )
    patience: int = option(
        200,
        "Steps in which the loss of held-out windows has to fall by 1 % where there is no budget: "
        "else the learning rate falls to a tenth, and the next time the stage ends.",
        low=4,
    )
    cluster_share: float = option(
        0.25,
        "Share of the passes (without a budget: at most) that goes to the clustering stage.",
        low=0,
        high=1,
    )
    batch_size: int = option(64, "Windows a step.", low=2)
    lr: float = option(
        1e-3,
        "Peak learning rate of the first stage (Adam; with a budget it falls as a cosine).",
        low=0,
    )
    cluster_lr: float = option(3e-4, "Peak learning rate of the clustering stage.", low=0)
    weight_decay: float = option(1e-5, "Adam's weight decay.", low=0)
    cluster_weight: float = option(0.6, "Weight lambda of the clustering loss (eq. 4).", low=0)
    target_updates: int = option(5, "E steps in the clustering stage.", low=1)
    label_tolerance: float = option(
        0.001, "Clustering stops when fewer labels than this share change.", low=0, high=1
    )
    clip_norm: float = option(1.0, "Largest norm of each loss's gradient.", low=1e-6)
    precision: str = option(
        "auto",
        "Arithmetic of the network; auto: bf16 on CPUs with AMX-BF16 or AVX512-BF16 and on GPUs of "
        "compute capability 8.0 or later, else fp32; tf32: fp32 with TensorFloat-32 products on a GPU.",
        choices=("auto", "fp32", "tf32", "bf16"),
    )
    compile: str = option(
        "auto",
        "Compile the training step (torch.compile; on a GPU with CUDA graphs); auto: on a GPU with a "
        "budget from 10 million passes on, in one process.",
        choices=("auto", "always", "never"),
    )
    random_state: int = option(
        0, "Seed of everything random.", low=0, high=MAX_SEED, written="seed"
    )
    checkpoint_seconds: float = option(
        10.0, "Seconds between checkpoints; 0 writes one after every step.", low=0
    )

    def __new__(cls, *args: Any, **options: Any) -> Any:
        """Refuses the keyword ``seed`` with the name to use."""
        if "seed" in options:
            raise InputError(f"{cls.__name__} has no parameter seed, expected random_state")
        return super().__new__(cls)

    def check(self) -> None:
        """Raises an :class:`~gepc_geo.errors.InputError` for the first value that is not allowed."""
        for one in fields(Options):
            check_value(one, getattr(self, one.name), one.name)
        if not self.branches:
            raise InputError(f"branches is empty, expected some of {', '.join(BRANCHES)}")
        if not self.lengths:
            raise InputError("lengths is empty, expected at least one")
        if len(self.strides) != len(self.encoder_channels):
            raise InputError(
                f"strides has {len(self.strides)} entries, expected one for each of the "
                f"{len(self.encoder_channels)} encoder_channels"
            )
        if not self.decoder_channels:
            raise InputError("decoder_channels is empty, expected at least one block")
        if self.kernel_size % 2 == 0:
            raise InputError(f"kernel_size is {self.kernel_size}, expected an odd number")
        if self.budget is None and self.cluster_share == 1:
            raise InputError(
                "cluster_share is 1 without a budget, expected less: the first stage's length "
                "sets the second's"
            )
        for text in self.lengths:
            _seconds_or_frames(text)
        if self.frames is not None or not any(str(text).endswith("s") for text in self.lengths):
            self.check_windows(self.frames_of(math.nan))

    def check_windows(self, lengths: tuple[int, ...]) -> None:
        """Makes sure that windows of these lengths, from :meth:`frames_of`, can be learned from.

        Raises:
            InputError: Several lengths of frames as they are, or steps that the network's strides do not
                divide.
        """
        if not self.coefficients and len(lengths) > 1:
            raise InputError(
                f"lengths has {len(lengths)} entries, expected one for frames as they are (coefficients 0)"
            )
        steps = min(self.coefficients or lengths[0], lengths[0])
        product = math.prod(self.strides)
        if self.needs_network and steps % product:
            name = "lengths" if self.frames is None else "frames"
            name = "coefficients" if self.coefficients and steps == self.coefficients else name
            raise InputError(
                f"{name} is {steps}, expected a multiple of {product}, the product of the strides"
            )

    @property
    def modes(self) -> tuple[str, ...]:
        """The scoring modes that a detector with these options has."""
        return MODES if self.needs_network else (COMBINED, *WINDOW_MODES)

    @property
    def needs_network(self) -> bool:
        """Whether the scoring mode is computed from what the trained autoencoder makes of windows."""
        return self.mode in NETWORK_MODES

    def frames_of(self, fps: float) -> tuple[int, ...]:
        """The lengths of windows in frames, rising: those of ``lengths``, for clip-level sets ``frames``.

        A length in seconds has no fewer frames than there are coefficients.

        Args:
            fps: Frames a second; NaN where nobody knows.

        Raises:
            InputError: A length that is none, or of fewer than 2 frames.
        """
        if self.frames is not None:
            return (self.frames,)
        rate = _USUAL_FPS if math.isnan(fps) else fps
        found = set()
        for text in self.lengths:
            seconds, frames = _seconds_or_frames(text)
            found.add(frames or max(round(seconds * rate), self.coefficients, 2))
        return tuple(sorted(found))

    def to_dict(self) -> dict[str, Any]:
        """All options as plain numbers, strings and lists."""

        def plain(value: Any) -> Any:
            return value.item() if isinstance(value, np.generic) else value

        return {
            name: [plain(one) for one in value]
            if isinstance(value, (list, tuple))
            else plain(value)
            for name, value in asdict(self).items()
            if name in NAMES
        }

    def written(self) -> dict[str, Any]:
        """As :meth:`to_dict`, by the names that files and the command line have (``seed``)."""
        values = self.to_dict()
        return {written_name(one): values[one.name] for one in fields(Options)}

    @staticmethod
    def read(values: Mapping[str, Any], origin: str) -> dict[str, Any]:
        """Options by their names in Python, of a mapping read from a file or from the command line.

        Args:
            values: Options by their names in files (:meth:`written`) or in Python.
            origin: Where the mapping comes from, for messages.

        Raises:
            InputError: An unknown or repeated option, or a value that is not allowed.
        """
        if not isinstance(values, Mapping):
            raise InputError(f"{origin} holds a {type(values).__name__}, expected options by name")
        known = {written_name(one): one for one in fields(Options)}
        by_name = known | {one.name: one for one in fields(Options)}
        found: dict[str, Any] = {}
        for name, value in values.items():
            if name not in by_name:
                raise InputError(
                    f"{origin} has the unknown option {name!r}, expected some of {', '.join(known)}"
                )
            one = by_name[name]
            written = written_name(one)
            if one.name in found:
                raise InputError(f"{origin} must have {written} or {one.name}, got both")
            try:
                check_value(one, value, written)
            except InputError as error:
                raise InputError(f"{origin}: {error}") from None
            found[one.name] = value
        return found


# Where there is a __new__, Python would show that one's.
Options.__signature__ = inspect.Signature(
    [
        inspect.Parameter(
            one.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=default_of(one),
            annotation=one.type,
        )
        for one in fields(Options)
    ]
)


#: The names of all options.
NAMES = tuple(one.name for one in fields(Options))


def _seconds_or_frames(text: str | int) -> tuple[float, int]:
    """A length such as ``"0.5s"`` or ``"12"``: seconds and 0, or 0 and frames."""
    try:
        is_time = isinstance(text, str) and text.endswith("s")
        seconds, frames = (float(text[:-1]), 0) if is_time else (0.0, int(text))  # type: ignore[index]
    except ValueError:
        seconds, frames = math.nan, 0
    if not (0 < seconds < math.inf or frames >= 2):
        raise InputError(
            f"lengths has {text!r}, expected frames, at least 2 (12), or seconds (0.5s)"
        )
    return seconds, frames
