"""The optional backend: EnvPool's games behind the calls of `Games`. CI installs it."""

import importlib.util
import os

import numpy as np
import pytest

from wmlib.envs.envpool import EnvPoolGames
from wmlib.envs.errors import GameError
from wmlib.envs.frames import to_frame
from wmlib.envs.games import open_games
from wmlib.task import find_task

SPEC = find_task("carracing").game("envpool")

INSTALLED = importlib.util.find_spec("envpool") is not None
needs_envpool = pytest.mark.skipif(
    not INSTALLED and not os.environ.get("WMLIB_REQUIRE_ENVPOOL"),
    reason="EnvPool is an optional extra: pip install envpool -c constraints.txt",
)


def test_without_it_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "envpool", None)
    with pytest.raises(GameError, match=r"pip install envpool.*--machine.backend exact"):
        open_games(SPEC, 2, 1)


@needs_envpool
def test_each_lane_is_the_game_it_would_be_alone():
    import envpool

    actions = np.random.default_rng(0).uniform(0, 0.7, (10, 3)).astype(np.float32)
    with open_games(SPEC, lanes=3, workers=2) as games:
        assert isinstance(games, EnvPoolGames)
        games.reset([5, 9, 5])
        for t, action in enumerate(actions):
            if t == 4:  # a lane starts anew while the others go on
                games.reset([None, None, 9])
            frames, rewards, _ = games.step(np.tile(action, (3, 1)), np.array([True] * 3))

    def alone(seed, plan):
        pool = envpool.make("CarRacing-v3", env_type="gymnasium", num_envs=1, seed=[seed])
        pool.reset()
        for action in plan:
            picture, reward, *_ = pool.step(action[None])
        return to_frame(picture[0], SPEC.kept_rows), reward[0]

    for lane, (seed, plan) in enumerate(((5, actions), (9, actions), (9, actions[4:]))):
        frame, reward = alone(seed, plan)
        np.testing.assert_array_equal(frames[lane], frame)
        assert rewards[lane] == pytest.approx(reward)


@needs_envpool
def test_an_idle_lane_keeps_its_frame_and_earns_nothing():
    with open_games(SPEC, lanes=2, workers=1) as games:
        first = games.reset([1, 2])
        frames, rewards, _ = games.step(np.full((2, 3), 0.5), np.array([True, False]))
        np.testing.assert_array_equal(frames[1], first[1])
        assert rewards[1] == 0 and rewards[0] != 0
