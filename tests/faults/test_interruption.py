"""Runs that are stopped in the middle, as real processes."""

import os
import shutil
import signal
import subprocess
import time

import pytest
from harness import (
    RUN,
    assert_all_files_valid,
    assert_same,
    assert_same_beginning,
    fill_the_disk,
    game_processes,
    kill_a_game_process,
    run,
    start,
    stop_when,
    up_to,
    wait_for,
)

from wmlib.task import find_profile


@pytest.mark.parametrize(
    ("stage", "step", "how"),
    [
        ("collect", 0, signal.SIGINT),  # while the game processes start
        ("collect", 2, signal.SIGKILL),
        ("vae", 12, signal.SIGKILL),
        ("vae", 12, signal.SIGINT),
        ("mdnrnn", 9, signal.SIGKILL),
        ("dream", 3, signal.SIGKILL),
        ("rounds", 1, signal.SIGTERM),
        ("real", 1, signal.SIGKILL),
    ],
)
def test_the_same_command_goes_on_to_the_same_numbers(tmp_path, undisturbed, stage, step, how):
    command = up_to(stage)
    code, shown = stop_when(tmp_path, stage, step, how, command)
    assert code != 0
    if how != signal.SIGKILL:
        assert_all_files_valid(tmp_path)
        assert code == 130
        assert "The same command goes on from here: python -m wmlib run" in shown
        assert "Traceback" not in shown
    run(tmp_path, command)
    assert_same_beginning(tmp_path, undisturbed)


@pytest.mark.parametrize("stage", ["collect", "evaluate"])
def test_a_killed_game_process_changes_nothing(tmp_path, undisturbed, stage):
    if stage == "evaluate":  # all before it is done
        shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
        (tmp_path / "score.json").unlink()
        (tmp_path / "events.jsonl").unlink()
    process = start(tmp_path, up_to(stage))
    assert wait_for(process, tmp_path, stage, 0)
    assert kill_a_game_process(process)
    shown = process.communicate(timeout=120)[1]
    assert process.returncode == 0, shown
    assert_same_beginning(tmp_path, undisturbed)


def test_game_processes_that_keep_dying_are_an_error_not_a_hang(tmp_path):
    process = start(tmp_path)
    assert wait_for(process, tmp_path, "collect", 0)
    began = time.monotonic()
    while process.poll() is None and time.monotonic() - began < 60:
        for pid in game_processes(process):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    assert process.poll() == 2
    shown = process.communicate()[1]
    assert "error: " in shown and "Traceback" not in shown


@pytest.mark.parametrize(
    ("stage", "step", "room"),
    [
        ("collect", 1, 100_000),  # room for the journal, but for no episode
        ("vae", 3, 100_000),
        ("mdnrnn", 3, 100_000),
        ("dream", 2, 1_000),  # for nothing at all: C is small
        ("rounds", 0, 100_000),
        ("real", 1, 1_000),
    ],
)
def test_a_full_disk_is_told_and_what_is_there_stays_valid(tmp_path, undisturbed, stage, step, room):
    process = start(tmp_path, up_to(stage))
    assert wait_for(process, tmp_path, stage, step)
    fill_the_disk(process, room)
    shown = process.communicate(timeout=60)[1]
    assert process.returncode == 2, shown
    (error,) = [line for line in shown.splitlines() if line.startswith("error: ")]
    assert str(tmp_path) in error and "can't be written (File too large)" in error
    assert_all_files_valid(tmp_path)
    run(tmp_path, up_to(stage))
    assert_same_beginning(tmp_path, undisturbed)


def test_a_second_run_in_the_same_folder_says_so_and_stops(tmp_path):
    first = start(tmp_path)
    assert wait_for(first, tmp_path, "collect", 1)
    command = [*RUN, "--run-dir", str(tmp_path)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert second.returncode == 2
    assert second.stderr.strip() == (
        f"error: another run is at work in {tmp_path}; let it end, or choose another --run-dir (in a "
        "notebook: WMLIB_RUN_DIR)"
    )
    assert first.poll() is None  # and goes on
    first.kill()  # which leaves no lock behind
    first.communicate()
    run(tmp_path, up_to("collect"))


def test_a_finished_run_has_nothing_left_to_do(undisturbed):
    before = (undisturbed / "controller.safetensors").stat().st_mtime_ns
    done = subprocess.run(
        [*RUN, "--run-dir", str(undisturbed)], capture_output=True, text=True, check=True
    )
    assert done.stderr.count("done before") == len(find_profile("smoke").stages)
    assert (undisturbed / "controller.safetensors").stat().st_mtime_ns == before


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
