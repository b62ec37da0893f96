"""Lengths of stages, learning rates, and when a stage has converged."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from gepc_geo.training.schedule import Convergence, cosine, steps_of_budget, steps_of_first


@pytest.mark.parametrize(
    ("budget", "share", "first", "second"),
    [(1000, 0.25, 75, 25), (1001, 0.25, 76, 25), (95, 0.25, 8, 2), (0, 0.25, 0, 0), (40, 0, 4, 0)],
)
def test_stages_share_the_steps_of_a_budget(budget, share, first, second):
    """A step has 10 windows; a part of a step counts as one."""
    steps = steps_of_budget(budget, 10, share)
    assert steps == {"reconstruction": first, "clustering": second}


@pytest.mark.parametrize(("first", "share", "second"), [(75, 0.25, 25), (7, 0.25, 2), (9, 0, 0)])
def test_the_second_stage_follows_from_the_length_of_the_first(first, share, second):
    assert steps_of_first(first, share) == {"reconstruction": first, "clustering": second}


def test_a_stage_of_known_length_rises_and_falls_as_a_cosine():
    rates = [cosine(step, 100) for step in range(100)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5] == 1.0 and rates[52] == pytest.approx(0.5132, abs=1e-4)
    assert rates[99] == pytest.approx(0.01, abs=1e-3)
    assert cosine(0, 1) == 1.0


def steps_of(losses: list[float], patience: int = 8) -> tuple[Convergence, list[float], int]:
    """Looks at losses in turn: the state, the rate after each, and the step of the lowest."""
    state, rates, best = Convergence(patience), [], 0
    for number, loss in enumerate(losses, 1):
        assert not state.ended
        if state.update(number * state.interval, loss):
            best = number * state.interval
        rates.append(state.rate(number * state.interval))
    return state, rates, best


def test_without_progress_the_rate_falls_once_and_then_the_stage_ends():
    """Patience of 8 steps, a look at every other one; drops of less than 1 % do not count."""
    losses = [1.0, 0.5, 0.499, 0.498, 0.497, 0.496, 0.48, 0.479, 0.48, 0.478, 0.4775]
    state, rates, best = steps_of(losses)
    # The last drop by 1 % is at step 4; at 12 the rate falls; the next is at 14, the end at 22.
    assert rates == pytest.approx([1] * 5 + [0.1] * 6)
    assert state.ended and state.best == 0.4775 and best == 22


def test_the_best_step_is_that_of_the_lowest_loss():
    state, _, best = steps_of([1.0, 0.9, 0.95, 0.93, 0.92, 0.91, 0.899, 0.9, 0.9, 0.9])
    assert state.ended and best == 14 and state.best == 0.899


def test_a_loss_of_zero_ends_the_stage():
    state, _, best = steps_of([0.0] * 9)
    assert state.ended and best == 2


def test_the_rate_rises_until_the_first_measurement():
    state = Convergence(patience=16)
    assert [state.rate(step) for step in range(6)] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


def test_a_restored_schedule_continues_as_before():
    losses = [1.0, 0.5, 0.499, 0.498, 0.497, 0.496, 0.48, 0.479]
    whole, part = steps_of(losses)[0], steps_of(losses[:5])[0]
    again = Convergence(**asdict(part))
    for number, loss in enumerate(losses[5:], 6):
        again.update(number * again.interval, loss)
    assert again == whole
