"""Runs as real processes, and what can happen to them: for the tests here and for the storm."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from wmlib.runtime.files import load_tensors, signature
from wmlib.task import find_profile

# The smoke profile with longer trainings, so that there is a middle to be stopped in.
RUN = [
    sys.executable, "-m", "wmlib", "run", "--profile", "smoke", "--vae.steps", "30",
    "--mdnrnn.steps", "30", "--dream.generations", "6", "--real.generations", "3",
]  # fmt: skip
WEIGHTS = ("vae", "mdnrnn", "controller_dream", "controller_rounds", "controller")


def up_to(stage: str) -> list[str]:
    """The same run, ended after a stage: what it makes does not depend on what follows."""
    stages = find_profile("smoke").stages
    return [*RUN, "--stages", *stages[: stages.index(stage) + 1], "--run-dir"]


def start(folder: Path, command: list[str] | None = None) -> subprocess.Popen:
    """A process at work in a folder. command: all of it but the folder; by default RUN."""
    return subprocess.Popen(
        [*(command or [*RUN, "--run-dir"]), str(folder)], stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, text=True, start_new_session=True, preexec_fn=_hear_ctrl_c,
    )  # fmt: skip


def _hear_ctrl_c() -> None:
    """A shell's background jobs ignore SIGINT, and so would a run that they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def run(folder: Path, command: list[str] | None = None) -> None:
    words = [*(command or [*RUN, "--run-dir"]), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def wait_for(
    process: subprocess.Popen, folder: Path, stage: str, step: int, tells: str = "step"
) -> bool:
    """Until events.jsonl shows the stage at the step. False where the run ended before.

    tells: what the event must tell, where a stage does several things.
    """
    events = folder / "events.jsonl"
    while process.poll() is None:
        rows = [row for row in _rows(events) if row["stage"] == stage and tells in row]
        if any(row["step"] >= step for row in rows):
            return True
        time.sleep(0.02)
    return False


def _rows(events: Path) -> list[dict]:
    rows = []
    if events.exists():
        for line in events.read_text().splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:  # half written
                continue
    return rows


def stop_when(
    folder: Path, stage: str, step: int, how: signal.Signals, command: list[str] | None = None,
    tells: str = "step",
) -> tuple[int, str]:  # fmt: skip
    """Start a run and send it a signal at a moment. Returns its exit code and what it showed.

    Ctrl-C goes to the game processes too, as it does in a terminal.
    """
    process = start(folder, command)
    if wait_for(process, folder, stage, step, tells):
        if how == signal.SIGINT:
            os.killpg(process.pid, how)
        else:
            process.send_signal(how)
    shown = process.communicate(timeout=60)[1]
    return exit_status(process), shown


def exit_status(process: subprocess.Popen) -> int:
    """What a shell shows: 128 and the signal, where one ended the process.

    Where Ctrl-C comes amid an exec(), as in an import, Python ends itself by SIGINT instead of
    with our 130.
    """
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def game_processes(process: subprocess.Popen) -> list[int]:
    """The processes in which a run plays its games."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_text()
        except OSError:  # gone meanwhile
            continue
        if parent == process.pid and "spawn_main" in command:
            found.append(int(entry.name))
    return sorted(found)


def kill_a_game_process(process: subprocess.Popen) -> bool:
    """With SIGKILL, as soon as there is one. False where the run ended before."""
    while process.poll() is None:
        if found := game_processes(process):
            os.kill(found[-1], signal.SIGKILL)
            return True
        time.sleep(0.02)
    return False


def fill_the_disk(process: subprocess.Popen, room: int) -> None:
    """From now on, no file that the process writes can grow beyond so many bytes."""
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, room))


def assert_same(
    folder: Path, other: Path, weights: tuple[str, ...] = WEIGHTS, scores: str = "score.json"
) -> None:
    """The same weights, to the last bit, and the same scores."""
    for name in weights:
        (ours, about), (theirs, expected) = (
            load_tensors(f / f"{name}.safetensors") for f in (folder, other)
        )
        assert ours.keys() == theirs.keys() and about == expected, name
        for key in ours:
            assert torch.equal(ours[key], theirs[key]), f"{name}: {key}"
    ours, theirs = (json.loads((f / scores).read_text()) for f in (folder, other))
    assert ours == theirs


def assert_same_beginning(folder: Path, other: Path) -> None:
    """The stages that the one has done are done in the other with the same outcome, to the last bit."""
    ours, theirs = (json.loads((f / "done.json").read_text())["stages"] for f in (folder, other))
    assert ours and ours.items() <= theirs.items()
    assert_all_files_valid(folder)  # so that each holds what its signature says
    for pattern in ("stages/*.safetensors", "controller_*.safetensors"):
        for path in folder.glob(pattern):
            assert signature(path) == signature(other / path.relative_to(folder)), path.name


def assert_all_files_valid(folder: Path) -> None:
    """Whatever is there can be read; nothing half written lies about."""
    for path in folder.rglob("*.safetensors"):
        load_tensors(path)
    litter = [path for path in folder.rglob(".*") if path.is_file() and path.name != ".lock"]
    assert not litter, litter
