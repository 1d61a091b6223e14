"""Many games over worker processes, against single games in this process."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from multiprocessing import popen_spawn_posix
from multiprocessing.context import SpawnProcess

import numpy as np
import pytest

from wmlib.envs.errors import GameError
from wmlib.envs.frames import to_frame
from wmlib.envs.games import Games, GameSpec, open_games
from wmlib.task import find_task

SPEC = find_task("carracing").game()


def alone(seed, actions):
    """The oracle: one game, stepped here."""
    game = SPEC.make()
    frames, rewards = [to_frame(game.reset(seed=seed)[0], SPEC.kept_rows)], []
    for action in actions:
        picture, reward, *_ = game.step(action)
        frames.append(to_frame(picture, SPEC.kept_rows))
        rewards.append(reward)
    return frames, rewards


def actions_for(seed, steps=12):
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.uniform(-1, 1, steps), np.full(steps, 0.8), np.zeros(steps)])


@pytest.fixture
def workers():
    """Gives the game processes that the test has started."""
    before = set(multiprocessing.active_children())
    return lambda: list(set(multiprocessing.active_children()) - before)


def test_each_lane_is_the_game_it_would_be_alone():
    seeds = [11, 12, 13]
    plans = {seed: actions_for(seed) for seed in seeds}
    with Games(SPEC, lanes=3, workers=2) as games:
        frames = games.reset(seeds)
        for t in range(12):
            frames, rewards, ended = games.step(
                np.stack([plans[s][t] for s in seeds]), np.array([True] * 3)
            )
            for lane, seed in enumerate(seeds):
                assert rewards[lane] == alone(seed, plans[seed][: t + 1])[1][-1]
        for lane, seed in enumerate(seeds):
            np.testing.assert_array_equal(frames[lane], alone(seed, plans[seed])[0][-1])
        assert not ended.any()


def test_an_idle_lane_keeps_its_frame_and_earns_nothing():
    with Games(SPEC, lanes=2, workers=1) as games:
        first = games.reset([1, 2])
        frames, rewards, _ = games.step(np.full((2, 3), 0.5), np.array([True, False]))
        np.testing.assert_array_equal(frames[1], first[1])
        assert rewards[1] == 0 and rewards[0] != 0
        again = games.reset([None, 2])
        np.testing.assert_array_equal(again[0], frames[0])
        np.testing.assert_array_equal(again[1], first[1])


def test_a_killed_worker_is_replaced_and_nothing_changes(workers):
    plan = actions_for(21, 10)
    with Games(SPEC, lanes=2, workers=2) as games:
        games.reset([21, 22])
        for t in range(10):
            if t in (0, 4, 9):
                for worker in workers():
                    os.kill(worker.pid, signal.SIGKILL)
            frames, rewards, _ = games.step(np.stack([plan[t], plan[t]]), np.array([True, True]))
    for lane, seed in enumerate((21, 22)):
        expected_frames, expected_rewards = alone(seed, plan)
        np.testing.assert_array_equal(frames[lane], expected_frames[-1])
        assert rewards[lane] == expected_rewards[-1]


def test_a_worker_that_keeps_dying_is_an_error_not_a_hang(workers, monkeypatch):
    with Games(SPEC, lanes=1, workers=1) as games:
        games.reset([1])
        start = SpawnProcess.start

        def start_and_kill(process):
            start(process)
            process.kill()

        monkeypatch.setattr(SpawnProcess, "start", start_and_kill)
        workers()[0].kill()
        with pytest.raises(GameError, match="died 4 times"):
            games.step(np.zeros((1, 3)), np.array([True]))


def test_a_failing_game_reports_its_error():
    with Games(SPEC, lanes=1, workers=1) as games:
        games.reset([1])
        with pytest.raises(GameError, match="the game failed"):
            games.step(np.zeros((1, 0)), np.array([True]))


def test_the_spec_reaches_the_worker_with_its_options():
    spec = GameSpec("wmlib.envs.takecover:TakeCover", {"skill": 6})
    with Games(spec, 1, 1) as games, pytest.raises(GameError, match="failed: ValueError: skill is 6;"):
        games.reset([1])


class Many:
    def __init__(self, lanes, workers, kept_rows, pace):
        self.made_with = (lanes, workers, kept_rows, pace)


def test_a_class_that_plays_many_games_is_opened_as_it_is():
    many = GameSpec(f"{__name__}:Many", {"pace": 3}, kept_rows=9, batched=True)
    assert open_games(many, 5, 2).made_with == (5, 2, 9, 3)
    with pytest.raises(GameError, match=r":Many makes many games at once; open it with open_games"):
        many.make()


def test_a_game_process_loads_no_torch():
    code = (
        "import sys\n"
        "from wmlib.envs.games import GameSpec\n"
        f"{SPEC}.make()\n"
        "assert 'pygame' in sys.modules and 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_when_it_is_closed_no_process_is_left(workers):
    games = Games(SPEC, lanes=4, workers=2)
    assert len(workers()) == 2
    games.reset([1, 2, 3, 4])
    games.close()
    assert workers() == []


def test_ctrl_c_waits_until_a_game_process_has_started(monkeypatch):
    """A child whose parent leaves in the middle of its start ends in a traceback.

    The signal is taken by another thread, as it may be where torch or NumPy hold some: the main thread's
    mask alone doesn't keep it back.
    """
    launching, taken = threading.Event(), threading.Event()

    def take():
        launching.wait(30)
        signal.raise_signal(signal.SIGINT)
        taken.set()

    launch, launched = popen_spawn_posix.Popen._launch, []

    def interrupted(self, process):
        launching.set()
        assert taken.wait(30)
        launch(self, process)
        launched.append(process)

    thread = threading.Thread(target=take)
    thread.start()
    monkeypatch.setattr(popen_spawn_posix.Popen, "_launch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Games(SPEC, lanes=1, workers=1)
    thread.join()
    assert len(launched) == 1
