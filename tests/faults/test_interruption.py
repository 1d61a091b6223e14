"""Runs that are stopped in the middle, as real processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from wmlib.artifacts import load_tensors
from wmlib.config import find_profile

# The smoke profile with longer trainings, so that there is a middle to be stopped in.
RUN = [
    sys.executable, "-m", "wmlib", "run", "--profile", "smoke", "--vae.steps", "30",
    "--mdnrnn.steps", "30", "--dream.generations", "6", "--real.generations", "3",
]  # fmt: skip


def run(folder):
    done = subprocess.run([*RUN, "--run-dir", str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def stop_when(folder, stage, step, how):
    """Start a run and send it a signal once events.jsonl shows the stage at the step.

    Ctrl-C goes to the game processes too, as it does in a terminal.
    """
    process = subprocess.Popen(
        [*RUN, "--run-dir", str(folder)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        start_new_session=True,
    )  # fmt: skip
    events = folder / "events.jsonl"
    while process.poll() is None:
        rows = []
        if events.exists():
            for line in events.read_text().splitlines():
                try:
                    rows.append(json.loads(line))
                except ValueError:
                    continue
        if any(row["stage"] == stage and row["step"] >= step for row in rows):
            if how == signal.SIGINT:
                os.killpg(process.pid, how)
            else:
                process.send_signal(how)
            break
        time.sleep(0.02)
    return process, process.communicate(timeout=60)[1]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    run(folder)
    return folder


def assert_same(folder, other):
    for name in ("vae", "mdnrnn", "controller_dream", "controller_rounds", "controller"):
        ours, theirs = (load_tensors(f / f"{name}.safetensors")[0] for f in (folder, other))
        assert ours.keys() == theirs.keys()
        for key in ours:
            assert torch.equal(ours[key], theirs[key]), f"{name}: {key}"
    ours, theirs = (json.loads((f / "score.json").read_text()) for f in (folder, other))
    assert ours == theirs


@pytest.mark.parametrize(
    ("stage", "step", "how"),
    [
        ("collect", 0, signal.SIGINT),  # while the game processes start
        ("collect", 2, signal.SIGKILL),
        ("vae", 12, signal.SIGINT),
        ("mdnrnn", 9, signal.SIGTERM),
        ("dream", 3, signal.SIGKILL),
        ("rounds", 1, signal.SIGTERM),
        ("real", 1, signal.SIGINT),
    ],
)
def test_the_same_command_goes_on_to_the_same_numbers(tmp_path, undisturbed, stage, step, how):
    process, shown = stop_when(tmp_path, stage, step, how)
    assert process.returncode != 0
    if how != signal.SIGKILL:
        assert process.returncode == 130
        assert "The same command goes on from here: python -m wmlib run" in shown
        assert "Traceback" not in shown
    run(tmp_path)
    assert_same(tmp_path, undisturbed)


def test_a_finished_run_has_nothing_left_to_do(undisturbed):
    began = time.monotonic()
    before = (undisturbed / "controller.safetensors").stat().st_mtime_ns
    shown = run(undisturbed).stderr
    assert shown.count("done before") == len(find_profile("smoke").stages)
    assert (undisturbed / "controller.safetensors").stat().st_mtime_ns == before
    assert time.monotonic() - began < 30


def test_files_that_are_gone_are_made_again(tmp_path, undisturbed):
    folder = tmp_path / "run"
    shutil.copytree(undisturbed, folder)
    episode = next((folder / "episodes").glob("*.safetensors"))
    before = episode.read_bytes()
    for path in (
        episode,
        folder / "stages" / "mdnrnn.safetensors",
        folder / "controller_real.safetensors",
    ):
        path.unlink()
    run(folder)
    assert episode.read_bytes() == before
    assert_same(folder, undisturbed)
