"""Questions to a run that does not learn: what is asked, amid its stages too, and what V keeps."""

import json
import shutil

import numpy as np
import pytest

from wmlib.cli import run_command
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.files import load_tensors, save_tensors
from wmlib.stages.examine import examine, moving_part
from wmlib.stages.folder import recorded_task
from wmlib.task import find_task


def test_what_moves_is_what_counts():
    frames = np.zeros((6, 64, 64, 3), np.uint8)
    for t, frame in enumerate(frames):
        frame[10 * t : 10 * t + 5, :5] = 200
    blank = frames.copy()
    blank[:] = frames.mean(0)
    assert moving_part(frames, frames) == 1.0
    assert moving_part(frames, blank) == pytest.approx(0.0, abs=0.05)  # rounded to bytes
    halfway = ((frames.astype(int) + blank) // 2).astype(np.uint8)
    assert moving_part(frames, halfway) == pytest.approx(0.75, abs=0.05)  # half the error, squared
    wrong_elsewhere = frames.copy()
    wrong_elsewhere[:, :, 30:] = 99
    assert moving_part(frames, wrong_elsewhere) == 1.0
    assert np.isnan(moving_part(frames[:1].repeat(3, 0), frames[:3]))


def test_a_run_is_asked_as_far_as_it_has_come(smoke_run, tmp_path):
    task, run = find_task("carracing"), tmp_path / "run"
    names = ("episodes", "vae.safetensors", "mdnrnn.safetensors")
    whole = {}
    for name in names:
        run.mkdir(exist_ok=True)
        there = smoke_run / name
        (shutil.copytree if there.is_dir() else shutil.copy)(there, run / name)
        whole[name] = examine(run, task)
    rows = json.loads((run / "episodes/manifest.json").read_text())["episodes"]
    mean = np.mean([row["return"] for row in rows])
    first = whole["episodes"].text.split("\n")
    assert first[0].startswith(f"games: {len(rows)} of explorers, ") and f"{mean:.2f}"[:3] in first[1]
    assert first[-1] == "V: has not learned yet" and whole["episodes"].picture is None
    assert whole["vae.safetensors"].text.endswith("M: has not learned yet")
    assert [len(whole[name].picture.axes) for name in names[1:]] == [16, 24]  # rows of eight
    said = whole["mdnrnn.safetensors"].text
    assert said.startswith(whole["episodes"].text.rpartition("\n")[0]) and "M: of the reward" in said


def test_an_m_of_another_v_is_no_answer(smoke_run, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copytree(smoke_run / "episodes", run / "episodes")
    shutil.copy(smoke_run / "mdnrnn.safetensors", run)
    tensors, about = load_tensors(smoke_run / "vae.safetensors")
    tensors["to_mu.bias"] += 1
    save_tensors(run / "vae.safetensors", tensors, about)
    with pytest.raises(ArtifactError, match=r"mdnrnn\.safetensors was not made from"):
        examine(run, find_task("carracing"))


def test_the_command_knows_the_game_and_keeps_a_picture(smoke_run, tmp_path, capsys):
    assert recorded_task(smoke_run) == "carracing"
    out = tmp_path / "look.png"
    assert run_command("examine", ["--run-dir", str(smoke_run), "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG") and f"picture: {out}" in capsys.readouterr().out
    assert run_command("examine", ["--run-dir", str(tmp_path), "--out", str(out)]) == 2
    assert "holds no episodes" in capsys.readouterr().err
