"""Notebook 08."""

from collections.abc import Callable

import numpy as np

from wmlib.checks.exercise import ask, exercise, expect

BEST_OF = {1: 0.0, 2: 0.5642, 3: 0.8463, 7: 1.3522, 20: 1.8675}
"""Of so many draws from a standard normal distribution, the mean of the largest."""


@exercise(1)
def check_half(half: Callable) -> None:
    """Half of a published mean's 95 % interval, at scores that divide well."""
    for sd, n in ((100.0, 100), (500.0, 625), (21.0, 9)):
        said, right = float(ask(half, sd, n)), 1.96 * sd / n**0.5
        words = f"± {sd:g} over {n} games: half the interval is {right:.2f}, you gave {said:.2f}"
        expect(abs(said - right) < 0.02 * right, words)


@exercise(2)
def check_flattery(flattery: Callable) -> None:
    """The winner's curse, against the known means of the largest of n draws."""
    for tests, mean in BEST_OF.items():
        said, right = float(ask(flattery, np.random.default_rng(0), tests, 50.0)), 50.0 * mean
        words = (
            f"the best of {tests} tests with an error of 50: {right:.1f} too high, you gave {said:.1f}"
        )
        expect(abs(said - right) < 1.5, words)
    twice = [float(ask(flattery, np.random.default_rng(1), 3, 50.0)) for _ in range(2)]
    expect(twice[0] == twice[1], "the same rng gave another number: some chance isn't its own")


@exercise(3)
def check_tracks(tracks: Callable) -> None:
    """The fewest tracks for a ranking as good as is wanted, by trying one after the other."""
    for wanted, candidate, rest in (
        (0.9, 30.0, 60.0),
        (0.5, 30.0, 60.0),
        (0.95, 10.0, 100.0),
        (0.6, 4.0, 3.0),
    ):
        said, right = ask(tracks, wanted, candidate, rest), 1
        while (candidate**2 / (candidate**2 + rest**2 / right)) ** 0.5 < wanted:
            right += 1
        words = (
            f"for a correlation of {wanted}, with deviations of {candidate:g} (candidates) and {rest:g} "
            f"(the rest): {right} tracks, you gave {said}"
        )
        expect(int(said) == said == right, words)
