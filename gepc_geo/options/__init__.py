"""The options of a detector: parameters of the estimator and flags of the command line."""

from __future__ import annotations

import inspect
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from gepc_geo.errors import InputError
from gepc_geo.options.metadata import check_given, check_value, default_of, option, written_name

#: Adjacencies of the graph convolution and kinds of attention, as in :mod:`gepc_geo.nn`. They are
#: repeated here because the command line imports this module for its help, without PyTorch.
BRANCHES = ("static", "global", "inferred")
ATTENTIONS = ("dot", "scaled_dot", "additive")
#: Scoring modes that need a trained network. They score the soft assignment (section 3.4 of the
#: paper), its largest probability, the latent and the residual of the reconstruction.
NETWORK_MODES = ("assignment", "max", "latent", "reconstruction")
#: Scoring modes without a network: distance to normal windows, and confusion with altered copies.
WINDOW_MODES = ("nearest", "altered")
#: The mean of tail probabilities of :data:`WINDOW_MODES`.
COMBINED = "combined"
#: All scoring modes.
MODES = (COMBINED, *WINDOW_MODES, *NETWORK_MODES)
#: Options that have an effect only with a network.
NETWORK_OPTIONS = (
    *("branches", "attention", "hidden", "encoder_channels", "strides", "decoder_channels"),
    *("kernel_size", "dropout", "assignment", "target", "components", "density"),
    *("budget", "patience", "cluster_share", "batch_size", "lr"),
    *("cluster_lr", "weight_decay", "cluster_weight", "target_updates"),
    *("precision", "compile", "checkpoint_seconds"),
)
#: Former options: the value that is still in effect, and what to use instead.
REMOVED: dict[str, tuple[Any, str]] = {
    "covariance": ("full", "Gaussians have full covariances"),
    "whitened_dims": (64, "modes latent and reconstruction keep 64 principal components"),
    "label_tolerance": (0.001, "clustering stops if under 0.1 % of the labels change"),
    "clip_norm": (1.0, "the gradient of each loss has a norm of at most 1"),
}
# Frames a second if the rate is unknown.
_USUAL_FPS = 24.0

#: The largest seed that NumPy and scikit-learn accept.
MAX_SEED = 2**32 - 1


@dataclass
class Options:
    """Options of a detector: each field is a parameter of :class:`gepc_geo.GEPC` and a flag.

    The ``metadata`` of a field holds its help text and limits; :meth:`check` enforces the limits.
    """

    __signature__: ClassVar[inspect.Signature]

    # -- windows -------------------------------------------------------------------------------
    lengths: list[str] = option(
        ["0.5s", "1s", "2s"],
        "Lengths of windows, in seconds (0.5s; at 24 frames a second if the rate is unknown) or in "
        "frames (12). Windows longer than a person's track are skipped.",
    )
    stride: int = option(8, "Frames between the starts of training windows.", low=1)
    score_stride: int = option(1, "Frames between the starts of scored windows.", low=1)
    max_gap: int = option(3, "Missing frames to interpolate; a longer gap splits a track.", low=0)
    frames: int | None = option(
        None,
        "For clip-level sets: resample each track to one window of this many frames, in place of "
        "lengths.",
        low=2,
    )
    skip_faults: bool = option(
        True,
        "Neither train on nor judge windows with tracking faults: identities that jump, people who "
        "are found twice, skeletons that are stretched or have exchanged sides.",
    )
    # -- input ---------------------------------------------------------------------------------
    scale: str = option(
        "rms",
        "Size that a pose is divided by: RMS distance of joints to their centre, or image size.",
        choices=("rms", "image"),
        removed=dict.fromkeys(("torso", "height"), "train again with scale rms"),
    )
    center: str = option(
        "frame",
        "Position that is subtracted: the mean of the window, or the centre of each frame.",
        choices=("window", "frame"),
    )
    align: bool = option(True, "Rotate 3D poses so that the shoulder line lies along x.")
    motion: bool = option(True, "Add the person's motion through the image as extra channels.")
    coefficients: int = option(
        6,
        "Number of lowest frequencies over time of each joint, at most the frames of the shortest "
        "window; 0: the frames themselves.",
        low=0,
    )
    motion_coefficients: int = option(
        3, "Number of lowest frequencies of motion, at most coefficients.", low=1
    )
    augment: str = option(
        "vary",
        "Augmentations, drawn for each training window; vary: flip, and small changes of angle, "
        "length and speed; paper: identity, flip, rot90, flip+rot90, rot45.",
        choices=("none", "flip", "vary", "paper"),
    )
    # -- model ---------------------------------------------------------------------------------
    branches: list[str] = option(
        list(BRANCHES),
        "Adjacencies of the graph convolution; static alone uses the block of ST-GCN.",
        choices=BRANCHES,
    )
    attention: str = option(
        "dot",
        "Attention of the inferred adjacency: dot product (the paper), dot product divided by the "
        "square root of the number of channels, or additive as in GAT.",
        choices=ATTENTIONS,
    )
    hidden: int = option(8, "Channel unit h; all numbers of channels are multiples of it.", low=1)
    encoder_channels: list[int] = option(
        [4, 4, 4, 6, 6, 6, 8, 8, 4], "Channels of the encoder blocks, in units of h.", low=1
    )
    strides: list[int] = option(
        [1, 1, 2, 1, 1, 3, 1, 1, 1], "Temporal strides of the encoder blocks.", low=1
    )
    decoder_channels: list[int] = option(
        [4, 8, 8, 6, 6, 6], "Channels of the decoder blocks, in units of h.", low=1
    )
    kernel_size: int = option(9, "Width of a temporal convolution in frames, an odd number.", low=1)
    dropout: float = option(0.0, "Dropout probability in the blocks.", low=0, high=0.95)
    # -- clustering and mixture ----------------------------------------------------------------
    clusters: int = option(10, "Number of clusters K.", low=2)
    assignment: str = option(
        "softmax", "Soft assignment: softmax (eq. 1) or Student-t.", choices=("softmax", "student")
    )
    target: str = option(
        "dec",
        "Target distribution: eq. 3 as printed, or p^2/f as in DEC.",
        choices=("paper", "dec"),
    )
    components: int = option(10, "Components of the Dirichlet process mixture.", low=1)
    density: str = option(
        "gaussian-ilr",
        "Mixture of mode assignment: Gaussians on log-ratios of p, Gaussians on p (the public "
        "implementation), or Dirichlet components.",
        choices=("gaussian-ilr", "gaussian-p", "dirichlet"),
    )
    mode: str = option(
        COMBINED,
        "Scoring mode: combined is the mean of nearest and altered; the other modes train an "
        "autoencoder.",
        choices=MODES,
    )
    holdout: float = option(
        0.1,
        "Share of the training clips that is held out, to detect convergence and calibrate scores.",
        low=0,
        high=0.5,
    )
    contamination: float = option(
        0.05, "Share of held-out normal windows that exceed the threshold.", low=1e-6, high=0.5
    )
    # -- training ------------------------------------------------------------------------------
    budget: int | None = option(
        None,
        "Number of windows that both training stages process, repeats included; 0: no training; "
        "converge: the first stage ends when the loss of held-out windows stops falling.",
        low=0,
        none="converge",
    )
    patience: int = option(
        200,
        "Without a budget: if the loss of held-out windows falls by less than 1 % in this many "
        "steps, the learning rate falls to a tenth; the second time the stage ends.",
        low=4,
    )
    cluster_share: float = option(
        0.25,
        "Share of the windows that the clustering stage processes (at most, without a budget).",
        low=0,
        high=1,
    )
    batch_size: int = option(64, "Windows in a training step.", low=2)
    lr: float = option(
        1e-3,
        "Peak learning rate of the first stage (Adam; with a budget the rate falls as a cosine).",
        low=0,
    )
    cluster_lr: float = option(3e-4, "Peak learning rate of the clustering stage.", low=0)
    weight_decay: float = option(1e-5, "Weight decay of Adam.", low=0)
    cluster_weight: float = option(0.6, "Weight lambda of the clustering loss (eq. 4).", low=0)
    target_updates: int = option(5, "E steps in the clustering stage.", low=1)
    precision: str = option(
        "auto",
        "Arithmetic of the network; auto: bf16 on CPUs with AMX-BF16 or AVX512-BF16 and on GPUs of "
        "compute capability 8.0 or later, else fp32; tf32: fp32, but on GPUs products in "
        "TensorFloat-32.",
        choices=("auto", "fp32", "tf32", "bf16"),
    )
    compile: str = option(
        "auto",
        "Compile the training step (torch.compile; on a GPU with CUDA graphs); auto: on a GPU, in "
        "one process, with a budget of 10 million or more.",
        choices=("auto", "always", "never"),
    )
    random_state: int = option(
        0, "Seed of all random numbers.", low=0, high=MAX_SEED, written="seed"
    )
    checkpoint_seconds: float = option(
        10.0, "Seconds between checkpoints; 0: a checkpoint after every step.", low=0
    )

    def __new__(cls, *args: Any, **options: Any) -> Any:
        """Refuses removed and unknown parameters, ``seed``, and positional values."""
        if "seed" in options:
            raise InputError(f"{cls.__name__} has no parameter seed: use random_state")
        for name in REMOVED.keys() & options.keys():
            raise InputError(f"{cls.__name__} has no parameter {name}: {REMOVED[name][1]}")
        if cls.__init__ is Options.__init__:  # A subclass may have further parameters.
            check_given(cls.__name__, NAMES, args, options)
        return super().__new__(cls)

    def check(self) -> None:
        """Checks all values.

        Raises:
            InputError: A value is not allowed; the message is about the first such value.
        """
        for field in fields(Options):
            check_value(field, getattr(self, field.name), field.name)
        if not self.branches:
            raise InputError(f"branches must be some of {', '.join(BRANCHES)}, got none")
        if not self.lengths:
            raise InputError("lengths must have at least one entry, got none")
        if len(self.strides) != len(self.encoder_channels):
            raise InputError(
                f"strides must have {len(self.encoder_channels)} entries, one for each of the "
                f"encoder_channels, got {len(self.strides)}"
            )
        if not self.decoder_channels:
            raise InputError("decoder_channels must have at least one block, got none")
        if self.kernel_size % 2 == 0:
            raise InputError(f"kernel_size must be an odd number, got {self.kernel_size}")
        if self.budget is None and self.cluster_share == 1:
            raise InputError(
                "cluster_share must be less than 1 without a budget, got 1: the first stage sets "
                "the length of the second"
            )
        for text in self.lengths:
            _seconds_or_frames(text)
        if self.frames is not None or not any(str(text).endswith("s") for text in self.lengths):
            self.check_windows(self.frames_of(math.nan))

    def check_windows(self, lengths: tuple[int, ...]) -> None:
        """Checks lengths of windows against the other options.

        Args:
            lengths: Lengths in frames, from :meth:`frames_of`.

        Raises:
            InputError: There are several lengths and ``coefficients`` is 0, or the number of time
                steps is no multiple of the product of the strides.
        """
        if not self.coefficients and len(lengths) > 1:
            raise InputError(
                f"lengths must have one entry with coefficients 0, got {len(lengths)} entries"
            )
        steps = min(self.coefficients or lengths[0], lengths[0])
        product = math.prod(self.strides)
        if self.needs_network and steps % product:
            name = "lengths" if self.frames is None else "frames"
            name = "coefficients" if self.coefficients and steps == self.coefficients else name
            raise InputError(
                f"{name} must be a multiple of {product}, the product of the strides, got {steps}"
            )

    @property
    def modes(self) -> tuple[str, ...]:
        """The scoring modes of a detector with these options."""
        return MODES if self.needs_network else (COMBINED, *WINDOW_MODES)

    @property
    def needs_network(self) -> bool:
        """Whether the scoring mode needs a trained network."""
        return self.mode in NETWORK_MODES

    def frames_of(self, fps: float) -> tuple[int, ...]:
        """Lengths of windows in frames, in ascending order: ``lengths``, or ``frames`` if set.

        A length in seconds has at least ``coefficients`` frames.

        Args:
            fps: Frames a second; NaN if unknown.

        Raises:
            InputError: A length is not valid, or has fewer than 2 frames.
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
        """All options by name, as plain numbers, strings and lists."""

        def plain(value: Any) -> Any:
            return value.item() if isinstance(value, np.generic) else value

        return {
            name: [plain(entry) for entry in value]
            if isinstance(value, (list, tuple))
            else plain(value)
            for name, value in asdict(self).items()
            if name in NAMES
        }

    def written(self) -> dict[str, Any]:
        """As :meth:`to_dict`, by the names in files and on the command line (``seed``)."""
        values = self.to_dict()
        return {written_name(field): values[field.name] for field in fields(Options)}


# Python would show the signature of __new__.
Options.__signature__ = inspect.Signature(
    [
        inspect.Parameter(
            field.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=default_of(field),
            annotation=field.type,
        )
        for field in fields(Options)
    ]
)


#: The names of all options.
NAMES = tuple(field.name for field in fields(Options))


def _seconds_or_frames(text: str | int) -> tuple[float, int]:
    """Parses a length: ``"0.5s"`` gives seconds and 0, ``"12"`` gives 0 and frames."""
    try:
        is_time = isinstance(text, str) and text.endswith("s")
        seconds, frames = (float(text[:-1]), 0) if is_time else (0.0, int(text))  # type: ignore[index]
    except ValueError:
        seconds, frames = math.nan, 0
    if not (0 < seconds < math.inf or frames >= 2):
        raise InputError(
            f"lengths must be frames, at least 2 (12), or seconds (0.5s), got {text!r}"
        )
    return seconds, frames
