"""Explorers: how long they hold, how far they reach, and that chance follows from the game's seed."""

import numpy as np
import pytest

from wmlib.config import CollectConfig, RunConfig
from wmlib.data.explorers import (
    BrownianPolicy,
    FreshPolicy,
    HeldPolicy,
    StrafingPolicy,
    UniformPolicy,
    WhitePolicy,
)
from wmlib.task import Task, find_task


@pytest.fixture
def doom():
    return find_task("takecover")


def test_explorers_hold_an_even_action_for_one_to_ten_frames(doom):
    policy, every = UniformPolicy(doom, 3), np.ones(3, bool)
    policy.restart(every, [1, 2, 1], None)
    actions = np.array([policy.act(every, None)[:, 0] for _ in range(20_000)])
    np.testing.assert_array_equal(actions[:, 0], actions[:, 2])  # chance follows from the seed
    assert (actions[:50, 0] != actions[:50, 1]).any()
    changes = np.flatnonzero(np.diff(actions[:, 0]))
    lasted = np.diff(changes)
    assert lasted.min() == 1 and lasted.max() == 10
    np.testing.assert_allclose(np.bincount(lasted)[1:] / len(lasted), 0.1, atol=0.02)
    drawn = actions[changes, 0]
    assert abs(drawn.mean()) < 0.05 and abs(drawn.std() - 1 / np.sqrt(3)) < 0.03
    assert (
        RunConfig(task="takecover", collect=CollectConfig(policy="uniform")).collect.policy
        in doom.explorers
    )


def test_an_even_action_is_drawn_from_all_that_the_game_takes():
    every = np.ones(60, bool)
    policy = FreshPolicy(PLAIN, 60)
    policy.restart(every, list(range(60)), None)
    actions = np.concatenate([policy.act(every, None) for _ in range(100)])
    np.testing.assert_allclose(actions.min(0), [-1, 0], atol=0.01)
    np.testing.assert_allclose(actions.max(0), [1, 0.5], atol=0.01)
    np.testing.assert_allclose(actions.mean(0), [0, 0.25], atol=0.03)


def test_strafing_games_hold_their_actions_for_longer_each_by_a_limit_of_its_own(doom):
    games = 300
    policy, every = StrafingPolicy(doom, games), np.ones(games, bool)
    policy.restart(every, list(range(games)), None)
    assert policy.most.min() >= 10 and policy.most.max() <= 160
    assert np.median(policy.most) == pytest.approx(40, rel=0.15)  # even in the logarithm
    actions = np.array([policy.act(every, None)[:, 0] for _ in range(4000)])
    for lane in (int(policy.most.argmin()), int(policy.most.argmax())):
        lasted = np.diff(np.flatnonzero(np.diff(actions[:, lane])))
        assert lasted.max() <= policy.most[lane] and lasted.max() > 0.7 * policy.most[lane]
        assert lasted.mean() == pytest.approx((1 + policy.most[lane]) / 2, rel=0.25)


def test_chance_draws_a_new_action_at_every_frame(doom):
    policy, every = FreshPolicy(doom, 2), np.ones(2, bool)
    policy.restart(every, [1, 2], None)
    actions = np.array([policy.act(every, None)[:, 0] for _ in range(5000)])
    assert (np.diff(actions, axis=0) != 0).all()
    assert abs(np.corrcoef(actions[1:, 0], actions[:-1, 0])[0, 1]) < 0.05


def wide(rng, size):
    """A temper that is known: the first number hardly moves, the second goes beyond its bounds."""
    return [0.5, 0.0], [0.1, 2.0]


PLAIN = Task("plain", actions={"a": (-1.0, 1.0), "b": (0.0, 0.5)}, z_size=2, hidden_size=2, temper=wide)


def played(policy, seeds, steps=3000):
    lanes = len(seeds)
    every = np.ones(lanes, bool)
    made = policy(PLAIN, lanes)
    made.restart(every, seeds, None)
    return made, np.array([made.act(every, None) for _ in range(steps)])


@pytest.mark.parametrize("policy", [BrownianPolicy, HeldPolicy, WhitePolicy])
def test_noise_spreads_as_its_temper_says_within_the_games_bounds(policy):
    _, actions = played(policy, list(range(40)))
    assert actions.dtype == np.float32 and actions.shape == (3000, 40, 2)
    first, second = actions[..., 0], actions[..., 1]
    assert first.mean() == pytest.approx(0.5, abs=0.01)
    assert first.std() == pytest.approx(0.1, rel=0.05)
    assert second.min() == 0.0 and second.max() == 0.5


@pytest.mark.parametrize("policy", [BrownianPolicy, HeldPolicy, WhitePolicy])
def test_chance_follows_from_the_games_seed_alone(policy):
    _, three = played(policy, [5, 6, 5], steps=20)
    np.testing.assert_array_equal(three[:, 0], three[:, 2])
    assert (three[:, 0] != three[:, 1]).any()
    _, one = played(policy, [6], steps=20)
    np.testing.assert_array_equal(one[:, 0], three[:, 1])


def test_each_kind_of_noise_keeps_its_state_as_it_says():
    def kept(policy):
        made, actions = played(policy, [3, 4])
        a, b = actions[1:, :, 0], actions[:-1, :, 0]
        return made.keep, [np.corrcoef(a[:, lane], b[:, lane])[0, 1] for lane in (0, 1)], a == b

    keep, correlation, same = kept(BrownianPolicy)
    np.testing.assert_allclose(correlation, keep, atol=0.05)
    assert not same.any()
    keep, _, same = kept(HeldPolicy)
    np.testing.assert_allclose(same.mean(0), keep, atol=0.03)
    _, correlation, same = kept(WhitePolicy)
    assert np.abs(correlation).max() < 0.06 and not same.any()


def test_lanes_that_are_idle_do_not_draw(doom):
    for task, policy in ((PLAIN, BrownianPolicy), (doom, UniformPolicy)):
        busy, idle = policy(task, 2), policy(task, 2)
        every, first = np.ones(2, bool), np.array([True, False])
        for made in (busy, idle):
            made.restart(every, [1, 2], None)
        for _ in range(30):
            idle.act(first, None)
        np.testing.assert_array_equal(idle.act(every, None)[1], busy.act(every, None)[1])
