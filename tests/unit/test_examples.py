"""The example: broken off and taken up again it learns the same, and the game chooses what is kept."""

import importlib.util
import itertools
import json
import sys
from pathlib import Path

import pytest
import torch

from wmlib.agent import Agent
from wmlib.runtime.files import load_tensors

pytest.importorskip("stable_baselines3")

SCRIPT = Path(__file__).parents[2] / "examples/ppo_in_the_dream.py"
SMALL = {
    "lanes": 4, "steps": 8, "updates": 1, "every": 1, "games": 3, "episodes": 4, "horizon": 10,
}  # fmt: skip
OPTIONS = [word for name, value in SMALL.items() for word in (f"--{name}", str(value))]


class Asleep(Agent):
    """Its game is a dream too, so that no game need be started."""

    def real(self, games, machine, horizon):
        return self.dream(games, horizon, 1.0)


@pytest.fixture
def example(monkeypatch, task, vae, mdnrnn, controller, starts):
    """The script, on one core, where each lesson takes a second."""
    spec = importlib.util.spec_from_file_location("ppo_in_the_dream", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, script)
    spec.loader.exec_module(script)
    agent = Asleep(task, vae, mdnrnn, controller, torch.zeros(controller.size), starts)
    clock = itertools.count()
    monkeypatch.setattr(script, "load_agent", lambda folder: agent)
    monkeypatch.setattr(script, "core_count", lambda: 1)
    monkeypatch.setattr(script.time, "monotonic", lambda: float(next(clock)))
    return script


def run(example, folder, seconds):
    assert example.main(["--out", str(folder), "--core-minutes", str(seconds / 60), *OPTIONS]) == 0
    tensors, about = load_tensors(folder / "ppo.safetensors")
    return tensors, about, json.loads((folder / "score_ppo.json").read_text())


def test_broken_off_it_goes_on_the_same_and_the_game_chooses(example, tmp_path, monkeypatch):
    pays, tested = itertools.cycle([2.0, 9.0, 8.0]), example.test
    monkeypatch.setattr(example, "test", lambda *worlds: tested(*worlds) | {"pay": next(pays)})
    straight, whole, score = run(example, tmp_path / "straight", 2)
    first, *_ = run(example, tmp_path / "broken", 1)
    again, parts, _ = run(example, tmp_path / "broken", 3)  # a second went into the end before
    assert whole["lessons"] == parts["lessons"] == 2
    assert straight.keys() == again.keys()
    assert all(torch.equal(straight[name], again[name]) for name in straight)
    for row, other in zip(whole["curve"], parts["curve"], strict=True):
        assert row.pop("core_minutes") <= other.pop("core_minutes")
        assert row == other
    best, learned = (example.below(prefix, straight) for prefix in ("best/", "policy/"))
    paid_most = example.below("policy/", first)
    assert all(torch.equal(best[name], paid_most[name]) for name in best.keys() | paid_most.keys())
    assert not torch.equal(best["action_net.weight"], learned["action_net.weight"])
    assert [row["steps"] for row in score["curve"]] == [0, 32, 64]
    said = [score[name] for name in ("n", "first_seed", "world", "player")]
    assert said == [4, 2_000_000, "real", "ppo"]
    assert score["promised"]["world"] == "dream" and len(score["promised"]["returns"]) == 4


def test_a_refused_command_is_one_line_and_leaves_nothing(example, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(example, "load_agent", importlib.import_module("wmlib.agent").load_agent)
    out = tmp_path / "out"
    assert example.main(["--agent", str(tmp_path / "none"), "--out", str(out), *OPTIONS]) == 2
    assert capsys.readouterr().err.startswith("error: ") and not out.exists()
