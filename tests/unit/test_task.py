"""Tasks: found by name, each with its own facts; and a third one, made of a single file."""

import importlib
import json
import sys

import numpy as np
import pytest
import torch

import wmlib.tasks
from wmlib.agent import load_agent
from wmlib.config import RunConfig
from wmlib.data.explorers import HeldPolicy
from wmlib.envs.errors import GameError
from wmlib.envs.games import GameSpec
from wmlib.runtime.fields import ConfigError
from wmlib.stages.pipeline import Pipeline
from wmlib.task import Task, any_temper, find_profile, find_task, make_game, task_names
from wmlib.widgets.session import Session


def small(**more):
    return Task("small", {"a": (0.0, 1.0), "b": (-1.0, 1.0)}, z_size=2, hidden_size=3, **more)


def test_what_cannot_be_found_is_named_with_what_there_is():
    for find in (find_task, make_game, lambda name: find_profile("smoke", name)):
        with pytest.raises(
            ConfigError, match=r"no task 'chess'; .*: carracing, takecover, and of yours path"
        ):
            find("chess")
    profiles = "smoke, laptop, overnight, paper$"
    with pytest.raises(ConfigError, match=rf"no profile 'huge'; the profiles are: {profiles}"):
        find_profile("huge")


def test_a_kind_of_game_that_there_is_not_is_named():
    with pytest.raises(
        ConfigError, match="carracing has no 'toy' game; it has: exact, stock, sketch, envpool"
    ):
        find_task("carracing").game("toy")
    with pytest.raises(ConfigError, match="takecover has no 'envpool' game; it has: exact, stock"):
        make_game("takecover", "envpool")
    with pytest.raises(GameError, match="makes many games at once"):
        make_game("carracing", "envpool")


def test_each_task_and_profile_bears_the_name_by_which_it_is_found():
    assert task_names() == ["carracing", "takecover"]
    for name in task_names():
        task = find_task(name)
        assert task.name == name and find_task(name) is task
        for profile in task.profiles:
            config = find_profile(profile, name)
            assert isinstance(config, RunConfig) and config.task == name
    assert find_profile("smoke") == find_profile("smoke", "carracing")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"actions": {}}, r"Task\.action_size is 0; it must be a whole number, 1 or more"),
        ({"z_size": 0}, r"Task\.z_size is 0"),
        ({"hidden_size": 1.5}, r"Task\.hidden_size is 1\.5"),
        ({"mixtures": 0}, r"Task\.mixtures is 0"),
        ({"horizon": 0}, r"Task\.horizon is 0"),
    ],
)
def test_a_size_that_cannot_be_is_named(sizes, message):
    plain = {"name": "x", "actions": {"a": (0, 1)}, "z_size": 1, "hidden_size": 1}
    with pytest.raises(ConfigError, match=message):
        Task(**plain | sizes)


def test_c_sees_z_and_h_and_the_cell_between_them_where_the_task_says_so():
    z, h, c = torch.tensor([[1.0, 2.0]]), torch.full((1, 3), 3.0), torch.full((1, 3), 4.0)
    assert small().features(z, h, c).tolist() == [[1, 2, 3, 3, 3]]
    assert small(sees_cell=True).features(z, h, c).tolist() == [[1, 2, 4, 4, 4, 3, 3, 3]]
    assert (small().feature_size, small(sees_cell=True).feature_size) == (5, 8)


def test_policies_are_the_explorers_and_then_the_blind():
    task = small(explorers={"held": HeldPolicy}, blind={"statue": HeldPolicy})
    assert list(task.policies()) == ["held", "statue"] and list(task.explorers) == ["held"]


def test_what_a_run_depends_on_goes_into_json_and_holds_the_games_and_their_options():
    games = {"exact": GameSpec("toy:Game", {"pace": 3})}
    task = small(games=games, explorers={"held": HeldPolicy}, symmetric=True)
    facts = task.as_dict()
    assert json.loads(json.dumps(facts)) == {
        "name": "small", "z_size": 2, "hidden_size": 3, "mixtures": 5, "horizon": 1000,
        "sees_cell": False, "predicts_reward": True, "predicts_done": True, "restart_input": False,
        "symmetric": True, "actions": {"a": [0.0, 1.0], "b": [-1.0, 1.0]},
        "games": {"exact": ["toy:Game", {"pace": 3}, None]}, "explorers": ["held"],
    }  # fmt: skip
    assert facts != small(symmetric=True).as_dict()


def test_without_a_temper_of_its_own_a_game_is_explored_around_zero():
    centre, spread = any_temper(np.random.default_rng(0), 5000)
    assert (centre == 0).all() and centre.shape == spread.shape == (5000,)
    drawn = np.log10(spread)  # even in the logarithm
    np.testing.assert_allclose(np.quantile(drawn, [0, 0.5, 1]), [-1.4, -0.55, 0.3], atol=0.05)


TOY = '''
"""A white square that goes where it is told. It is paid for going right; at the edge the game ends."""

import numpy as np

from wmlib.config import (
    CollectConfig, DreamConfig, EvaluateConfig, Machine, MDNRNNConfig, RunConfig, VAEConfig, Validation,
)
from wmlib.data.explorers import HeldPolicy
from wmlib.envs.games import GameSpec
from wmlib.task import Task


class Game:
    def __init__(self, width):
        self.width = width

    def reset(self, seed):
        self.x = int(np.random.default_rng(seed).integers(4, self.width - 12))
        return self.picture(), {}

    def step(self, action):
        assert action.shape == (2,) and np.abs(action).max() <= 1
        step = int(np.round(action[0]))
        self.x = int(np.clip(self.x + step, 0, self.width - 8))
        return self.picture(), float(step), self.x == self.width - 8, False, {}

    def picture(self):
        picture = np.zeros((40, self.width, 3), np.uint8)
        picture[16:24, self.x : self.x + 8] = 255
        return picture

    def close(self):
        pass


class Hands:
    def __call__(self, keys):
        return np.array([1.0 if "up" in keys else 0.0, 0.5], np.float32)


def smoke():
    return RunConfig(
        task="toy",
        stages=("collect", "vae", "mdnrnn", "dream", "evaluate"),
        collect=CollectConfig(episodes=2, horizon=25, policy="held"),
        vae=VAEConfig(steps=2, batch_size=2),
        mdnrnn=MDNRNNConfig(steps=2, batch_size=2, sequence_length=10),
        dream=DreamConfig(
            generations=1, population=4, episodes=1, horizon=10,
            validation=Validation(every=1, episodes=2, horizon=4),
        ),
        evaluate=EvaluateConfig(episodes=2, horizon=6),
        machine=Machine(lanes=2, workers=1),
    )


TASK = Task(
    name="toy",
    actions={"walk": (-1.0, 1.0), "dance": (-1.0, 1.0)},
    z_size=4,
    hidden_size=8,
    games={"exact": GameSpec("toy:Game", {"width": 50})},
    explorers={"held": HeldPolicy},
    keys={"up": "walk"},
    hands=Hands,
    profiles={"smoke": smoke},
)
'''


@pytest.fixture
def third_game(tmp_path, monkeypatch):
    """A module for a third game in the folder of tasks. A game process finds it by its plain name."""
    home = tmp_path / "tasks"
    home.mkdir()
    (home / "toy.py").write_text(TOY)
    monkeypatch.setattr(wmlib.tasks, "__path__", [*wmlib.tasks.__path__, str(home)])
    monkeypatch.syspath_prepend(home)
    yield "toy"
    for name in ("toy", "wmlib.tasks.toy"):
        sys.modules.pop(name, None)
    vars(wmlib.tasks).pop("toy", None)
    importlib.invalidate_caches()


def test_a_third_game_needs_no_module_but_its_own(third_game, tmp_path):
    assert task_names() == ["carracing", "takecover", "toy"]
    task, config = find_task("toy"), find_profile("smoke", "toy")
    pipeline = Pipeline(config, tmp_path / "run", quiet=True)
    for stage in config.stages:
        pipeline.run_stage(stage)

    score = json.loads((tmp_path / "run" / "score.json").read_text())
    assert score["task"] == "toy" and score["n"] == len(score["returns"]) == 2
    # The square pays one for each step to the right, and there are six.
    assert all(r == round(r) and -6 <= r <= 6 for r in score["returns"])

    agent = load_agent(tmp_path / "run")
    assert agent.task is task and agent.controller.size == (4 + 8 + 1) * 2
    session = Session(agent, "dream", "you", seed=3)
    assert session.agent.task.keys == {"up": "walk"}
    assert list(session.agent.task.actions) == ["walk", "dance"]
    assert session.step(["up"]).action.tolist() == [1.0, 0.5]
    assert session.step(["left"]).action.tolist() == [0.0, 0.5]
