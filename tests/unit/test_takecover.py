"""Doom's TakeCover against ViZDoom itself; and engines that are killed."""

import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest
import vizdoom

from wmlib.config import CollectConfig, ControllerConfig, find_task
from wmlib.controller import Controller
from wmlib.envs.frames import to_frame
from wmlib.envs.games import Games
from wmlib.envs.takecover import TakeCover
from wmlib.mdnrnn import MDNRNN
from wmlib.rollouts import FreshPolicy, StrafingPolicy, UniformPolicy
from wmlib.vae import VAE, count_parameters
from wmlib.worlds import RealWorld

SEED = 1_500_004


@pytest.fixture
def task():
    return find_task("takecover")


@pytest.fixture
def game():
    game = TakeCover()
    yield game
    game.close()


@pytest.fixture
def engine(tmp_path):
    """ViZDoom as its own scenario sets it up, but for what is drawn."""
    engine = vizdoom.DoomGame()
    engine.load_config(os.path.join(vizdoom.scenarios_path, "take_cover.cfg"))
    engine.set_doom_config_path(str(tmp_path / "settings.ini"))
    engine.set_window_visible(False)
    engine.set_screen_format(vizdoom.ScreenFormat.RGB24)
    engine.set_render_hud(True)
    engine.set_seed(SEED)
    engine.init()
    yield engine
    engine.close()


def test_it_is_vizdooms_own_game_without_the_status_bar(game, engine):
    picture, _ = game.reset(seed=SEED)
    rng, tics, over = np.random.default_rng(0), 0, False
    while not over:
        np.testing.assert_array_equal(picture, engine.get_state().screen_buffer[:200])
        choice = rng.integers(3)  # left, right, stay
        picture, reward, over, _, _ = game.step(np.array([(-0.4, 0.4, 0.3)[choice]]))
        assert reward == engine.make_action([choice == 0, choice == 1])
        assert over == engine.is_episode_finished()
        tics += 1
    assert tics == engine.get_total_reward() and 50 < tics < 2100
    assert to_frame(picture, "takecover").shape == (64, 64, 3)


def test_a_used_game_begins_like_a_new_one(game):
    def play(game):
        pictures = [game.reset(seed=SEED)[0].copy()]
        pictures += [game.step(np.array([np.sin(t)]))[0].copy() for t in range(40)]
        return pictures

    first = play(game)
    game.reset(seed=SEED + 1)
    game.step(np.array([1.0]))
    np.testing.assert_array_equal(play(game), first)
    other = TakeCover(resolution="160x120")
    assert other.reset(seed=SEED)[0].shape == (100, 160, 3)
    other.close()


@pytest.mark.parametrize("options", [{"skill": 6}, {"resolution": "8x8"}])
def test_a_bad_option_is_refused_by_name(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is .*; it must be"):
        TakeCover(**options)


def engines_of(pid):
    """Process ids of the engines that the process has started, at any remove."""
    rows = subprocess.run(["ps", "-eww", "-o", "pid,pgid,args"], capture_output=True, text=True).stdout
    fields = [row.split(None, 2) for row in rows.splitlines()[1:]]
    return [int(p) for p, group, args in fields if int(group) == pid and "vizdoom -iwad" in args]


def rollout(games, disturb=None):
    frames = [games.reset([SEED, SEED + 1])]
    rewards = []
    for t in range(30):
        if t == 15 and disturb:
            disturb()
        actions = np.array([[np.sin(t)], [np.cos(t)]])
        frame, reward, _ = games.step(actions, np.ones(2, bool))
        frames.append(frame)
        rewards.append(reward)
    return np.array(frames), np.array(rewards)


def test_an_engine_that_is_killed_is_replaced_and_nothing_changes(task):
    with Games("takecover", 2, 1, options=task.game_options) as games:
        frames, rewards = rollout(games)

        def kill_one():
            os.kill(engines_of(games._workers[0].process.pid)[0], signal.SIGKILL)

        again, rewards_again = rollout(games, kill_one)
        np.testing.assert_array_equal(again, frames)
        np.testing.assert_array_equal(rewards_again, rewards)


def test_no_engine_outlives_its_worker(task):
    games = Games("takecover", 2, 1, options=task.game_options)
    games.reset([SEED, SEED + 1])
    worker = games._workers[0].process
    assert len(engines_of(worker.pid)) == 2
    os.kill(worker.pid, signal.SIGKILL)  # the engines stay, without a master
    games.step(np.zeros((2, 1)), np.ones(2, bool))  # here the worker is found dead and replaced
    assert engines_of(worker.pid) == []
    second = games._workers[0].process
    games.close()
    for _ in range(50):
        if not engines_of(second.pid):
            break
        time.sleep(0.1)
    assert engines_of(second.pid) == []


def test_sizes_are_the_papers(task):
    assert count_parameters(VAE(task.z_size)) == 4_446_915
    assert count_parameters(MDNRNN(task)) == 1_680_833  # 1,678,785 and torch's second bias
    assert Controller(task, ControllerConfig(bias=False)).size == 1088


def test_explorers_hold_an_even_action_for_one_to_ten_frames(task):
    policy, every = UniformPolicy(task, 3), np.ones(3, bool)
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
    assert CollectConfig(policy="uniform").policy in task.explorers


def test_strafing_games_hold_their_actions_for_longer_each_by_a_limit_of_its_own(task):
    games = 300
    policy, every = StrafingPolicy(task, games), np.ones(games, bool)
    policy.restart(every, list(range(games)), None)
    assert policy.most.min() >= 10 and policy.most.max() <= 160
    assert np.median(policy.most) == pytest.approx(40, rel=0.15)  # even in the logarithm
    actions = np.array([policy.act(every, None)[:, 0] for _ in range(4000)])
    for lane in (int(policy.most.argmin()), int(policy.most.argmax())):
        lasted = np.diff(np.flatnonzero(np.diff(actions[:, lane])))
        assert lasted.max() <= policy.most[lane] and lasted.max() > 0.7 * policy.most[lane]
        assert lasted.mean() == pytest.approx((1 + policy.most[lane]) / 2, rel=0.25)


def test_chance_draws_a_new_action_at_every_frame(task):
    policy, every = FreshPolicy(task, 2), np.ones(2, bool)
    policy.restart(every, [1, 2], None)
    actions = np.array([policy.act(every, None)[:, 0] for _ in range(5000)])
    assert (np.diff(actions, axis=0) != 0).all()
    assert abs(np.corrcoef(actions[1:, 0], actions[:-1, 0])[0, 1]) < 0.05


def test_a_mirror_shows_the_same_game_with_the_actions_signs_turned(task):
    assert task.symmetric
    with Games("takecover", 2, 2, options=task.game_options) as doom:
        doom.reset([SEED, SEED])  # the same monsters; only who plays goes another way
        for _ in range(60):
            frames, *_ = doom.step(np.array([[-1.0], [1.0]]), np.ones(2, bool))
    left, right = frames.astype(float)
    walls = np.r_[0:26, 44:64]  # rows without monsters and fireballs
    assert np.abs(left - right[:, ::-1])[walls].mean() < 0.15 * np.abs(left - right)[walls].mean()


def test_the_real_world_shows_all_that_c_sees(task):
    with RealWorld(VAE(64).eval(), MDNRNN(task).eval(), lanes=2, workers=1, horizon=5) as world:
        features, _ = world.reset(seed=[SEED, SEED + 1])
        assert features.shape == (2, 64 + 512 + 512)
        total = np.zeros(2)
        for _ in range(5):
            features, rewards, _, truncated, _ = world.step(features.new_zeros(2, 1))
            total += rewards
        assert truncated.all() and (total == 5).all()


def test_a_small_run_goes_from_nothing_to_a_score(doom_run):
    score = json.loads((doom_run / "score.json").read_text())
    assert score["task"] == "takecover" and all(0 < r <= 60 for r in score["returns"])
