"""The command line as a user meets it: whole processes, bad input included."""

import errno
import functools
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from wmlib.__main__ import COMMANDS, main
from wmlib.agent import Agent, load_agent
from wmlib.cli import PlayOptions, TemperatureOptions, run_command, run_options
from wmlib.data.episodes import EpisodeStore
from wmlib.envs.errors import GameError
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.files import REFERENCE
from wmlib.task import find_profile
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
        (["honesty"], "honesty is called fidelity now"),
        (["evaluate", "--temperature", "1.2"], "--temperature is called --tau now"),
        (["run", "--profile", "huge"], "no profile 'huge'; the profiles are: smoke, laptop"),
        (["run", "--task", "chess"], "no task 'chess'"),
        (["collect", "--collect.episodes", "-3"], "CollectConfig.episodes is -3"),
        (["vae", "--vae.steps", "many"], "invalid"),
        (["evaluate", "--task", "chess"], "no task 'chess'"),
        (["evaluate", "--episodes", "1"], "anecdote"),
        (["evaluate", "--episodes", "-5"], "EvaluateOptions.episodes is -5"),
        (["evaluate", "--lanes", "0"], "EvaluateOptions.lanes is 0"),
        (["evaluate", "--run-dir", "nowhere"], "controller.safetensors is missing"),
        (["evaluate", "--no-such-option"], "no-such-option"),
        (["vae", "--profile", "smoke", "--run-dir", "empty"], "first run: python -m wmlib collect"),
        (["mdnrnn", "--profile", "smoke", "--run-dir", "empty"], "first run: python -m wmlib collect"),
        (["vae", "--stages", "collect"], "the stage vae is not one of this run's: collect"),
        (["run", "--stages", "mdnrnn"], "such that vae comes before mdnrnn"),
        (["run", "--real.patience", "5"], "RealConfig.patience is 5"),
        (["evolve", "--stages", "collect", "vae"], "the stage dream is not one of this run's"),
        (["evaluate", "--world", "dream", "--tau", "-1"], "EvaluateOptions.tau is -1.0"),
        (["play", "--steps", "0"], "PlayOptions.steps is 0; it must be a whole number, 1 or more"),
        (["run", "--profile", "smoke", "--run-dir", "/dev/null/x"], "can't be written"),
    ],
)
def test_bad_input_is_one_message_and_no_traceback(tmp_path, words, message):
    done = wmlib(*words, cwd=tmp_path)
    assert done.returncode not in (0, None)
    # An error of a value comes in a box, over several lines.
    shown = " ".join((done.stderr + done.stdout).replace("│", " ").split())
    assert message in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(24, "Too many open files"), "too many open files; allow more (ulimit -n 4096)"),
        (ImportError("x.so: cannot open: Too many open files"), "too many open files; allow more"),
        (OSError(12, "Cannot allocate memory"), "too little memory; take fewer lanes: --lanes 8"),
        (MemoryError(), "too little memory; take fewer lanes: --lanes 8"),
        (RuntimeError("std::bad_alloc"), "too little memory; take fewer lanes: --lanes 8"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes."),
            "too little memory; take fewer lanes: --lanes 8",
        ),
        (PermissionError(13, "Permission denied", "runs/x"), "runs/x can't be read (Permission denied)"),
    ],
)
def test_what_the_machine_refuses_is_one_line(error, message, monkeypatch, capsys):
    monkeypatch.setattr("wmlib.agent.load_agent", functools.partial(throw, error))
    assert run_command("evaluate", []) == 2
    assert f"error: {message}" in capsys.readouterr().err


def test_a_fault_of_ours_is_still_shown_whole(monkeypatch):
    for error in (RuntimeError("shapes differ"), OSError(9, "Bad file descriptor"), ImportError("x")):
        monkeypatch.setattr("wmlib.agent.load_agent", functools.partial(throw, error))
        with pytest.raises(type(error)):
            run_command("evaluate", [])


def throw(error, *_):
    raise error


def test_a_name_that_is_too_long_is_one_line(capsys):
    for words in (["evaluate", "--run-dir"], ["export", "--run-dir"], ["run", "--run-dir"]):
        assert run_command(words[0], [words[1], "x" * 300]) == 2
        assert "(File name too long); choose a shorter name" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--no-such-option"],
        ["vae", "--vae.steps", "many"],
        ["evolve", "--real.patience", "5"],
        ["evaluate", "--lanes", "0"],
        ["temperature", "--taus", "hot"],
        ["export", "--game", "chess"],
    ],
)
def test_a_misused_command_says_where_help_is_and_changes_nothing(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(words)
    printed, told = capsys.readouterr()
    assert end.value.code == 2 and not printed
    assert f"python -m wmlib {words[0]} --help" in " ".join(told.replace("│", " ").split())
    assert not list(tmp_path.iterdir())


def test_help_lists_every_command_and_its_options():
    text = wmlib("--help").stdout
    assert all(name in text for name in COMMANDS)
    run = wmlib("run", "--help").stdout
    for option in ("--run-dir", "--profile", "--vae.steps", "--dream.tau", "--machine.lanes"):
        assert option in run
    assert "laptop" in wmlib("run", "--help").stdout


def test_profile_sets_the_defaults_that_help_shows():
    shown = wmlib("run", "--profile", "smoke", "--help").stdout
    default = re.search(r"--vae\.steps .*?\(default: (\d+)\)", shown, re.DOTALL)
    assert int(default.group(1)) == find_profile("smoke").vae.steps


RENAMED = {
    "run": {
        "--dream.temperature": "--dream.tau",
        "--dream.validate-every": "--dream.validation.every",
        "--dream.validation-episodes": "--dream.validation.episodes",
        "--dream.validation-horizon": "--dream.validation.horizon",
        "--dream.directions": "--dream.coordinates.kind",
        "--real.validate-every": "--real.validation.every",
        "--real.validation-episodes": "--real.validation.episodes",
        "--real.validation-horizon": "--real.validation.horizon",
        "--real.directions": "--real.coordinates.kind",
        "--rounds.dream.temperature": "--rounds.tau",
        "--iterate.dream.temperature": "--iterate.dream.tau",
        "--iterate.dream.validate-every": "--iterate.dream.validation.every",
        "--iterate.dream.validation-episodes": "--iterate.dream.validation.episodes",
        "--iterate.dream.validation-horizon": "--iterate.dream.validation.horizon",
        "--iterate.dream.directions": "--iterate.dream.coordinates.kind",
        "--collect.driver": "--collect.agent",
    },
    "evaluate": {"--temperature": "--tau"},
    "temperature": {
        "--dream.directions": "--coordinates.kind",
        "--dream.temperature": "--taus",
    },
}
"""Of each command, options by their former names, and their names now."""


@pytest.mark.parametrize(
    ("command", "old", "new"),
    [(command, *pair) for command, names in RENAMED.items() for pair in names.items()],
)
def test_a_renamed_option_is_refused_by_its_new_name(command, old, new, capsys):
    for words in ([old, "1"], [f"{old}=1"], [old.replace("-", "_").replace("__", "--", 1), "1"]):
        assert run_command(command, words) == 2
        told = f"error: {old} is called {new} now; python -m wmlib {command} --help says more\n"
        assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    ("command", "old", "new"),
    [
        ("run", "--dream.components", "--dream.coordinates"),
        ("run", "--iterate.dream.components", "--iterate.dream.coordinates"),
        ("evolve", "--real.components", "--real.coordinates"),
        ("temperature", "--dream.components", "--coordinates"),
    ],
)
def test_what_was_one_option_and_is_two_is_told_in_full(command, old, new, capsys):
    assert run_command(command, [old, "24"]) == 2
    message = capsys.readouterr().err
    assert f"in place of -1 say {new}.kind weights; of 0, {new}.kind predictive" in message
    assert f"of a number n, the same and {new}.count n" in message


def test_what_is_said_of_components_works_when_it_is_followed():
    for words, kind, count in (
        (["--real.coordinates.kind", "weights", "--real.coordinates.count", "None"], "weights", None),
        (
            ["--real.coordinates.kind", "predictive", "--real.coordinates.count", "None"],
            "predictive",
            None,
        ),
        (["--dream.coordinates.kind", "advantage", "--dream.coordinates.count", "5"], "advantage", 5),
    ):
        config = run_options("run", words).config
        found = getattr(config, words[0][2:].split(".")[0]).coordinates
        assert (found.kind, found.count) == (kind, count)


@pytest.mark.parametrize("command", ["collect", "vae", "mdnrnn", "evolve"])
def test_all_commands_of_a_run_know_the_renamed_options(command, capsys):
    for old, new in RENAMED["run"].items():
        assert run_command(command, [old, "1"]) == 2
        assert f"{old} is called {new} now" in capsys.readouterr().err


@pytest.mark.parametrize("command", RENAMED)
def test_help_knows_the_new_names_and_not_the_former_ones(command, capsys):
    with pytest.raises(SystemExit) as end:
        run_command(command, ["--help"])
    options = set(re.findall(r"--[\w.-]+", capsys.readouterr().out))
    assert end.value.code == 0
    assert options >= set(RENAMED[command].values())
    assert options.isdisjoint(RENAMED[command])


@pytest.mark.parametrize("words", [["--run-dir", "~/mine"], ["--run-dir=~/mine"]])
def test_a_home_is_a_home_wherever_it_stands(monkeypatch, tmp_path, capsys, words):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run_command("evaluate", words) == 2
    assert f"error: {tmp_path / 'mine' / 'controller.safetensors'} is missing" in capsys.readouterr().err


def test_nothing_is_exported_among_installed_packages(monkeypatch, capsys):
    monkeypatch.setattr("wmlib.cli.CHECKOUT", None)
    assert run_command("export", []) == 2
    assert capsys.readouterr().err.startswith("error: --out: say where to")


def loaded_by(*modules):
    """All modules that a fresh process has loaded when it has imported these."""
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_command_line_loads_no_widgets():
    loaded = loaded_by("wmlib.cli")
    assert "wmlib.cli" in loaded
    assert loaded.isdisjoint({"ipywidgets", "anywidget", "IPython", "matplotlib", "jupyter_server"})


def test_a_process_that_plays_games_loads_no_torch():
    games = ("carracing", "takecover", "envpool")
    loaded = loaded_by("wmlib.envs.games", *(f"wmlib.envs.{game}" for game in games))
    assert {"wmlib.envs.carracing", "numpy"} <= loaded
    assert loaded.isdisjoint({"torch", "safetensors", "tyro", "ipywidgets"})


def test_doctor_finds_nothing_broken_on_one_core_and_says_how_long_things_take():
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if cores:  # a process that is started has those of this one
        os.sched_setaffinity(0, {min(cores)})
    try:
        done = wmlib("doctor")
    finally:
        if cores:
            os.sched_setaffinity(0, cores)
    assert done.returncode == 0, done.stdout
    assert "torch computes on" in done.stdout and "FAIL" not in done.stdout
    if cores:
        assert "with one thread on one core" in done.stdout
        assert "how long it takes on one core" in done.stdout
    said = re.findall(r"^  (\S.*?) {2,}[\d.]+ (seconds|minutes|hours|days)$", done.stdout, re.MULTILINE)
    named = [what for what, _ in said]
    assert {"carracing, profile laptop", "takecover, profile paper", "notebook 02"} <= set(named)
    assert len(named) == 8 + 7


def test_doctor_works_where_no_package_is_installed():
    bare = [sys.executable, "-S", "-m", "wmlib", "doctor"]  # -S: without site-packages
    done = subprocess.run(bare, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1 and not done.stderr
    assert "torch is not installed\n      mend: make clean setup" in done.stdout
    assert "filelock is not installed" in done.stdout and "anywidget is not installed" in done.stdout


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


def test_a_dreams_score_does_not_depend_on_how_many_games_are_open(capsys, monkeypatch):
    """Doom's agent in a dream of its own may die a tic later than beside others: a product of one row
    rounds otherwise. So it is never the machine that says how many are dreamt side by side."""
    widths, returns, dream = [], [], Agent.dream

    def watched(agent, lanes, *given):
        widths.append(lanes)
        return dream(agent, lanes, *given)

    monkeypatch.setattr(Agent, "dream", watched)
    words = ["--task", "takecover", "--world", "dream", "--episodes", "3", "--horizon", "40", "--json"]
    for lanes in ("1", "2", "32"):
        assert run_command("evaluate", [*words, "--lanes", lanes]) == 0
        returns.append(json.loads(capsys.readouterr().out)["returns"])
    assert widths == [3, 3, 3] and returns[0] == returns[1] == returns[2]


@pytest.mark.parametrize("options", [PlayOptions, TemperatureOptions])
@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_seed_is_checked_by_every_command_that_takes_one(options, seed):
    with pytest.raises(
        ConfigError, match=rf"^{options.__name__}\.seed is {seed}; .* 2,147,483,647 or less$"
    ):
        options(seed=seed)
    options(seed=2**31 - 1)


def test_play_writes_a_gif(tmp_path, smoke_run):
    done = wmlib("play", "--run-dir", smoke_run, "--steps", 12, "--out", tmp_path / "x.gif")
    assert done.returncode == 0, done.stderr
    assert "real game" in done.stdout and "its dream" in done.stdout
    assert Image.open(tmp_path / "x.gif").n_frames == 12


def test_an_agent_with_noise_can_explore(tmp_path, smoke_run):
    folder = tmp_path / "noisy"
    words = ["collect", "--profile", "smoke", "--run-dir", folder, "--collect.episodes", 2]
    words += ["--collect.policy", "agent", "--collect.agent", smoke_run, "--collect.horizon", 25]
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


# What took long is not lost


IN_A_DREAM = ["evaluate", "--world", "dream", "--episodes", "2", "--horizon", "5"]


class Full(io.StringIO):
    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def run(tmp_path):
    """A folder with an agent."""
    return Path(shutil.copytree(REFERENCE / "carracing", tmp_path / "run"))


def kept_in(folder):
    return [json.loads(path.read_text()) for path in sorted((folder / "scores").glob("*.json"))]


def test_a_run_keeps_its_scores_besides(run, capsys):
    words = [*IN_A_DREAM, "--run-dir", str(run), "--json"]
    for _ in range(2):  # the same question has the same answer, in the same file
        assert main(words) == 0
    printed, told = capsys.readouterr()
    score = json.loads(printed.splitlines()[0])
    (kept,) = kept_in(run)
    assert kept.items() >= score.items()
    asked = {"horizon": 5, "tau": 1.0, "end": "cutoff", "controller": "controller.safetensors"}
    assert kept.items() >= asked.items() and kept["weights"]
    assert f"kept in {run / 'scores'}" in told
    assert main([*words, "--tau", "0.5"]) == 0
    assert main([*words, "--controller", "controller_dream.safetensors"]) == 0
    assert len(kept_in(run)) == 3 and len({row["weights"] for row in kept_in(run)}) == 2


@pytest.mark.parametrize("stdout", [Full(), None], ids=["full", "closed"])
@pytest.mark.parametrize("has_run", [True, False])
def test_a_score_that_can_not_be_printed_is_kept(run, monkeypatch, capsys, stdout, has_run):
    monkeypatch.chdir(run.parent)
    monkeypatch.setattr(sys, "stdout", stdout)
    assert main([*IN_A_DREAM, *(["--run-dir", str(run)] if has_run else [])]) == 0
    (score,) = kept_in(run if has_run else run.parent)
    assert score["n"] == 2 and len(score["returns"]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("standard output can't be written") and "scores/evaluate-" in told
    assert (run / "scores").exists() is has_run and (run.parent / "scores").exists() is not has_run


def test_what_is_shipped_stays_as_it_is(capsys):
    assert main([*IN_A_DREAM, "--run-dir", str(REFERENCE / "carracing")]) == 0
    assert not (REFERENCE / "carracing" / "scores").exists() and capsys.readouterr().out


def test_a_run_that_can_not_be_written_is_scored_nevertheless(run, monkeypatch, capsys):
    (run / "scores").touch()  # in the way
    words = [*IN_A_DREAM, "--run-dir", str(run)]
    assert main(words) == 0
    printed, told = capsys.readouterr()
    assert "carracing, dream: " in printed and "not kept: " in told
    monkeypatch.chdir(run.parent)
    monkeypatch.setattr(sys, "stdout", Full())
    assert main(words) == 0
    assert len(kept_in(run.parent)) == 1


@pytest.mark.parametrize(("stderr", "status"), [("heard", 0), ("full", 1)])
def test_the_last_to_hear_of_a_score_is_standard_error(run, monkeypatch, capsys, stderr, status):
    (run.parent / "scores").touch()
    monkeypatch.chdir(run.parent)
    monkeypatch.setattr(sys, "stdout", Full())
    if stderr == "full":
        monkeypatch.setattr(sys, "stderr", Full())
    assert main(IN_A_DREAM) == status
    assert ("carracing, dream: " in capsys.readouterr().err) is (stderr == "heard")


def test_what_else_takes_long_is_not_lost_either(run, monkeypatch, capsys):
    monkeypatch.chdir(run.parent)
    monkeypatch.setattr("wmlib.measure.fidelity.measure_fidelity", lambda *_: "861 \xb1 111")
    monkeypatch.setattr("wmlib.measure.temperature.table", lambda *_: [])
    monkeypatch.setattr("wmlib.stages.export.export_run", lambda *_: {"controller": "861"})
    monkeypatch.setattr("wmlib.widgets.side_by_side.show_side_by_side", lambda *_: (861, 900))
    monkeypatch.setattr(sys, "stdout", Full())
    for words, found in [
        (["fidelity", "--run-dir", "run"], "its outcome is in run/scores/fidelity-"),
        (["temperature", "--out", "table"], "its outcome is in table/temperature.json"),
        (
            ["export", "--out", "exported", "--made-by", "python -m wmlib run"],
            "its outcome is in exported",
        ),
        (["play"], "real game: 861 points"),
    ]:
        assert main(words) == 0
        assert found in capsys.readouterr().err
    (report,) = kept_in(run)
    assert report["report"] == ["861 \xb1 111"] and report["asked"]["tau"] == 1.15


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("run", "--machine.lanes"),
        ("evolve", "--machine.lanes"),
        ("evaluate", "--lanes"),
        ("temperature", "--lanes"),
        ("fidelity", "--lanes"),
        ("export", "--lanes"),
    ],
)
def test_fewer_games_are_asked_for_by_the_commands_own_option(command, option, monkeypatch, capsys):
    def fail(*_, **__):
        raise GameError("no memory; hold fewer games open at once", 4)

    for name in ("stages.pipeline.Pipeline", "agent.load_agent", "stages.folder.RunFolder"):
        monkeypatch.setattr(f"wmlib.{name}", fail)
    assert run_command(command, []) == 2
    told = capsys.readouterr().err
    assert told == f"error: no memory; hold fewer games open at once: {option} 4\n"
    assert run_command(command, [option, "4"]) == 2  # the option is there
    assert capsys.readouterr().err == told
