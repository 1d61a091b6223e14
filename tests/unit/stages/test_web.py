"""What the page reads of an agent: the same numbers, fewer of them, and all that a task says."""

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from wmlib.agent import load_agent
from wmlib.cli import run_command
from wmlib.config import WebConfig
from wmlib.own import choose, switch
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.files import REFERENCE, load_tensors
from wmlib.stages.web import COLUMNS, action_table, grip, sheet, turn
from wmlib.task import find_task, task_names

TASKS = [find_task(name) for name in task_names()]
by_name = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


@by_name
def test_actions_follow_from_tanh_by_a_table(task):
    table, raw = action_table(task), torch.randn(50, task.action_size)
    expected = task.to_action(raw)
    for a in range(task.action_size):
        points = np.linspace(-1, 1, table.shape[1])
        ours = np.interp(raw[:, a].tanh(), points, table[a])
        np.testing.assert_allclose(ours, expected[:, a], atol=1e-5)


@by_name
def test_the_shipped_games_turn_by_a_table(task):
    assert turn(task) == "table"
    assert turn(dataclasses.replace(task, to_action=choose)) == "choice"
    assert turn(dataclasses.replace(task, to_action=switch)) == "switches"


def test_actions_that_mix_their_numbers_are_refused(task):
    mixed = dataclasses.replace(task, to_action=lambda raw: raw.softmax(-1))
    with pytest.raises(ConfigError, match="the page can't do what to_action of carracing does"):
        action_table(mixed)


@by_name
def test_hands_are_goals_and_rates(task):
    numbers, hands, rng = grip(task), task.hands(), np.random.default_rng(1)
    at, rates = np.zeros(task.action_size), np.array(numbers["rates"])
    for _ in range(100):
        held = [key for key in task.keys if rng.random() < 0.4]
        goal = numbers["goals"][sum(2 ** list(task.keys).index(key) for key in held)]
        at = at + np.clip(goal - at, -rates, rates)
        np.testing.assert_allclose(hands(held), at, atol=1e-5)


class Restless:
    """Hands that do more than move towards something."""

    def __init__(self):
        self.signs = itertools.cycle((1.0, -1.0))

    def __call__(self, keys):
        return np.full(3, next(self.signs), np.float32)


def test_without_hands_or_with_odd_ones_there_are_no_keys(task):
    assert grip(dataclasses.replace(task, hands=None)) is None
    assert grip(dataclasses.replace(task, hands=Restless)) is None


def test_a_sheet_holds_every_pixel(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (COLUMNS + 3, 64, 64, 3), np.uint8)
    sheet(frames).save(tmp_path / "sheet.webp", lossless=True, method=4, exact=True)
    back = np.asarray(Image.open(tmp_path / "sheet.webp").convert("RGB"))
    for n, frame in enumerate(frames):
        row, column = divmod(n, COLUMNS)
        assert (back[64 * row : 64 * row + 64, 64 * column : 64 * column + 64] == frame).all()


@pytest.fixture(scope="module")
def exported(smoke_run, tmp_path_factory):
    """A reader's own agent, exported by the command; and what was printed is not looked at."""
    out = tmp_path_factory.mktemp("web") / "data"
    words = ["--run-dir", str(smoke_run), "--out", str(out), "--steps", "20", "--dreams", "2"]
    assert run_command("export-web", [*words, "--name", "mine", "--title", "My own"]) == 0
    return out


def test_a_readers_own_agent_is_rounded_and_whole(exported, smoke_run):
    agent = load_agent(smoke_run)
    world, about = load_tensors(exported / "mine" / "world.safetensors")
    for name, value in agent.mdnrnn.state_dict().items():
        assert world[name].dtype == torch.float16
        torch.testing.assert_close(world[name].float(), value, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(world["C.controller"], agent.params, rtol=0, atol=0)
    assert [each["name"] for each in about["actions"]] == ["steer", "gas", "brake"]
    (driver,) = [each for each in about["drivers"] if each["file"] == "controller"]
    assert driver["layers"] == [[288, 3]] and driver["promise"]["n"] == 2 and driver["paid"]["n"] == 2
    listed = json.loads((exported / "games.json").read_text())
    assert listed["games"] == ["mine"] and listed["titles"] == {"mine": "My own"}


@torch.inference_mode()
def test_the_recorded_game_is_the_agents(exported, smoke_run):
    agent = load_agent(smoke_run)
    record, about = load_tensors(exported / "mine" / "record.safetensors")
    pixels = np.asarray(Image.open(exported / "mine" / "record.webp").convert("RGB"))
    frames = pixels[:64].reshape(64, COLUMNS, 64, 3).swapaxes(0, 1)[:21]
    assert about["seed"] == 1_500_000 and record["actions"].shape == (20, 3)
    with agent.real(1, horizon=20) as game:
        game.reset(seed=[about["seed"]])
        for t in range(20):
            assert (game.frames[0] == frames[t]).all()
            z = game.perception.z[0]
            torch.testing.assert_close(record["mu"][t].float(), z, atol=2e-2, rtol=0)
            game.step(record["actions"][t][None])
        assert (game.frames[0] == frames[20]).all()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (Path("nowhere"), "nowhere/temperature.json is missing"),
        (REFERENCE / "takecover", "controller_tau_0.1.safetensors is of another V and M than the agent"),
    ],
)
def test_a_table_that_is_not_the_agents_is_refused(tmp_path, smoke_run, capsys, table, said):
    out = tmp_path / "out"
    words = ["--run-dir", str(smoke_run), "--out", str(out), "--dreams", "2", "--table", str(table)]
    assert run_command("export-web", words) == 2
    assert said in capsys.readouterr().err and not out.exists()


@pytest.mark.parametrize("name", ["../elsewhere", "a b", "ä", "/", "."])
def test_a_folder_has_a_plain_name(name):
    with pytest.raises(ConfigError, match=r"WebConfig\.name is"):
        WebConfig(name=name)
