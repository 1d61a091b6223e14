"""CarRacing: the paper's numbers, how it is explored, and how hands and C drive."""

import numpy as np
import pytest
import torch

from wmlib.data.explorers import BrownianPolicy
from wmlib.task import find_profile, make_game
from wmlib.tasks.carracing import KEPT_ROWS, Hands, temper, to_action


def test_the_papers_numbers(task):
    paper = find_profile("paper")
    assert (paper.real.population, paper.real.episodes, paper.real.generations) == (64, 16, 1800)
    assert (paper.real.sigma, paper.real.weight_decay) == (0.1, 0.01)
    assert (paper.collect.episodes, paper.vae.batch_size, paper.vae.learning_rate) == (10_000, 100, 1e-4)
    assert (paper.mdnrnn.sequence_length, paper.mdnrnn.learning_rate, paper.mdnrnn.clip) == (
        999,
        1e-3,
        1,
    )
    assert (task.z_size, task.hidden_size, task.mixtures, task.feature_size) == (32, 256, 5, 288)


def test_the_stock_game_is_gymnasiums_own_class():
    from gymnasium.envs.box2d.car_racing import CarRacing

    assert type(make_game("carracing", "stock")) is CarRacing
    assert type(make_game("carracing", "exact")) is not CarRacing


def test_every_kind_of_game_keeps_the_papers_rows(task):
    assert KEPT_ROWS == 84
    assert {spec.kept_rows for spec in task.games.values()} == {84}


def test_actions_are_the_games_own(task):
    game = make_game("carracing")
    low, high = zip(*task.actions.values(), strict=True)
    assert list(task.actions) == ["steer", "gas", "brake"]
    np.testing.assert_array_equal(game.action_space.low, low)
    np.testing.assert_array_equal(game.action_space.high, high)


def test_a_silent_c_gives_half_gas_and_no_brake():
    raw = torch.tensor([[0.0, 0.0, 0.0], [9.0, 9.0, 9.0], [-9.0, -9.0, -9.0], [0.5, -0.5, 0.25]])
    expected = [
        [0, 0.5, 0],
        [1, 1, 1],
        [-1, 0, 0],
        [np.tanh(0.5), (1 - np.tanh(0.5)) / 2, np.tanh(0.25)],
    ]
    torch.testing.assert_close(to_action(raw), torch.tensor(expected).float(), rtol=0, atol=1e-6)


def test_hands_steer_with_some_delay():
    hands = Hands()
    steering = [float(hands({"left", "up"})[0]) for _ in range(8)]
    np.testing.assert_allclose(steering, [-0.15, -0.3, -0.45, -0.6, -0.7, -0.7, -0.7, -0.7], atol=1e-6)
    np.testing.assert_allclose(hands({"up"})[1:], [0.5, 0.0])
    np.testing.assert_allclose(hands({"right", "down"}), [-0.4, 0.0, 0.8], atol=1e-6)
    # Both keys, or none, bring the wheel back to the middle, and there it stays.
    steering = [float(hands(keys)[0]) for keys in ({"left", "right"}, set(), set(), set())]
    np.testing.assert_allclose(steering, [-0.25, -0.1, 0.0, 0.0], atol=1e-6)
    assert hands(set()).dtype == np.float32
    assert Hands()({"right"})[0] == pytest.approx(0.15)  # in a new game they begin anew


def test_explorers_drive_each_in_a_way_of_its_own(task):
    centres, spreads = map(
        np.array, zip(*(temper(np.random.default_rng(s), 3) for s in range(400)), strict=True)
    )
    assert (centres[:, 0] == 0).all() and (spreads[:, 1:] == 0.3).all()
    for element, low, high in ((1, 0.0, 1.0), (2, -0.7, 0.15)):
        drawn = centres[:, element]
        assert low <= drawn.min() < low + 0.02 and high - 0.02 < drawn.max() <= high
    steering = np.log10(spreads[:, 0])  # even in the logarithm
    assert -1.4 <= steering.min() < -1.35 and 0.25 < steering.max() <= 0.3
    explorer, every = BrownianPolicy(task, 1), np.ones(1, bool)
    explorer.restart(every, [5], None)
    centre, spread = temper(np.random.default_rng([5, 7]), 3)
    np.testing.assert_array_equal((explorer.centre[0], explorer.spread[0]), (centre, spread))
