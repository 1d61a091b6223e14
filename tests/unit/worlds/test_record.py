"""Games that are kept: as frames, as what V saw, and as a film, against the games themselves."""

import numpy as np
import pytest
import torch

from wmlib.envs.frames import to_frame
from wmlib.task import make_game
from wmlib.tasks.carracing import KEPT_ROWS
from wmlib.vae import to_frames, to_images
from wmlib.worlds.dream import DreamWorld
from wmlib.worlds.moments import memories
from wmlib.worlds.play import PolicyPlayer, play, play_games
from wmlib.worlds.real import FrameWorld, RealWorld
from wmlib.worlds.record import EpisodeRecorder, Filmer, SequenceRecorder, record


def test_recorded_games_are_the_games_that_play_scores(vae, mdnrnn, controller):
    torch.manual_seed(0)
    params = torch.randn(3, controller.size) * 0.1
    with RealWorld(vae, mdnrnn, 3, 1, horizon=45) as world:
        games = record(world, controller, params, np.array([5, 6, 7]), patience=20)
    with RealWorld(vae, mdnrnn, 2, 1, horizon=45) as world:  # two at once, then the third
        again = record(world, controller, params, np.array([5, 6, 7]), patience=20)
    assert again.lengths == games.lengths
    for name in ("mu", "logvar", "actions", "rewards", "dones"):
        assert torch.equal(getattr(again, name), getattr(games, name)), name
    with RealWorld(vae, mdnrnn, 3, 1, horizon=45) as world:
        expected = play(world, controller, params, np.array([[5], [6], [7]]), patience=20)[:, 0]
    np.testing.assert_allclose(games.returns, expected, atol=1e-3)
    # What was recorded is what C saw: from z and M's memory of it come the recorded actions.
    for episode, first in enumerate(np.cumsum([0, *games.lengths[:-1]])):
        z, h = memories(mdnrnn, games, episode)
        actions = controller.act(params[episode, None], torch.cat([z, h], 1)[None, :-1])[0]
        recorded = games.actions[first : first + games.lengths[episode]]
        torch.testing.assert_close(actions, recorded, rtol=1e-3, atol=1e-3)


class Straight:
    """Full gas, and a little to the side that the seed says."""

    def __init__(self, lanes):
        self.side = np.zeros(lanes)

    def restart(self, lanes, seeds, frames):
        self.side[lanes] = np.array(seeds)[lanes] / 100

    def act(self, active, frames):
        lanes = len(self.side)
        return np.stack([self.side, np.ones(lanes), np.zeros(lanes)], 1).astype(np.float32)


def alone(seed, steps):
    """The oracle: one game, stepped here."""
    game, action = make_game("carracing"), np.array([seed / 100, 1, 0], np.float32)
    frames, rewards = [to_frame(game.reset(seed=seed)[0], KEPT_ROWS)], []
    for _ in range(steps):
        picture, reward, *_ = game.step(action)
        frames.append(to_frame(picture, KEPT_ROWS))
        rewards.append(reward)
    return np.stack(frames), rewards


def test_episodes_hold_what_was_seen_done_and_earned(task):
    seeds, kept = np.array([3, 8, 5]), {}
    with FrameWorld(task.game(), 2, 1, horizon=6) as world:
        recorder = EpisodeRecorder(world, seeds, lambda episode: kept.update({episode.seed: episode}))
        play_games(world, PolicyPlayer(Straight(2), seeds), seeds, observers=[recorder])
    assert kept.keys() == {3, 5, 8}
    for seed, episode in kept.items():
        frames, rewards = alone(seed, 6)
        np.testing.assert_array_equal(episode.frames, frames)
        np.testing.assert_allclose(episode.rewards, rewards, rtol=1e-6)
        np.testing.assert_allclose(episode.actions, [[seed / 100, 1, 0]] * 6, rtol=1e-6)
        assert episode.rewards.dtype == episode.actions.dtype == np.float32
        assert episode.terminated is False


class Ending:
    """A world whose lane of seed s ends after s steps by itself, and shows the steps that are left."""

    def __init__(self, lanes):
        self.lanes, self.left = lanes, np.zeros(lanes, int)

    @property
    def frames(self):
        return (
            np.zeros((self.lanes, 64, 64, 3), np.uint8) + self.left.astype(np.uint8)[:, None, None, None]
        )

    @property
    def perception(self):
        return self

    @property
    def z(self):
        return torch.from_numpy(self.left)[:, None].float()

    @property
    def logvar(self):
        return -self.z

    def reset(self, *, seed, options):
        self.left = np.where(options["reset_mask"], seed, self.left)
        return self.frames, {}

    def stop(self, lanes):
        pass

    def step(self, actions):
        active = self.left > 0
        self.left = self.left - active
        ended = active & (self.left == 0)
        return self.frames, -1.0 * active, ended, ended & False, {}


@pytest.mark.parametrize("lanes", [1, 2, 5])
def test_ends_and_cuts_are_told_apart_whatever_the_number_of_lanes(lanes):
    seeds, kept = np.array([1, 9, 2]), {}
    world = Ending(lanes)
    episodes = EpisodeRecorder(world, seeds, lambda episode: kept.update({episode.seed: episode}))
    encoded = SequenceRecorder(world)
    player = PolicyPlayer(Straight(lanes), seeds)
    play_games(world, player, seeds, patience=4, observers=[episodes, encoded])  # cuts the second
    assert {seed: (len(e), e.terminated) for seed, e in kept.items()} == {
        1: (1, True), 9: (4, False), 2: (2, True),
    }  # fmt: skip
    assert encoded.games.keys() == {0, 1, 2}
    for game, (seed, dones) in enumerate(((1, [1]), (9, [0] * 4), (2, [0, 1]))):
        data, left = encoded.games[game], [float(seed - t) for t in range(len(dones) + 1)]
        assert data.dones.tolist() == dones and data.rewards.tolist() == [-1.0] * len(dones)
        assert data.mu[:, 0].tolist() == left and data.logvar[:, 0].tolist() == [-x for x in left]
        assert kept[seed].frames[:, 0, 0, 0].tolist() == left and data.lengths == [len(dones)]


def test_a_film_shows_what_v_saw_and_what_was_then_done(vae, mdnrnn, controller):
    params = torch.randn(1, controller.size) * 0.1
    with RealWorld(vae, mdnrnn, 1, 1, horizon=5) as world:
        film = Filmer(world)
        returns = play(world, controller, params, [6], observers=[film])
    assert len(film.steps) == 5
    assert sum(step.reward for step in film.steps) == pytest.approx(returns[0, 0])
    with RealWorld(vae, mdnrnn, 1, 1, horizon=5) as world:
        features, _ = world.reset(seed=[6])
        for step in film.steps:
            np.testing.assert_array_equal(step.frame, world.frames[0])
            action = controller.act(params, features[:, None])[:, 0]
            np.testing.assert_allclose(step.action, action[0], atol=1e-6)
            features, rewards, *_ = world.step(action)
            assert step.reward == rewards[0]


def test_a_film_of_a_dream_shows_what_v_paints_of_it_and_only_of_the_last_game(
    vae, mdnrnn, controller, starts
):
    with torch.no_grad():
        mdnrnn.head.bias[-1] = -20.0
    params = torch.zeros(1, controller.size)
    world = DreamWorld(mdnrnn, starts, 1, horizon=3, painter=vae)
    film = Filmer(world)
    play(world, controller, params, [4, 5], observers=[film])
    assert len(film.steps) == 3
    world.reset(seed=[5])
    for step in film.steps:
        with torch.inference_mode():
            painted = to_frames(vae.decode(world.z))[0].numpy()
        np.testing.assert_array_equal(step.frame, painted)
        world.step(torch.from_numpy(step.action)[None])


def test_what_v_saw_is_v_of_the_frames(vae, mdnrnn, controller):
    seeds, kept = np.array([3, 8]), {}
    params = torch.zeros(1, controller.size)
    with RealWorld(vae, mdnrnn, 2, 1, horizon=4) as world:
        episodes = EpisodeRecorder(world, seeds, lambda episode: kept.update({episode.seed: episode}))
        encoded = SequenceRecorder(world)
        play(world, controller, params, seeds, observers=[episodes, encoded])
    for game, seed in enumerate(seeds):
        with torch.inference_mode():
            mu, logvar = vae.encode(to_images(torch.from_numpy(kept[seed].frames)))
        torch.testing.assert_close(encoded.games[game].mu, mu, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(encoded.games[game].logvar, logvar, rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(encoded.games[game].actions, kept[seed].actions)
