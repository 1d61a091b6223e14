"""Notebook 05."""

from collections.abc import Callable

import numpy as np
import torch

from wmlib.checks.exercise import ask, exercise, expect


@exercise(1)
def check_kept(choice: Callable) -> None:
    """Which checkpoint to keep."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        promised, real = rng.normal(60, 20, 10), rng.normal(300, 150, 10)
        answer = ask(choice, promised, real)
        wanted = int(real.argmax())
        expect(answer == wanted, f"in the real game number {wanted} is best, you keep {answer}")


@exercise(2)
def check_rank_correlation(rank_correlation: Callable) -> None:
    """Spearman's correlation, against the sum of squared differences of ranks."""
    rng = np.random.default_rng(0)
    for n in (4, 11):
        promised, real = rng.normal(size=n), rng.normal(size=n) ** 3
        place = [{value: i for i, value in enumerate(sorted(v))} for v in (promised, real)]
        differences = [place[0][a] - place[1][b] for a, b in zip(promised, real, strict=True)]
        expected = 1 - 6 * sum(d * d for d in differences) / (n * (n * n - 1))
        answer = float(ask(rank_correlation, promised, real))
        expect(abs(answer - expected) < 1e-6, f"it should be {expected:.3f}, you gave {answer:.3f}")


@exercise(3)
def check_rollout(rollout: Callable) -> None:
    """A dream whose every step is known: the order of acting and stepping, and the end."""
    for horizon, end in ((10, 99), (10, 4)):
        seen = []

        def act(z: float, h: float) -> float:
            return 100 * z + h

        def step(z: float, h: float, action: float, seen: list = seen, end: int = end) -> tuple:
            seen.append(action)
            return z + 1, h + 2, float(10 ** (len(seen) % 3)), len(seen) == end

        answer = ask(rollout, step, act, 1.0, 5.0, horizon)
        steps = min(horizon, end)
        wanted = [100 * (1 + t) + 5 + 2 * t for t in range(steps)]
        until = f"a horizon of {horizon} and an end at step {end}"
        expect(len(seen) == steps, f"{until} make {steps} steps, not {len(seen)}")
        expect(seen == wanted, f"you did {seen[:3]}..., not {wanted[:3]}...: act first, then step")
        expected = sum(10.0 ** (t % 3) for t in range(1, steps + 1))
        expect(answer == expected, f"the rewards add up to {expected}, you gave {answer}")


@exercise(4)
def check_reward_loss(loss: Callable) -> None:
    """The optimist's tax, by hand."""
    said = torch.tensor([1.0, 2.0, -1.0, 0.5])
    paid = torch.tensor([0.0, 3.0, -1.0, 0.0])
    for factor in (1.0, 5.0):
        answer = float(ask(loss, said, paid, factor))
        expected = (factor * 1.0 + 1.0 + 0.0 + factor * 0.25) / 4
        right = abs(answer - expected) < 1e-6
        expect(right, f"for a factor {factor} it is {expected}, you gave {answer}")
