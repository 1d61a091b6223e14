"""Mirrored pairs against the true direction."""

import numpy as np
import pytest

from wmlib.evolution.pairs import MirroredPairs


def pairs(size=10, population=200, sigma=0.1):
    return MirroredPairs(size, population, sigma, np.random.default_rng(0))


def test_candidates_are_mirror_images_about_the_mean():
    strategy = pairs()
    strategy.mean = np.arange(10.0)
    x = strategy.ask()
    assert x.shape == (200, 10)
    np.testing.assert_allclose((x[::2] + x[1::2]) / 2, np.tile(strategy.mean, (100, 1)))
    assert x.std() == pytest.approx(np.hypot(strategy.mean.std(), 0.1), rel=0.02)


def test_it_steps_uphill_as_far_as_it_may():
    strategy, slope = pairs(), np.linspace(-1, 1, 10)
    x = strategy.ask()
    strategy.tell(x, -(x @ slope))
    step, longest = strategy.mean, 0.1 * np.sqrt(10) / 15
    assert np.linalg.norm(step) == pytest.approx(longest / 2)
    assert step @ slope / np.linalg.norm(step) / np.linalg.norm(slope) > 0.9
    for _ in range(20):
        before = strategy.mean
        x = strategy.ask()
        strategy.tell(x, -(x @ slope))
        assert np.linalg.norm(strategy.mean - before) <= longest * (1 + 1e-9)


def test_luck_that_a_pair_shares_does_not_count():
    """A number of its own added to both of each pair changes nothing."""
    plain, lucky, luck = pairs(), pairs(), np.random.default_rng(1).normal(0, 1e3, 100).repeat(2)
    for strategy, more in ((plain, 0.0), (lucky, luck)):
        x = strategy.ask()
        strategy.tell(x, (np.round(x, 3) ** 2).sum(1) + np.round(x[:, 0]) + more)
    np.testing.assert_allclose(plain.mean, lucky.mean, atol=1e-6)


def test_no_difference_is_no_step():
    strategy = pairs()
    strategy.tell(strategy.ask(), [1.0] * 200)
    assert not strategy.mean.any()
