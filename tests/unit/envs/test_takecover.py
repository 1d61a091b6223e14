"""Doom's TakeCover against ViZDoom itself; and engines that are killed."""

import mmap
import multiprocessing
import os
import signal
import subprocess
import time

import numpy as np
import pytest
import vizdoom

from wmlib.envs.errors import GameDied
from wmlib.envs.frames import to_frame
from wmlib.envs.games import Games
from wmlib.envs.takecover import TakeCover, sweep
from wmlib.runtime.fields import ConfigError
from wmlib.task import find_task

SPEC = find_task("takecover").game()
SEED = 1_500_004


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
    assert to_frame(picture, SPEC.kept_rows).shape == (64, 64, 3)


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


@pytest.mark.parametrize("seed", [2**32 + SEED, -1])
def test_no_seed_is_taken_for_another(game, seed):
    with pytest.raises(ConfigError, match=r"^the seed is .* from 0 to 2,147,483,647$"):
        game.reset(seed=seed)


@pytest.mark.parametrize("options", [{"skill": 6}, {"resolution": "8x8"}])
def test_a_bad_option_is_refused_by_name(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is .*; it must be"):
        TakeCover(**options)


@pytest.fixture
def worker():
    """Gives the process id of the one game process that the test has started and that is alive."""
    before = set(multiprocessing.active_children())

    def pid():
        (process,) = set(multiprocessing.active_children()) - before
        return process.pid

    return pid


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


def test_an_engine_that_is_killed_is_replaced_and_nothing_changes(worker):
    with Games(SPEC, 2, 1) as games:
        frames, rewards = rollout(games)

        def kill_one():
            os.kill(engines_of(worker())[0], signal.SIGKILL)

        again, rewards_again = rollout(games, kill_one)
        np.testing.assert_array_equal(again, frames)
        np.testing.assert_array_equal(rewards_again, rewards)


def test_no_engine_outlives_its_worker(worker):
    games = Games(SPEC, 2, 1)
    games.reset([SEED, SEED + 1])
    first = worker()
    assert len(engines_of(first)) == 2
    os.kill(first, signal.SIGKILL)  # the engines stay, without a master
    games.step(np.zeros((2, 1)), np.ones(2, bool))  # here the worker is found dead and replaced
    assert engines_of(first) == []
    second = worker()
    games.close()
    for _ in range(50):
        if not engines_of(second):
            break
        time.sleep(0.1)
    assert engines_of(second) == []


def test_a_dead_engine_is_one_error(game):
    before = set(engines_of(os.getpgrp()))
    game.reset(seed=SEED)
    (own,) = set(engines_of(os.getpgrp())) - before
    os.kill(own, signal.SIGKILL)
    with pytest.raises(GameDied, match="Doom's process ended"):
        for _ in range(100):
            game.step(np.zeros(1))


def test_what_dead_games_left_is_swept_and_nothing_else(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    folders, shared = tmp_path / "tmp", tmp_path / "shm"
    for name in (f"{dead.pid}-a", f"{os.getpid()}-b", "old"):
        (folders / f"wmlib-doom-{name}").mkdir(parents=True)
    shared.mkdir()
    for name in ("ViZDoomSMheld", "ViZDoomSMleft", "ViZDoomMQCtrleft", "ViZDoomSMyoung", "other"):
        (shared / name).write_bytes(bytes(4096))
        if name != "ViZDoomSMyoung":
            os.utime(shared / name, (0, 0))
    with open(shared / "ViZDoomSMheld", "r+b") as file, mmap.mmap(file.fileno(), 4096):
        sweep(folders, shared)
    assert {p.name for p in folders.iterdir()} == {f"wmlib-doom-{os.getpid()}-b", "wmlib-doom-old"}
    assert {p.name for p in shared.iterdir()} == {"ViZDoomSMheld", "ViZDoomSMyoung", "other"}
