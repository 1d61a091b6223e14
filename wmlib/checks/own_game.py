"""Notebook 07."""

from collections.abc import Callable

import numpy as np
import torch

from wmlib.checks.exercise import ask, exercise, expect


@exercise(1)
def check_stretched(stretched: Callable) -> None:
    """The action mapping of numbers within bounds, at places where tanh is known."""
    low, high = torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 3.0])
    half = float(np.arctanh(0.5))
    raw = torch.tensor([[0.0, 0.0], [50.0, 50.0], [-50.0, -50.0], [half, -half]])
    wanted = torch.tensor([[0.0, 1.5], [1.0, 3.0], [-1.0, 0.0], [0.5, 0.75]])
    answer = torch.as_tensor(ask(stretched, raw, low, high))
    expect(answer.shape == raw.shape, f"{tuple(raw.shape)} went to {tuple(answer.shape)}")
    for said, given, right in zip(raw, answer, wanted, strict=True):
        words = f"C says {said.tolist()}: it should be {right.tolist()}, you gave {given.tolist()}"
        expect(torch.allclose(given, right, atol=1e-4), words)


@exercise(2)
def check_explore(explore: Callable) -> None:
    """An explorer's choices: their range, how evenly they come, and how long each game keeps to one."""
    games = [np.asarray(ask(explore, np.random.default_rng(seed), 4000, 3)) for seed in range(40)]
    for game in games:
        expect(game.shape == (4000,), f"4000 steps gave an array {game.shape}")
        known = bool(np.isin(game, (0, 1, 2)).all())
        expect(known, "there are three choices, and some step is none of 0, 1 and 2")
    again = np.asarray(ask(explore, np.random.default_rng(0), 4000, 3))
    expect(np.array_equal(again, games[0]), "the same rng gave another game: some chance isn't its own")
    shares = np.bincount(np.concatenate(games).astype(int), minlength=3) / (40 * 4000)
    even = bool(np.allclose(shares, 1 / 3, atol=0.05))
    expect(even, f"the choices come with shares {shares.round(2).tolist()}, not a third each")
    # Neighbouring choices are alike in a third of the cases, so a change comes every 1.5 choices; and a
    # choice lasts (L + 1) / 2 steps. Of all L the mean is 17: over 40 games it is well known.
    lasts = np.array([4000 / (1 + np.count_nonzero(np.diff(game))) / 1.5 for game in games])
    mean = float(lasts.mean())
    expect(abs(mean - 9) < 2, f"a choice lasts {mean:.1f} steps on average, and it should be about 9")
    spread = bool(lasts.min() < 6 and lasts.max() > 12)
    expect(spread, "all games are equally patient: L is drawn once a game, anew in each")


@exercise(3)
def check_pay(pay: Callable) -> None:
    """A rule of pay: the mean of each outcome, and how much of it is left to foretell."""
    rng = np.random.default_rng(0)
    caught = rng.permutation(np.repeat([0, 1], 50_000))
    paid = np.asarray(ask(pay, caught.copy(), rng), float)
    expect(paid.shape == caught.shape, f"{len(caught)} balls gave an array {paid.shape}")
    for outcome, name in ((0, "missed"), (1, "caught")):
        mean = float(paid[caught == outcome].mean())
        expect(abs(mean - outcome) < 0.05, f"a ball {name} pays {mean:.2f} on average, not {outcome}")
    best = np.where(caught, paid[caught == 1].mean(), paid[caught == 0].mean())  # all that M can say
    r2 = float(1 - np.mean((paid - best) ** 2) / paid.var())
    expect(r2 <= 0.51, f"M can foretell this: R² {r2:.2f}")
