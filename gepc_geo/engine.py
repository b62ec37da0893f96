"""The two training stages (section 3.5 of the paper), resumable at any moment.

All random numbers of a step come from the seed, the stage and the step's number alone, so a run that
was killed and resumed from its last checkpoint takes exactly the steps an uninterrupted run takes.

Several ranks (:mod:`gepc_geo.distributed`) train as one: each computes its share of every global batch,
gradients and norm statistics are those of the whole, and a checkpoint does not know how many ranks there
were. Only dropout differs: every rank draws masks of its own.
"""

from __future__ import annotations

import functools
import math
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from gepc_geo import checkpoint, distributed
from gepc_geo.compiling import Network, compiled, compiled_if_possible, worth_compiling
from gepc_geo.errors import InputError
from gepc_geo.inputs import InputPipeline
from gepc_geo.journal import Journal
from gepc_geo.loader import WindowLoader
from gepc_geo.nn import (
    STGCAE,
    SoftAssignment,
    clustering_loss,
    reconstruction_loss,
    target_distribution,
)
from gepc_geo.options import Options
from gepc_geo.precision import autocast, decide, tensor_float
from gepc_geo.progress import Progress
from gepc_geo.skeleton import Skeleton
from gepc_geo.windows import PoseWindows

#: Kind and version of a training checkpoint.
KIND, VERSION = "gepc_geo training checkpoint", 7
STAGES = ("reconstruction", "clustering")
# Steps between two looks at the loss: each look waits for the device.
_LOG_STEPS = 50
# Steps between two looks of several ranks at the first one's clock.
_ASK_STEPS = 10
# Share of a stage's steps in which the learning rate rises, and the floor it falls to.
_WARMUP, _FLOOR = 0.05, 0.01


class Encoded(NamedTuple):
    r"""What the network makes of :math:`N` windows.

    Attributes:
        latent: :math:`z`, :math:`[N, D]`.
        log_p: Log soft assignments, :math:`[N, K]`.
        residual: Input less reconstruction, :math:`[N, T V C]`; 0 at joints that were not seen.
        window: The input without the confidence, :math:`[N, T V C]`.
    """

    latent: Tensor
    log_p: Tensor
    residual: Tensor
    window: Tensor


def window_residual(reconstruction: Tensor, x: Tensor) -> Tensor:
    r"""What is left of a window's seen joints: input :math:`[B, T, V, C + 1]` -> :math:`[B, T V C]`."""
    seen = x[..., -1:] > 0
    return torch.where(seen, x[..., :-1] - reconstruction.float(), 0.0).flatten(1)


class Trainer:
    """Trains an autoencoder and a cluster layer on windows.

    Args:
        model: The autoencoder.
        assignment: The cluster layer.
        pipeline: Makes the network's input of a batch.
        loader: The training windows, on the device.
        options: Training options.
        folder: Where checkpoint and log go; ``None`` writes nothing.
        quiet: Show no progress.
        tensorboard: Also write TensorBoard events.
    """

    def __init__(
        self,
        model: STGCAE,
        assignment: SoftAssignment,
        pipeline: InputPipeline,
        loader: WindowLoader,
        options: Options,
        *,
        folder: Path | None = None,
        quiet: bool = False,
        tensorboard: bool = False,
    ) -> None:
        self.model, self.assignment = model, assignment
        self.pipeline, self.loader, self.options = pipeline, loader, options
        self.folder, self.quiet, self.tensorboard = folder, quiet, tensorboard
        self.device = loader.device
        #: The option ``precision``, decided; a resumed run keeps what it began with.
        self.precision = distributed.from_first(lambda: decide(options.precision, self.device))
        self.count = len(loader.windows)
        self.batch_size = min(options.batch_size, self.count)
        total = math.ceil(options.budget / self.batch_size)
        second = round(total * options.cluster_share)
        self.steps = {"reconstruction": total - second, "clustering": second}
        self._network = self._fast(model)
        self.stage, self.step = STAGES[0], 0
        self.targets: Tensor | None = None
        self.labels: Tensor | None = None
        self.optimizer = self._optimizer()
        self.journal = Journal(None)
        self._saved = time.monotonic()

    def _fast(self, model: STGCAE) -> Network:
        """The network, compiled where that is worth it."""
        choice = self.options.compile
        if not worth_compiling(choice, self.device, self.options.budget):
            return model
        if choice == "always":
            return compiled(model)
        index = torch.arange(self.batch_size, device=self.device)
        x = self.pipeline.tensor(self.loader.gather(index), torch.zeros_like(index))
        return compiled_if_possible(model, x, self.precision)

    # -- the run -------------------------------------------------------------------------------

    def run(self, resume: bool = False) -> None:
        """Trains both stages; with ``resume``, from the folder's checkpoint where there is one.

        Raises:
            InputError: The loss is not a number any more (the last good checkpoint stays), the
                checkpoint belongs to other data or another model, or a batch has fewer windows than
                there are ranks.
        """
        if self.batch_size < distributed.world():
            raise InputError(
                f"a batch has {self.batch_size} windows, expected at least {distributed.world()}, "
                "one for each rank"
            )
        folder = self.folder if distributed.is_first() else None
        if folder is not None:
            # What a kill in the middle of writing left behind.
            for stale in folder.glob(".checkpoint.pt.*"):
                stale.unlink()
        state = distributed.from_first(self._read) if resume else None
        if state is not None:
            self._load(state)
        distributed.copy_first([self.pipeline.mean, self.pipeline.std, *self._state()])
        passes = None if state is None else self._passes()
        with distributed.agreement():
            self.journal = Journal(folder, passes=passes, tensorboard=self.tensorboard)
        cuda = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda), tensor_float(self.precision):
            if self.stage == "reconstruction":
                self._run_stage(self._reconstruction_step)
                self._next_stage("clustering")
            if self.stage == "clustering":
                if self.targets is None:
                    # K-means starts theta (section 3.3); from here on theta is learned.
                    latent = distributed.gather(self._latents())
                    self.assignment.initialize(latent, generator=self._generator(0))
                    distributed.copy_first(self.assignment.state_dict().values())
                    self.optimizer = self._optimizer()
                self._run_stage(self._clustering_step, self._update_targets)
                self._next_stage("done")
        with distributed.agreement():
            self.journal.close()
        self.model.eval()
        self.assignment.eval()

    def _run_stage(
        self, loss_of: Callable[[Tensor], Tensor], expectation: Callable[[], bool] | None = None
    ) -> None:
        total = self.steps[self.stage]
        every = max(1, math.ceil(total / self.options.target_updates))
        sums = torch.zeros(3, device=self.device)
        began, first = time.monotonic(), self.step
        with Progress(
            self.stage,
            total * self.batch_size,
            "windows",
            start=self.step * self.batch_size,
            quiet=self.quiet,
        ) as bar:
            for index in self._batches():
                if expectation is not None and self.step % every == 0 and not expectation():
                    return
                self._seed_step()
                self._set_lr(total)
                sums += self._step(loss_of, index)
                self.step += 1
                bar.update(self.batch_size)
                last = self.step == total
                due = self._asks() and distributed.from_first(self._due)
                if last or due or self.step % _LOG_STEPS == 0:
                    means = distributed.total(sums) / (self.step - first)
                    loss, reconstruction, clustering = means.tolist()
                    if not math.isfinite(loss):
                        raise InputError(self._not_finite(f"loss is {loss}"))
                    bar.update(0, f"loss {loss:.4f}")
                    self._log(
                        loss=f"{loss:.6g}",
                        reconstruction=f"{reconstruction:.6g}",
                        clustering=f"{clustering:.6g}" if self.stage == "clustering" else "",
                        lr=f"{self.optimizer.param_groups[0]['lr']:.4g}",
                        seconds=f"{time.monotonic() - began:.2f}",
                    )
                    sums.zero_()
                    first = self.step
                    if due:
                        self._save()

    def _log(self, **row: str) -> None:
        """Adds a row to the journal; where the first rank cannot write it, all of them end."""
        with distributed.agreement():
            self.journal.add(stage=self.stage, step=self.step, passes=self._passes(), **row)

    def _batches(self) -> Iterator[Tensor]:
        """Shuffled batches from the present step on; every epoch has a permutation of its own."""
        per_epoch = self.count // self.batch_size
        while self.step < self.steps[self.stage]:
            epoch, skip = divmod(self.step, per_epoch)
            # Drawn on the CPU: a run resumed on another device sees the same order.
            order = torch.randperm(self.count, generator=self._generator(1, epoch))
            order = order.to(self.device)[: per_epoch * self.batch_size]
            for index in order.split(self.batch_size)[skip:]:
                if self.step == self.steps[self.stage]:
                    return
                yield index

    # -- one step ------------------------------------------------------------------------------

    def _step(self, loss_of: Callable[[Tensor], Tensor], index: Tensor) -> Tensor:
        """Losses of a global batch, one gradient step down; nothing here waits for the device."""
        self.optimizer.zero_grad(set_to_none=True)
        losses = loss_of(index)
        losses[0].backward()
        distributed.sum_gradients(self._parameters())
        torch.nn.utils.clip_grad_norm_(self._parameters(), self.options.clip_norm)
        self.optimizer.step()
        return losses.detach()

    def _input(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """This rank's windows of a global batch, and the network's input of them."""
        mine = distributed.share(len(index))
        # Drawn for the global batch: however many ranks share it, a window is augmented the same.
        choice = torch.randint(self.pipeline.augment.num_choices, (len(index),), device=self.device)
        if not distributed.is_first():
            # Dropout is all that is random from here on.
            torch.manual_seed(self._entropy(2, self.step, distributed.rank()))
        batch = self.loader.gather(index[mine])
        return index[mine], self.pipeline.tensor(batch, choice[mine])

    def _reconstruction_step(self, index: Tensor) -> Tensor:
        _, x = self._input(index)
        with autocast(self.device, self.precision):
            reconstruction, _ = self._network(x)
        loss = reconstruction_loss(reconstruction.float(), x[..., :-1], x[..., -1] > 0)
        return torch.stack([loss, loss, torch.zeros_like(loss)])

    def _clustering_step(self, index: Tensor) -> Tensor:
        """The M step: eq. 4. Autograd gives each part its own loss, the encoder both."""
        assert self.targets is not None
        index, x = self._input(index)
        with autocast(self.device, self.precision):
            reconstruction, latent = self._network(x)
        log_p = self.assignment(latent.float())
        rebuilt = reconstruction_loss(reconstruction.float(), x[..., :-1], x[..., -1] > 0)
        clustered = clustering_loss(log_p, self.targets[index])
        return torch.stack([rebuilt + self.options.cluster_weight * clustered, rebuilt, clustered])

    def _update_targets(self) -> bool:
        """The E step: targets from a full pass; false when (almost) no label changed any more."""
        self._check_weights()
        with torch.no_grad():
            log_p = distributed.gather(self.assignment(self._latents()))
        self.targets = target_distribution(log_p, self.options.target)
        labels, before = log_p.argmax(1), self.labels
        self.labels = labels
        if before is None:
            return True
        change = (labels != before).float().mean().item()
        self._log(label_change=f"{change:.5f}")
        return change >= self.options.label_tolerance

    # -- a full pass ---------------------------------------------------------------------------

    def _latents(self) -> Tensor:
        """Latents of this rank's share of the training windows, in evaluation mode."""
        self.model.eval()
        mine = torch.arange(self.count, device=self.device)[distributed.share(self.count)]
        batches = self.loader.batches(mine)
        latent = latents(self.model, self.pipeline, batches, self.precision)
        self.model.train()
        return latent

    # -- state ---------------------------------------------------------------------------------

    def _parameters(self) -> list[torch.nn.Parameter]:
        parameters = list(self.model.parameters())
        return parameters + list(self.assignment.parameters()) * (self.stage == "clustering")

    def _optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            self._parameters(),
            lr=self.options.lr,
            weight_decay=self.options.weight_decay,
            fused=True,
        )

    def _set_lr(self, total: int) -> None:
        peak = self.options.lr if self.stage == "reconstruction" else self.options.cluster_lr
        rise = max(1, round(_WARMUP * total))
        if self.step < rise:
            factor = (self.step + 1) / rise
        else:
            phase = (self.step - rise) / max(1, total - rise)
            factor = _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * phase))
        for group in self.optimizer.param_groups:
            group["lr"] = peak * factor

    def _entropy(self, *key: int) -> int:
        # Done is a stage too: nothing random happens in it.
        stage = (*STAGES, "done").index(self.stage)
        words = np.random.SeedSequence([self.options.seed, stage, *key]).generate_state(
            2, np.uint32
        )
        return int(words[0]) << 31 ^ int(words[1])

    def _generator(self, *key: int) -> torch.Generator:
        return torch.Generator().manual_seed(self._entropy(*key))

    def _seed_step(self) -> None:
        torch.manual_seed(self._entropy(2, self.step))

    def _passes(self) -> int:
        before = self.steps["reconstruction"] if self.stage != "reconstruction" else 0
        before += self.steps["clustering"] if self.stage == "done" else 0
        return (before + self.step) * self.batch_size

    def _next_stage(self, stage: str) -> None:
        self.stage, self.step = stage, 0
        self._save()

    def _check_weights(self) -> None:
        """Nothing is kept or computed from weights that are no numbers any more."""
        if not bool(torch.stack([value.isfinite().all() for value in self._state()]).all()):
            raise InputError(self._not_finite("weights are not all numbers"))

    def _state(self) -> list[Tensor]:
        """Everything learned, as tensors that can be written to."""
        return [*self.model.state_dict().values(), *self.assignment.state_dict().values()]

    def _asks(self) -> bool:
        """Whether to look at the clock; of several ranks the first tells the others, now and then."""
        often = distributed.world() == 1 or self.options.checkpoint_seconds == 0
        return often or self.step % _ASK_STEPS == 0

    def _due(self) -> bool:
        """Whether it is time for a checkpoint, by this rank's clock."""
        return time.monotonic() - self._saved >= self.options.checkpoint_seconds

    def _save(self) -> None:
        self._check_weights()
        self._saved = time.monotonic()
        distributed.from_first(self._write)

    def _write(self) -> None:
        if self.folder is None:
            return
        checkpoint.save(
            {
                "options": self.options.to_dict(),
                "data": self._fingerprint,
                "stage": self.stage,
                "step": self.step,
                "precision": self.precision,
                "model": self.model.state_dict(),
                "assignment": self.assignment.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "targets": self.targets,
                "labels": self.labels,
            },
            self.folder / "checkpoint.pt",
            kind=KIND,
            version=VERSION,
        )

    @functools.cached_property
    def _fingerprint(self) -> dict[str, int]:
        return fingerprint(self.loader.windows)

    def _read(self) -> dict[str, Any] | None:
        """The folder's checkpoint where there is one."""
        if self.folder is None or not (self.folder / "checkpoint.pt").exists():
            return None
        return checkpoint.load(self.folder / "checkpoint.pt", kind=KIND, version=VERSION)

    def _load(self, state: dict[str, Any]) -> None:
        assert self.folder is not None
        path = self.folder / "checkpoint.pt"
        mine, theirs = self._fingerprint, state["data"]
        if theirs != mine:
            raise InputError(
                f"{path} was written for {theirs['windows']} training windows with checksum "
                f"{theirs['checksum']:08x}, expected the {mine['windows']} windows with checksum "
                f"{mine['checksum']:08x} of this data (other data takes another folder)"
            )
        if state["options"] != self.options.to_dict():
            changed = [k for k, v in self.options.to_dict().items() if state["options"].get(k) != v]
            raise InputError(
                f"{path} was written with {changed[0]} {state['options'].get(changed[0])!r}, "
                f"expected {self.options.to_dict()[changed[0]]!r}"
            )
        self.stage, self.step = state["stage"], state["step"]
        self.precision = state["precision"]
        try:
            self.model.load_state_dict(state["model"])
            self.assignment.load_state_dict(state["assignment"])
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise InputError(
                f"{path} is of another model than these options make: {reason}"
            ) from None
        moved: dict[str, Any] = {
            name: None if state[name] is None else state[name].to(self.device)
            for name in ("targets", "labels")
        }
        self.targets, self.labels = moved["targets"], moved["labels"]
        # The clustering stage begins with a fresh optimiser, made once theta is started.
        if self.stage == "reconstruction" or self.targets is not None:
            self.optimizer = self._optimizer()
            if self.stage != "done":
                self.optimizer.load_state_dict(state["optimizer"])

    def _not_finite(self, what: str) -> str:
        kept = "no checkpoint was written"
        if self.folder is not None and (self.folder / "checkpoint.pt").exists():
            kept = f"the last good checkpoint is {self.folder / 'checkpoint.pt'}"
        return (
            f"the {self.stage} {what} at step {self.step}, expected finite numbers "
            f"(lower the learning rate {self.optimizer.param_groups[0]['lr']:.3g}); {kept}"
        )


def autoencoder(options: Options, skeleton: Skeleton, channels: int) -> STGCAE:
    """The network that options ask for; of the input's channels all but the confidence come out."""
    return STGCAE(
        channels,
        skeleton.num_joints,
        options.length,
        adj=skeleton.adjacency(),
        out_channels=channels - 1,
        hidden=options.hidden,
        encoder_channels=options.encoder_channels,
        strides=options.strides,
        decoder_channels=options.decoder_channels,
        branches=options.branches,
        attention=options.attention,
        kernel_size=options.kernel_size,
        dropout=options.dropout,
    )


def encode_input(
    model: STGCAE, assignment: SoftAssignment, x: Tensor, precision: str = "fp32"
) -> Encoded:
    r"""Encodes and reconstructs one batch of the network's input :math:`[B, T, V, C]`."""
    with autocast(x.device, precision):
        reconstruction, latent = model(x)
    latent = latent.float()
    residual = window_residual(reconstruction, x)
    return Encoded(latent, assignment(latent), residual, x[..., :-1].flatten(1))


@torch.no_grad()
def latents(
    model: STGCAE, pipeline: InputPipeline, batches: Iterable[Batch], precision: str = "fp32"
) -> Tensor:
    r"""Latents :math:`[N, D]` of all windows of some batches, in order; nothing is decoded."""
    parts = [torch.zeros(0, model.latent_dim, device=pipeline.mean.device)]
    for batch in batches:
        x = pipeline.tensor(batch)
        with autocast(x.device, precision):
            parts.append(model.encode(x).float())
    return torch.cat(parts)


def fingerprint(windows: PoseWindows) -> dict[str, int]:
    """Which training windows these are: their number, and a checksum of poses and places."""
    places = (windows.clip, windows.track, windows.frame)
    return {"windows": len(windows), "checksum": checksum(*places, windows.table.keypoints)}


def checksum(*arrays: np.ndarray) -> int:
    """A checksum of all values of some arrays."""
    result = 0
    for array in arrays:
        result = zlib.crc32(np.ascontiguousarray(array).data, result)
    return result
