"""The two training stages (section 3.5 of the paper), resumable at any moment.

The first has a fixed length, or lasts until the autoencoder has converged (section 4.2.2).

All random numbers of a step come from the seed, the stage and the step's number alone, so a run that
was killed and resumed from its last checkpoint takes exactly the steps an uninterrupted run takes.

Several ranks (:mod:`gepc_geo.utils.distributed`) train as one: each computes its share of every global batch,
gradients and norm statistics are those of the whole, and a checkpoint does not know how many ranks there
were. Only dropout differs: every rank draws masks of its own.
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
from gepc_geo.training.expectation import Expectation
from gepc_geo.training.gradients import clipped_gradients
from gepc_geo.training.precision import autocast, decide, tensor_float
from gepc_geo.training.resume import TrainingCheckpoint
from gepc_geo.training.schedule import Convergence, cosine
from gepc_geo.training.validation import Validation, warn_of_poor
from gepc_geo.utils import distributed
from gepc_geo.utils.journal import Journal
from gepc_geo.utils.progress import progress_bar
from gepc_geo.windows.dataset import PoseWindows
from gepc_geo.windows.loader import WindowLoader
from gepc_geo.windows.pipeline import InputPipeline

# Steps between two looks at the loss: each look waits for the device.
_LOG_STEPS = 50


class Trainer:
    """Trains an autoencoder and a cluster layer on windows.

    Args:
        model: The autoencoder.
        assignment: The cluster layer.
        pipeline: Makes the network's input of a batch.
        loader: The training windows, on the device.
        options: Training options.
        held_out: Windows that tell whether the autoencoder has converged; those of ``loader`` where
            there are none. (default: :obj:`None`)
        folder: Where checkpoint and log go; ``None`` writes nothing.
        quiet: Show no progress.
        tensorboard: Also write TensorBoard events.

    Attributes:
        reconstruction_share: The reconstruction loss of held-out windows at the end of the first
            stage, as a share of that of predicting the mean of the training windows.
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
        #: The option ``precision``, decided; a resumed run keeps what it began with.
        self.precision = distributed.from_first(lambda: decide(options.precision, self.device))
        self.batch_size = min(options.batch_size, len(loader.windows))
        self.batches = TrainingBatches(pipeline, loader, self.batch_size, options.random_state)
        self.validation = Validation(model, pipeline, loader, held_out)
        self.expectation = Expectation(model, assignment, pipeline, loader, options.target)
        # Of stages of known length. To convergence the first one's end sets that of the second.
        self.steps: dict[str, int] = {}
        if options.budget is not None:
            total = math.ceil(options.budget / self.batch_size)
            second = round(total * options.cluster_share)
            self.steps = {"reconstruction": total - second, "clustering": second}
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
                        raise InputError(self._not_finite(f"loss is {loss}"))
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
                # The end of a stage is saved with the beginning of the next.
                if last:
                    return
                if due:
                    self._save()

    def _has_converged(self) -> bool:
        """Looks at the validation loss now and then, and keeps the weights of the lowest."""
        if self.step % self.convergence.interval:
            return False
        loss = self.validation.loss(self.precision)
        if not math.isfinite(loss):
            raise InputError(self._not_finite(f"loss of held-out windows is {loss}"))
        if self.convergence.look(self.step, loss):
            self.best = {name: one.clone() for name, one in self.model.state_dict().items()}
        self._log(held_out=f"{loss:.6g}")
        return self.convergence.ended

    def _end_reconstruction(self) -> None:
        """Takes the best weights and measures the reconstruction share."""
        if self.best is not None:
            self.model.load_state_dict(self.best)
            self.best = None
        if not self.steps:
            ratio = self.options.cluster_share / (1 - self.options.cluster_share)
            self.steps = {"reconstruction": self.step, "clustering": int(self.step * ratio)}
        self._check_weights()
        loss, of_mean = self.validation.loss(self.precision), self.validation.loss_of_mean()
        self.reconstruction_share = loss / of_mean if of_mean else math.nan
        self._log(held_out=f"{loss:.6g}", share=f"{self.reconstruction_share:.5f}")
        # One that nobody trains is meant to be poor.
        if self.step and distributed.is_first():
            warn_of_poor(self.reconstruction_share, self.options)

    def _log(self, **row: str) -> None:
        """Adds a row to the journal; where the first rank cannot write it, all of them end."""
        with distributed.raise_on_all_ranks():
            self.journal.add(stage=self.stage, step=self.step, passes=self._passes(), **row)

    def _step(self, index: Tensor) -> Tensor:
        """Losses of a global batch, one gradient step down; nothing here waits for the device."""
        rebuilt, clustered = self._losses(index)
        parts = [rebuilt]
        if self.stage == "clustering":
            parts.append(self.options.cluster_weight * clustered)
        clipped_gradients(parts, self._parameters(), self.options.clip_norm)
        self.optimizer.step()
        return torch.stack([torch.stack(parts).sum(), rebuilt, clustered]).detach()

    def _losses(self, index: Tensor) -> tuple[Tensor, Tensor]:
        r""":math:`L_{rec}` and, in the M step, :math:`L_{cluster}` (eq. 2; before it 0).

        Autograd gives each part of the network its own loss, the encoder both (eq. 4).
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
        """The E step where it is time for it; false when (almost) no label changed any more."""
        every = max(1, math.ceil(self.steps["clustering"] / self.options.target_updates))
        if self.step % every:
            return True
        self._check_weights()
        change = self.expectation.update(self.precision)
        if change is None:
            return True
        self._log(label_change=f"{change:.5f}")
        return change >= self.options.label_tolerance

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
        """Nothing is kept or computed from weights that are no numbers any more."""
        if not bool(torch.stack([value.isfinite().all() for value in self._state()]).all()):
            raise InputError(self._not_finite("weights are not all numbers"))

    def _state(self) -> list[Tensor]:
        """Everything learned, as tensors that can be written to."""
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
        try:
            self.model.load_state_dict(state["model"])
            self.assignment.load_state_dict(state["assignment"])
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise InputError(
                f"{self.checkpoint.path} is of another model than these options make: {reason}"
            ) from None
        self.expectation.load(state)
        if state["best"] is not None:
            self.best = {name: one.to(self.device) for name, one in state["best"].items()}
        # The clustering stage begins with a fresh optimiser, made once theta is started.
        if self.stage == "reconstruction" or self.expectation.targets is not None:
            self.optimizer = self._optimizer()
            if self.stage != "done":
                self.optimizer.load_state_dict(state["optimizer"])

    def _not_finite(self, what: str) -> str:
        kept = "no checkpoint was written"
        if self.checkpoint.exists:
            kept = f"the last good checkpoint is {self.checkpoint.path}"
        return (
            f"the {self.stage} {what} at step {self.step}, expected finite numbers "
            f"(lower the learning rate {self.optimizer.param_groups[0]['lr']:.3g}); {kept}"
        )
