"""The one loop: every game its own sum, on its own seed, by its own player, and nothing twice."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wmlib.worlds.play import Jerks, Listener, Observer, PolicyPlayer, play, play_games


class CountingWorld:
    """A stand-in whose lane with seed s ends after s steps and pays 1 a step: sums are known."""

    def __init__(self, lanes, reward=1.0):
        self.lanes, self.reward = lanes, reward
        self.left, self.stepped = np.zeros(lanes, int), 0

    def reset(self, *, seed, options=None):
        mask = options["reset_mask"] if options else np.ones(self.lanes, bool)
        self.left[mask] = np.array(seed)[mask]
        return torch.zeros(self.lanes, 288), {}

    def stop(self, lanes):
        self.left[lanes] = 0

    def step(self, actions):
        active = self.left > 0
        self.left -= active
        self.stepped += int(active.sum())
        ended = active & (self.left == 0)
        return torch.zeros(self.lanes, 288), self.reward * active, ended, ended & False, {}


class Ends(Observer):
    """Keeps which game ended with what."""

    def __init__(self):
        self.finished = []

    def end(self, lane, game, total):
        self.finished.append((game, total))


@pytest.mark.parametrize("lanes", [1, 3, 6, 10])
def test_play_gives_every_game_its_own_sum(controller, lanes):
    world = CountingWorld(lanes)
    ends, told = Ends(), []
    returns = play(
        world, controller, torch.zeros(2, controller.size), [5, 1, 9],
        observers=[ends, Listener(told.append)],
    )  # fmt: skip
    assert returns.tolist() == [[5, 1, 9], [5, 1, 9]]
    assert sorted(ends.finished) == [(0, 5), (1, 1), (2, 9), (3, 5), (4, 1), (5, 9)]
    assert told == [total for _, total in ends.finished]
    assert world.stepped == 30  # nothing was played twice


def test_patience_ends_a_game_without_reward(controller):
    world = CountingWorld(2, reward=-0.5)
    returns = play(world, controller, torch.zeros(1, controller.size), [50, 3], patience=10)
    assert returns.tolist() == [[-5.0, -1.5]]
    assert world.stepped == 13


def test_giving_up_is_charged_for_the_steps_that_were_left(controller):
    """12 steps of -0.5 are waited out; 50 - 12 = 38 more would have cost as much each. A game that ends
    by itself pays only for what it played."""
    for seeds in ([50, 3], [3, 50]):
        world = CountingWorld(2, reward=-0.5)
        returns = play(world, controller, torch.zeros(1, controller.size), seeds, 12, charge=True)
        assert sorted(returns[0].tolist()) == [-25.0, -1.5]
        assert world.stepped == 15


def test_jerks_are_the_squared_changes_of_the_action_within_a_game():
    class Wheel:
        """Turns by 0.5 more at each step of a game."""

        def begin(self, lanes, games, seen):
            self.turn = np.where(lanes, 0.0, getattr(self, "turn", np.zeros(len(lanes))))

        def act(self, active, seen):
            self.turn = self.turn + 0.5
            return np.stack([self.turn, self.turn * 0, self.turn * 0], 1)

    jerks = Jerks(3)
    play_games(CountingWorld(2), Wheel(), np.array([5, 2, 9]), observers=[jerks])
    assert jerks.totals.tolist() == [4 * 0.25, 1 * 0.25, 8 * 0.25]


def test_each_controller_may_have_seeds_of_its_own(controller):
    returns = play(
        CountingWorld(2), controller, torch.zeros(2, controller.size), np.array([[5, 1], [2, 7]])
    )
    assert returns.tolist() == [[5, 1], [2, 7]]


class Echo(CountingWorld):
    """Pays, at each step, the first number of the action."""

    def step(self, actions):
        active = self.left > 0
        features, _, *rest = super().step(actions)
        return features, np.where(active, np.asarray(actions)[:, 0], 0.0), *rest


@pytest.mark.parametrize("lanes", [1, 3, 8])
def test_each_game_is_played_by_the_controller_whose_it_is(controller, lanes):
    params = torch.zeros(3, controller.size)
    params[:, -3] = torch.tensor([0.1, -0.2, 0.3])  # the bias of what steers
    returns = play(Echo(lanes), controller, params, [4, 2])
    expected = params[:, -3].tanh().double()[:, None] * torch.tensor([4.0, 2.0])
    np.testing.assert_allclose(returns, expected, rtol=1e-6)


class Diary(Observer):
    def __init__(self, world):
        self.world, self.rows, self.now = world, {}, {}

    def begin(self, lanes, games):
        for lane in np.flatnonzero(lanes):
            self.now[lane] = games[lane]
            self.rows[games[lane]] = [int(self.world.left[lane])]

    def step(self, lanes, actions, rewards, terminated):
        assert set(np.flatnonzero(lanes)) == self.now.keys()
        for lane in np.flatnonzero(lanes):
            self.rows[self.now[lane]] += [int(self.world.left[lane])]
            assert terminated[lane] == (self.world.left[lane] == 0) and rewards[lane] == 1.0

    def end(self, lane, game, total):
        assert self.now.pop(lane) == game and total == len(self.rows[game]) - 1


@pytest.mark.parametrize("lanes", [1, 2, 5])
def test_who_watches_sees_each_game_from_its_beginning_to_its_end(controller, lanes):
    world = CountingWorld(lanes)
    diary = Diary(world)
    play(world, controller, torch.zeros(1, controller.size), [3, 1, 2], observers=[diary])
    assert diary.rows == {0: [3, 2, 1, 0], 1: [1, 0], 2: [2, 1, 0]} and not diary.now


class Script:
    """A policy that acts by the seed of the lane's game, and notes what it is told."""

    def __init__(self, lanes):
        self.seeds, self.begun = np.zeros(lanes), []

    def restart(self, lanes, seeds, frames):
        self.seeds[lanes] = np.array(seeds)[lanes]
        self.begun += [seeds[lane] for lane in np.flatnonzero(lanes)]
        assert len(frames) == len(lanes)

    def act(self, active, frames):
        return self.seeds[:, None] * active[:, None]


@pytest.mark.parametrize("lanes", [1, 2, 6])
def test_a_policy_is_told_of_each_game_by_its_seed(lanes):
    seeds = np.array([4, 1, 3, 2])
    policy = Script(lanes)
    returns = play_games(Echo(lanes), PolicyPlayer(policy, seeds), seeds)
    assert returns.tolist() == [16.0, 1.0, 9.0, 4.0]  # as many steps as the seed says, each paid so much
    assert sorted(policy.begun) == [1, 2, 3, 4]


def test_patience_begins_anew_with_each_game_and_each_reward(controller):
    still = torch.zeros(1, controller.size)
    returns = play(CountingWorld(1, reward=-0.5), controller, still, [7, 8], patience=10)
    assert returns.tolist() == [[-3.5, -4.0]]  # each shorter than the patience
    assert play(CountingWorld(1), controller, still, [30], patience=10).tolist() == [[30.0]]


def test_no_games_are_no_returns():
    """Nothing is opened, asked or begun."""
    assert play_games(SimpleNamespace(lanes=2), None, np.array([], int)).shape == (0,)
