"""The two training stages (section 3.5 of the paper), with checkpoints.

The first stage has a fixed length, or ends when the autoencoder has converged (section 4.2.2).

The random numbers of a step depend only on the seed, the stage and the number of the step. A run
that is killed and resumed from its last checkpoint takes the steps of an uninterrupted run.

Several ranks (:mod:`gepc_geo.utils.distributed`) train one network: each computes its share of
every global batch; gradients and norm statistics are those of the whole batch. A checkpoint does
not depend on the number of ranks. Only dropout differs: every rank draws its own masks.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gepc_geo.errors import InputError
from gepc_geo.nn import STGCAE, SoftAssignment, clustering_loss, reconstruction_loss, reduce
from gepc_geo.options import Options
from gepc_geo.training.batches import STAGES, TrainingBatches
from gepc_geo.training.compiling import Forward, fast
from gepc_geo.training.e_step import Expectation
from gepc_geo.training.gradients import clipped_gradients
from gepc_geo.training.precision import autocast, decide, tensor_float
from gepc_geo.training.schedule import Convergence, cosine, steps_of_budget, steps_of_first
from gepc_geo.training.training_checkpoint import TrainingCheckpoint
from gepc_geo.training.validation_loss import Validation, warn_of_poor
from gepc_geo.utils import distributed
from gepc_geo.utils.journal import Journal
from gepc_geo.utils.progress import progress_bar
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader
from gepc_geo.windows.pipeline import InputPipeline

#: Clustering stops when a smaller share of the labels changes, as in DEC (Xie et al. 2016).
LABEL_TOLERANCE = 0.001
# Steps between two reads of the loss: each read synchronises the GPU.
_LOG_STEPS = 50


class Trainer:
    """Trains an autoencoder and a cluster layer on windows.

    Args:
        model: The autoencoder.
        assignment: The cluster layer.
        pipeline: Computes the input of the network from a batch.
        loader: The training windows, on the device.
        options: Training options.
        held_out: Held-out windows, to detect convergence. (default: :obj:`None`, the training
            windows)
        folder: Folder of checkpoint and log. (default: :obj:`None`, nothing is written)
        quiet: Show no progress. (default: ``False``)
        tensorboard: Also write TensorBoard events. (default: ``False``)

    Attributes:
        reconstruction_share: Reconstruction loss of held-out windows at the end of the first stage,
            divided by the loss of predicting the mean of the training windows; NaN before that, or
            if that loss is 0.
    """

    def __init__(
        self,
        model: STGCAE,
        assignment: SoftAssignment,
        pipeline: InputPipeline,
        loader: WindowLoader,
        options: Options,
        *,
        held_out: PoseWindows | None = None,
        folder: Path | None = None,
        quiet: bool = False,
        tensorboard: bool = False,
    ) -> None:
        self.model, self.assignment = model, assignment
        self.pipeline, self.loader, self.options = pipeline, loader, options
        self.folder, self.quiet, self.tensorboard = folder, quiet, tensorboard
        self.checkpoint = TrainingCheckpoint(folder, options, loader.windows)
        self.device = loader.device
        #: Arithmetic of the network; a resumed run uses that of its checkpoint.
        self.precision = distributed.from_first(lambda: decide(options.precision, self.device))
        self.batch_size = min(options.batch_size, len(loader.windows))
        self.batches = TrainingBatches(pipeline, loader, self.batch_size, options.random_state)
        self.validation = Validation(model, pipeline, loader, held_out)
        self.expectation = Expectation(model, assignment, pipeline, loader, options.target)
        # Steps of each stage. Without a budget they are set when the first stage ends.
        self.steps: dict[str, int] = {}
        if options.budget is not None:
            self.steps = steps_of_budget(options.budget, self.batch_size, options.cluster_share)
        self.convergence = Convergence(options.patience)
        self.best: dict[str, Tensor] | None = None
        self.reconstruction_share = math.nan
        self._network: Forward = fast(
            model, self.batches.first, self.precision, options.compile, options.budget
        )
        self.stage, self.step = STAGES[0], 0
        self.optimizer = self._optimizer()
        self.journal = Journal(None)

    def run(self, resume: bool = False) -> None:
        """Trains both stages.

        Args:
            resume: Continue from the checkpoint of the folder, if any. (default: ``False``)

        Raises:
            InputError: The loss or a weight is not finite (the last good checkpoint stays), the
                checkpoint is of other data or another model, a batch has fewer windows than there
                are ranks, or a file cannot be written.
        """
        if self.batch_size < distributed.world():
            raise InputError(
                f"a batch must have at least {distributed.world()} windows, one for each rank, got "
                f"{self.batch_size} (batch_size, or all training windows)"
            )
        folder = self.folder if distributed.is_first() else None
        if folder is not None:
            self.checkpoint.tidy()
        state = distributed.from_first(self.checkpoint.read) if resume else None
        if state is not None:
            self._load(state)
        distributed.copy_first([*self.pipeline.state_dict().values(), *self._state()])
        passes = None if state is None else self._passes()
        with distributed.raise_on_all_ranks():
            self.journal = Journal(folder, passes=passes, tensorboard=self.tensorboard)
        cuda = [self.device] if self.device.type == "cuda" else []
        with (
            reduce.across_ranks(distributed.world() > 1),
            torch.random.fork_rng(devices=cuda),
            tensor_float(self.precision),
        ):
            if self.stage == "reconstruction":
                self._run_stage()
                self._end_reconstruction()
                self._next_stage("clustering")
            if self.stage == "clustering":
                if self.expectation.targets is None:
                    self.expectation.start(self.precision, self.batches.generator(self.stage, 0))
                    self.optimizer = self._optimizer()
                self._run_stage()
                self._next_stage("done")
        with distributed.raise_on_all_ranks():
            self.journal.close()
        self.model.eval()
        self.assignment.eval()

    def _run_stage(self) -> None:
        total = self.steps.get(self.stage)
        sums = torch.zeros(3, device=self.device)
        began, first = time.monotonic(), self.step
        with progress_bar(
            self.stage,
            None if total is None else total * self.batch_size,
            "windows",
            start=self.step * self.batch_size,
            quiet=self.quiet,
        ) as bar:
            for index in self.batches.order(self.stage, self.step, total):
                if self.stage == "clustering" and not self._expectation():
                    return
                self.batches.seed(self.stage, self.step)
                self._set_lr(total)
                sums += self._step(index)
                self.step += 1
                bar.update(self.batch_size)
                converged = total is None and self._has_converged()
                last = converged or self.step == total
                due = self.checkpoint.due(self.step)
                if last or due or self.step % _LOG_STEPS == 0:
                    means = reduce.total(sums) / (self.step - first)
                    loss, reconstruction, clustering = means.tolist()
                    if not math.isfinite(loss):
                        raise InputError(self._not_finite("loss", f"{loss}"))
                    bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
                    self._log(
                        loss=f"{loss:.6g}",
                        reconstruction=f"{reconstruction:.6g}",
                        clustering=f"{clustering:.6g}" if self.stage == "clustering" else "",
                        lr=f"{self.optimizer.param_groups[0]['lr']:.4g}",
                        seconds=f"{time.monotonic() - began:.2f}",
                    )
                    sums.zero_()
                    first = self.step
                # The checkpoint of the next stage follows.
                if last:
                    return
                if due:
                    self._save()

    def _has_converged(self) -> bool:
        """Measures the validation loss every ``interval`` steps, and stores the best weights."""
        if self.step % self.convergence.interval:
            return False
        loss = self.validation.loss(self.precision)
        if not math.isfinite(loss):
            raise InputError(self._not_finite("loss of held-out windows", f"{loss}"))
        if self.convergence.update(self.step, loss):
            self.best = {name: value.clone() for name, value in self.model.state_dict().items()}
        self._log(held_out=f"{loss:.6g}")
        return self.convergence.ended

    def _end_reconstruction(self) -> None:
        """Restores the best weights and measures the reconstruction share."""
        if self.best is not None:
            self.model.load_state_dict(self.best)
            self.best = None
        if not self.steps:
            self.steps = steps_of_first(self.step, self.options.cluster_share)
        self._check_weights()
        loss, mean_loss = self.validation.loss(self.precision), self.validation.loss_of_mean()
        self.reconstruction_share = loss / mean_loss if mean_loss else math.nan
        self._log(held_out=f"{loss:.6g}", share=f"{self.reconstruction_share:.5f}")
        # An untrained network needs no warning.
        if self.step and distributed.is_first():
            warn_of_poor(self.reconstruction_share, self.options)

    def _log(self, **row: str) -> None:
        """Adds a row to the log; if the first rank cannot write it, all ranks raise the error."""
        with distributed.raise_on_all_ranks():
            self.journal.add(stage=self.stage, step=self.step, passes=self._passes(), **row)

    def _step(self, index: Tensor) -> Tensor:
        """Takes a gradient step on a global batch; returns its losses. Never waits for the GPU."""
        rebuilt, clustered = self._losses(index)
        parts = [rebuilt]
        if self.stage == "clustering":
            parts.append(self.options.cluster_weight * clustered)
        clipped_gradients(parts, self._parameters())
        self.optimizer.step()
        return torch.stack([torch.stack(parts).sum(), rebuilt, clustered]).detach()

    def _losses(self, index: Tensor) -> tuple[Tensor, Tensor]:
        r""":math:`L_{rec}` and :math:`L_{cluster}` (eq. 2; 0 in the first stage).

        The decoder learns from the first, theta from the second, the encoder from both (eq. 4).
        """
        index, x = self.batches.input(index, self.stage, self.step)
        with autocast(self.device, self.precision):
            reconstruction, latent = self._network(x)
        rebuilt = reconstruction_loss(reconstruction.float(), x[..., :-1], x[..., -1] > 0)
        if self.expectation.targets is None:
            return rebuilt, torch.zeros_like(rebuilt)
        log_p = self.assignment(latent.float())
        return rebuilt, clustering_loss(log_p, self.expectation.targets[index])

    def _expectation(self) -> bool:
        """Runs the E step when due; false if fewer labels changed than :data:`LABEL_TOLERANCE`."""
        every = max(1, math.ceil(self.steps["clustering"] / self.options.target_updates))
        if self.step % every:
            return True
        self._check_weights()
        change = self.expectation.update(self.precision)
        if change is None:
            return True
        self._log(label_change=f"{change:.5f}")
        return change >= LABEL_TOLERANCE

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

    def _set_lr(self, total: int | None) -> None:
        peak = self.options.lr if self.stage == "reconstruction" else self.options.cluster_lr
        rate = self.convergence.rate(self.step) if total is None else cosine(self.step, total)
        for group in self.optimizer.param_groups:
            group["lr"] = peak * rate

    def _passes(self) -> int:
        before = self.steps["reconstruction"] if self.stage != "reconstruction" else 0
        before += self.steps["clustering"] if self.stage == "done" else 0
        return (before + self.step) * self.batch_size

    def _next_stage(self, stage: str) -> None:
        self.stage, self.step = stage, 0
        self._save()

    def _check_weights(self) -> None:
        """Refuses weights that are not finite."""
        if not bool(torch.stack([value.isfinite().all() for value in self._state()]).all()):
            raise InputError(self._not_finite("weights", "NaN or infinity"))

    def _state(self) -> list[Tensor]:
        """All learned tensors, which may be overwritten in place."""
        return [*self.model.state_dict().values(), *self.assignment.state_dict().values()]

    def _save(self) -> None:
        self._check_weights()
        self.checkpoint.write(
            {
                "stage": self.stage,
                "step": self.step,
                "steps": self.steps,
                "convergence": asdict(self.convergence),
                "best": self.best,
                "reconstruction_share": self.reconstruction_share,
                "precision": self.precision,
                "model": self.model.state_dict(),
                "assignment": self.assignment.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                **self.expectation.state(),
            }
        )

    def _load(self, state: dict[str, Any]) -> None:
        self.stage, self.step = state["stage"], state["step"]
        self.steps, self.precision = state["steps"], state["precision"]
        self.convergence = Convergence(**state["convergence"])
        self.reconstruction_share = state["reconstruction_share"]
        self.checkpoint.load_weights(state, {"model": self.model, "assignment": self.assignment})
        self.expectation.load(state)
        if state["best"] is not None:
            self.best = {name: value.to(self.device) for name, value in state["best"].items()}
        # The clustering stage makes a new optimiser after theta is initialised.
        if self.stage == "reconstruction" or self.expectation.targets is not None:
            self.optimizer = self._optimizer()
            if self.stage != "done":
                self.optimizer.load_state_dict(state["optimizer"])

    def _not_finite(self, name: str, value: str) -> str:
        """The message for a loss or weights that are not finite."""
        saved = "no checkpoint was written"
        if self.checkpoint.exists:
            saved = f"the last good checkpoint is {self.checkpoint.path}"
        return (
            f"the {self.stage} {name} must be finite, got {value} at step {self.step}: lower the "
            f"learning rate {self.optimizer.param_groups[0]['lr']:.3g}; {saved}"
        )
