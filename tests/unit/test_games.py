"""Many games over worker processes, against single games in this process."""

import os
import signal
import threading
from multiprocessing import popen_spawn_posix

import numpy as np
import pytest

from wmlib.envs.frames import to_frame
from wmlib.envs.games import GameError, Games, make_game


def alone(seed, actions):
    """The oracle: one game, stepped here."""
    game = make_game("carracing")
    frames, rewards = [to_frame(game.reset(seed=seed)[0], "carracing")], []
    for action in actions:
        picture, reward, *_ = game.step(action)
        frames.append(to_frame(picture, "carracing"))
        rewards.append(reward)
    return frames, rewards


def actions_for(seed, steps=12):
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.uniform(-1, 1, steps), np.full(steps, 0.8), np.zeros(steps)])


def test_each_lane_is_the_game_it_would_be_alone():
    seeds = [11, 12, 13]
    plans = {seed: actions_for(seed) for seed in seeds}
    with Games("carracing", lanes=3, workers=2) as games:
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
    with Games("carracing", lanes=2, workers=1) as games:
        first = games.reset([1, 2])
        frames, rewards, _ = games.step(np.full((2, 3), 0.5), np.array([True, False]))
        np.testing.assert_array_equal(frames[1], first[1])
        assert rewards[1] == 0 and rewards[0] != 0
        again = games.reset([None, 2])
        np.testing.assert_array_equal(again[0], frames[0])
        np.testing.assert_array_equal(again[1], first[1])


def test_a_killed_worker_is_replaced_and_nothing_changes():
    plan = actions_for(21, 10)
    with Games("carracing", lanes=2, workers=2) as games:
        games.reset([21, 22])
        for t in range(10):
            if t in (0, 4, 9):
                os.kill(games._workers[0].process.pid, signal.SIGKILL)
            frames, rewards, _ = games.step(np.stack([plan[t], plan[t]]), np.array([True, True]))
    expected_frames, expected_rewards = alone(21, plan)
    np.testing.assert_array_equal(frames[0], expected_frames[-1])
    assert rewards[0] == expected_rewards[-1]


def test_a_worker_that_keeps_dying_is_an_error_not_a_hang(monkeypatch):
    with Games("carracing", lanes=1, workers=1) as games:
        games.reset([1])
        worker = games._workers[0]
        start = worker._start

        def start_and_kill():
            start()
            worker.process.kill()

        monkeypatch.setattr(worker, "_start", start_and_kill)
        worker.process.kill()
        with pytest.raises(GameError, match="died 4 times"):
            games.step(np.zeros((1, 3)), np.array([True]))


def test_a_failing_game_reports_its_error():
    with Games("carracing", lanes=1, workers=1) as games:
        games.reset([1])
        with pytest.raises(GameError, match="the game failed"):
            games.step(np.zeros((1, 0)), np.array([True]))


def test_an_unknown_task_is_named():
    with pytest.raises(GameError, match="chess"):
        make_game("chess")


def test_the_kind_of_game_reaches_the_worker():
    with Games("carracing", 1, 1, "toy") as games, pytest.raises(GameError, match="no 'toy' game"):
        games.reset([1])


def test_the_stock_game_is_gymnasiums_own_class():
    from gymnasium.envs.box2d.car_racing import CarRacing

    assert type(make_game("carracing", "stock")) is CarRacing
    assert type(make_game("carracing", "exact")) is not CarRacing


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
        Games("carracing", lanes=1, workers=1)
    thread.join()
    assert len(launched) == 1
