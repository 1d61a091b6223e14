"""What a message tells to do is possible, and helps when it is done to the letter."""

import ast
import contextlib
import functools
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

from wmlib import cli
from wmlib.__main__ import COMMANDS, main
from wmlib.cli import RUNNING
from wmlib.runtime.files import REFERENCE
from wmlib.task import find_profile, find_task
from wmlib.widgets import side_by_side

PACKAGE = Path(cli.__file__).parent
FROM_A_FOLDER = {"evaluate", "export-web", "fidelity", "play", "temperature"}
SAID_BY = {
    "agent": FROM_A_FOLDER,
    "cli": set(COMMANDS) - {"doctor", "worker"},
    "doctor": set(RUNNING),  # it speaks of what comes next
    "envs.envpool": set(RUNNING),
    "measure.temperature": {"temperature"},
    "runtime.disk": set(RUNNING),
    "stages.export": {"export"},
    "stages.folder": set(RUNNING),
}
"""Modules whose messages name options, and the commands that can print them."""
OF_OTHERS = {"--shm-size", "--force-reinstall", "--no-deps", "--ip", "--host", "--nthreads"}
"""Options of docker, pip, JupyterLab and dask."""


# What is named exists


@functools.cache
def texts() -> list[tuple[str, str]]:
    """(module, text) of all that the package can say, {} standing for what is filled in. One word alone
    says nothing."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        beside = {part for node in nodes for part in inside(node)}
        for node in nodes:
            if isinstance(node, ast.JoinedStr):
                parts = [getattr(part, "value", "") for part in node.values]
                text = "".join(part if isinstance(part, str) else "{}" for part in parts)
                found.append((name, text))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in beside:
                found.append((name, node.value))
    return [(name, text) for name, text in found if " " in text.strip()]


def inside(node: ast.AST) -> list[ast.AST]:
    """Strings that are no texts by themselves: docstrings, and parts of a text."""
    if isinstance(node, ast.Expr):
        return [node.value]
    return node.values if isinstance(node, ast.JoinedStr) else []


def options_named() -> set[tuple[str, str, str]]:
    """(module, command that the text names or "", option) of all texts."""
    found = set()
    for name, text in texts():
        command = re.search(r"python -m wmlib ([\w-]+)", text)
        for option in set(re.findall(r"(?<![\w-])--[a-z][\w.-]*\w", text)) - OF_OTHERS:
            found.add((name, command[1] if command else "", option))
    return {each for each in found if each[0] != "__main__"}  # its own help


@pytest.fixture(scope="module")
def options_of():
    """The options of each command, as its own help lists them."""
    known = {}
    for command in (
        "run",
        "evaluate",
        "temperature",
        "fidelity",
        "examine",
        "play",
        "export",
        "export-web",
    ):
        with contextlib.redirect_stdout(io.StringIO()) as shown, pytest.raises(SystemExit):
            main([command, "--help"])
        known[command] = set(re.findall(r"--[\w.-]+", shown.getvalue()))
    return known | dict.fromkeys(RUNNING, known["run"])


@pytest.mark.parametrize(("module", "command", "option"), sorted(options_named()))
def test_an_option_that_a_message_names_is_one_of_the_commands(options_of, module, command, option):
    if module == "cli":  # which has a text for each command, and one that quotes another
        assert any(option in options_of[name] for name in SAID_BY[module])
    else:
        assert all(option in options_of[name] for name in ({command} if command else SAID_BY[module]))


def test_what_names_options_is_found():
    named = options_named()
    assert ("stages.export", "", "--out") in named and ("agent", "run", "--run-dir") in named
    assert len(named) > 8


# What is told helps


@pytest.fixture(scope="module")
def run(smoke_run, tmp_path_factory):
    """A run to be damaged. Its name would be two words in a shell."""
    folder = tmp_path_factory.mktemp("damaged") / "my run"
    return Path(shutil.copytree(smoke_run, folder, ignore=shutil.ignore_patterns("rounds")))


def follow(told, options):
    """Do what a message says, to the letter: delete, or give another command with these options."""
    about, _, remedy = told.removeprefix("error: ").strip().rpartition("; ")
    if "delete it" in remedy:
        Path(re.match(r"(/.*?) is damaged", about)[1]).unlink()
    if folder := re.match(r"delete the folder (.*) and collect again", remedy):
        shutil.rmtree(folder[1])
    if again := re.search(r"python -m wmlib (\w+)( [^,]*)?", remedy):
        given = shlex.split(again[2] or "")
        assert main([again[1], *given, *options]) == 0
    elif "collect" in remedy:
        assert main(["collect", *options]) == 0


def damaged(path):
    path.write_bytes(path.read_bytes()[:-100])


SMOKE = ["--profile", "smoke", "--stages", "collect", "vae", "mdnrnn", "dream"]
IN_A_DREAM = ["--world", "dream", "--episodes", "2", "--horizon", "5"]


@pytest.mark.parametrize(
    ("command", "hurt", "lost"),
    [
        ("collect", ["done.json"], []),
        ("vae", ["episodes/episode_0000001.safetensors"], ["stages/vae.safetensors"]),
        (
            "mdnrnn",
            ["encoded.safetensors", "stages/vae.safetensors", "checkpoints/mdnrnn.safetensors"],
            ["stages/mdnrnn.safetensors"],
        ),
        ("evaluate", ["controller.safetensors"], []),
    ],
)
def test_what_was_refused_is_done_when_all_that_was_told_is_done(run, capsys, command, hurt, lost):
    options = [*SMOKE, "--run-dir", str(run)]
    words = [command, *(options if command in RUNNING else [*IN_A_DREAM, *options[-2:]])]
    for name in lost:
        (run / name).unlink()
    for name in hurt:
        damaged(run / name)
    refusals = []
    while main(words) != 0:
        refusals.append(capsys.readouterr().err.splitlines()[-1])  # above it there may be bars
        assert refusals[-1].startswith("error: ") and len(set(refusals)) == len(refusals), refusals
        follow(refusals[-1], options)
        capsys.readouterr()
    for name in hurt:
        assert any(f"{name} is damaged" in told for told in refusals)


def test_a_stage_that_is_missing_is_made_by_the_command_that_is_named(run, capsys):
    options = [*SMOKE, "--run-dir", str(run)]
    (run / "stages" / "vae.safetensors").unlink()
    assert main(["mdnrnn", *options]) == 2
    follow(capsys.readouterr().err, options)
    assert main(["mdnrnn", *options]) == 0


def test_a_controller_that_is_not_there_is_chosen_among_those_that_are(run, capsys):
    words = ["evaluate", *IN_A_DREAM, "--run-dir", str(run), "--controller"]
    assert main([*words, "controller_x.safetensors"]) == 2
    names = capsys.readouterr().err.rpartition(": ")[2].split(", ")
    assert [name.strip() for name in names] == sorted(path.name for path in run.glob("controller*"))
    assert main([*words, "controller_dream.safetensors"]) == 0


@pytest.mark.parametrize(
    ("words", "accepts"),
    [
        (["run", "--task", "chess"], find_task),
        (["run", "--profile", "huge"], find_profile),
        (["evaluate", "--task", "chess"], find_task),
    ],
)
def test_names_that_are_offered_are_known(capsys, words, accepts):
    assert main(words) == 2
    names, _, _ = capsys.readouterr().err.rpartition("are: ")[2].partition(", and of yours")
    offered = names.strip().split(", ")
    assert len(offered) > 1 and all(map(accepts, offered))


def test_players_that_are_offered_can_play(capsys):
    assert main(["evaluate", "--policy", "nobody"]) == 2
    offered = capsys.readouterr().err.rpartition("game ")[2].strip().split(", ")
    assert offered == [*find_task("carracing").policies(), "blind"]


def test_an_out_that_is_a_folder_is_refused_with_a_file_that_is_taken(tmp_path, monkeypatch, capsys):
    played = []
    monkeypatch.setattr(side_by_side, "show_side_by_side", lambda *args: played.append(args) or (1, 2))
    assert main(["play", "--out", str(tmp_path)]) == 2 and not played
    name = capsys.readouterr().err.strip().rpartition("such as ")[2]
    assert main(["play", "--out", name]) == 0
    assert played[0][-1] == tmp_path / "play.gif"


@pytest.mark.parametrize("command", ["play", "temperature", "export"])
def test_an_out_that_can_not_be_written_is_refused_by_its_name_before_any_game(
    run, tmp_path, monkeypatch, capsys, command
):
    (tmp_path / "file").touch()
    monkeypatch.setattr("wmlib.agent.load_agent", None)
    out = tmp_path / "file" / "below"
    assert main([command, "--run-dir", str(run), "--out", str(out)]) == 2
    told = capsys.readouterr().err
    assert str(out) in told and told.strip().endswith("choose another --out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_was_exported_is_exported_again(tmp_path, capsys):
    """It has no run that could be finished."""
    shutil.copytree(REFERENCE / "carracing", tmp_path / "out")
    damaged(tmp_path / "out" / "vae.safetensors")
    assert main(["evaluate", "--run-dir", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err.strip()
    assert told.endswith(f"python -m wmlib export --run-dir RUN --out {tmp_path / 'out'}")


def test_releases_that_are_named_are_pinned():
    pins = (PACKAGE.parent / "constraints.txt").read_text(encoding="utf-8")
    named = {
        package
        for _, text in texts()
        for package in re.findall(r"pip install ([\w-]+) -c constraints.txt", text)
    }
    assert "envpool" in named and all(f"\n{package}==" in pins for package in named)
