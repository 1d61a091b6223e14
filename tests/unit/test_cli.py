"""The command line as a user meets it: whole processes, bad input included."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from wmlib.__main__ import COMMANDS
from wmlib.agent import load_agent
from wmlib.episodes import EpisodeStore
from wmlib.profiles import find_profile
from wmlib.vae import to_images

ROOT = Path(__file__).parents[2]


def wmlib(*words, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "wmlib", *map(str, words)], capture_output=True, text=True, cwd=cwd
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fly"], "no command 'fly'"),
        (["run", "--profile", "huge"], "no profile 'huge'; the profiles are: smoke, laptop, paper"),
        (["run", "--task", "chess"], "no task 'chess'"),
        (["collect", "--collect.episodes", "-3"], "CollectConfig.episodes is -3"),
        (["vae", "--vae.steps", "many"], "invalid"),
        (["evaluate", "--task", "chess"], "no task 'chess'"),
        (["evaluate", "--episodes", "1"], "anecdote"),
        (["evaluate", "--episodes", "-5"], "EvaluateConfig.episodes is -5"),
        (["evaluate", "--lanes", "0"], "Machine.lanes is 0"),
        (["evaluate", "--run-dir", "nowhere"], "controller.safetensors is missing"),
        (["evaluate", "--no-such-option"], "no-such-option"),
        (["vae", "--profile", "smoke", "--run-dir", "empty"], "first run: python -m wmlib collect"),
        (["mdnrnn", "--profile", "smoke", "--run-dir", "empty"], "first run: python -m wmlib collect"),
        (["vae", "--stages", "collect"], "the stage vae is not one of this run's: collect"),
        (["run", "--stages", "mdnrnn"], "such that vae comes before mdnrnn"),
        (["run", "--real.patience", "5"], "EvolutionConfig.patience is 5"),
        (["evolve", "--stages", "collect", "vae"], "the stage dream is not one of this run's"),
        (["evaluate", "--world", "dream", "--temperature", "-1"], "temperature is -1"),
        (["play", "--steps", "0"], "--steps is 1 or more"),
        (["run", "--profile", "smoke", "--run-dir", "/dev/null/x"], "can't be written"),
    ],
)
def test_bad_input_is_one_message_and_no_traceback(tmp_path, words, message):
    done = wmlib(*words, cwd=tmp_path)
    assert done.returncode not in (0, None)
    shown = " ".join((done.stderr + done.stdout).split())
    assert message in shown
    assert "Traceback" not in shown


def test_help_lists_every_command_and_its_options():
    text = wmlib("--help").stdout
    assert all(name in text for name in COMMANDS)
    run = wmlib("run", "--help").stdout
    for option in ("--run-dir", "--profile", "--vae.steps", "--dream.temperature", "--machine.lanes"):
        assert option in run
    assert "laptop" in wmlib("run", "--help").stdout


def test_profile_sets_the_defaults_that_help_shows():
    shown = wmlib("run", "--profile", "smoke", "--help").stdout
    default = re.search(r"--vae\.steps .*?\(default: (\d+)\)", shown, re.DOTALL)
    assert int(default.group(1)) == find_profile("smoke").vae.steps


def test_doctor_finds_nothing_broken_here():
    done = wmlib("doctor")
    assert done.returncode == 0, done.stdout
    assert "torch computes on" in done.stdout and "FAIL" not in done.stdout


def test_doctor_works_where_no_package_is_installed():
    bare = [sys.executable, "-S", "-m", "wmlib", "doctor"]  # -S: without site-packages
    done = subprocess.run(bare, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1 and not done.stderr
    assert "torch is not installed\n      mend: make clean setup" in done.stdout


def test_evaluate_prints_json_on_stdout_and_progress_on_stderr(smoke_run):
    done = wmlib(
        "evaluate", "--task", "carracing", "--episodes", 2, "--horizon", 30, "--first-seed", 2_500_000,
        "--run-dir", smoke_run, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    score = json.loads(done.stdout)
    assert {
        "task", "world", "n", "first_seed", "mean", "sd", "ci95", "returns", "versions", "player",
    } == set(score)  # fmt: skip
    assert (score["task"], score["world"], score["n"], score["first_seed"]) == (
        "carracing", "real", 2, 2_500_000,
    )  # fmt: skip
    assert len(score["returns"]) == 2 and "evaluate" in done.stderr


def test_stock_and_exact_games_give_the_same_returns(smoke_run):
    words = ["evaluate", "--run-dir", smoke_run, "--episodes", 2, "--horizon", 60, "--json", "--game"]
    stock, exact = (json.loads(wmlib(*words, game).stdout) for game in ("stock", "exact"))
    assert stock == exact


def test_evaluate_in_the_dream(smoke_run):
    words = ["evaluate", "--run-dir", smoke_run, "--world", "dream", "--episodes", 3, "--horizon", 40]
    score = json.loads(wmlib(*words, "--json").stdout)
    assert score["world"] == "dream" and score["n"] == 3


def test_play_writes_a_gif(tmp_path, smoke_run):
    from PIL import Image

    done = wmlib("play", "--run-dir", smoke_run, "--steps", 12, "--out", tmp_path / "x.gif")
    assert done.returncode == 0, done.stderr
    assert "real game" in done.stdout and "its dream" in done.stdout
    assert Image.open(tmp_path / "x.gif").n_frames == 12


def test_an_agent_with_noise_can_explore(tmp_path, smoke_run):
    folder = tmp_path / "noisy"
    words = ["collect", "--profile", "smoke", "--run-dir", folder, "--collect.episodes", 2]
    words += ["--collect.policy", "driver", "--collect.driver", smoke_run, "--collect.horizon", 25]
    still = wmlib(*words, "--collect.noise", 0)
    assert still.returncode == 0, still.stderr
    # Without noise the recorded actions are C's own.
    agent, episode = load_agent(smoke_run), EpisodeStore(folder / "episodes").episode(0)
    z, _ = agent.vae.encode(to_images(torch.from_numpy(np.array(episode.frames[:1]))))
    features = torch.cat([z, torch.zeros(1, 256)], 1)
    expected = agent.controller.act(agent.params[None], features[None])[0, 0]
    torch.testing.assert_close(torch.from_numpy(episode.actions[0]), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "name", ["stages/vae", "stages/rounds", "stages/vae_dream_starts", "controller"]
)
def test_damaged_weights_are_one_message(tmp_path, smoke_run, name):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(smoke_run, folder, ignore=shutil.ignore_patterns("episodes", "checkpoints"))
    path = folder / f"{name}.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    done = wmlib("evaluate", "--run-dir", folder, "--episodes", 2)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"{name}.safetensors is damaged" in done.stderr


def test_a_smoke_run_leaves_what_it_should(smoke_run):
    names = {path.name for path in smoke_run.iterdir()}
    assert {
        "config.json",
        "events.jsonl",
        "score.json",
        "vae.safetensors",
        "mdnrnn.safetensors",
    } <= names
    assert {
        "controller.safetensors",
        "controller_dream.safetensors",
        "dream_starts.safetensors",
    } <= names
    stages = {
        json.loads(line)["stage"] for line in (smoke_run / "events.jsonl").read_text().splitlines()
    }
    assert stages == set(find_profile("smoke").stages)
