"""What is shipped of a run: small, scored, and whole."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from wmlib.cli import run_command
from wmlib.runtime.files import load_tensors, save_tensors, sha256, signature
from wmlib.runtime.log import RunLog
from wmlib.stages.export import wall_seconds
from wmlib.stages.folder import RunFolder
from wmlib.task import find_profile
from wmlib.worlds.play import play

COMMAND = "python -m wmlib run --profile smoke --run-dir anywhere"


@pytest.fixture
def finished(tmp_path_factory, smoke_run):
    """A finished run of its own: what is scored of it is kept in its folder."""
    return Path(shutil.copytree(smoke_run, tmp_path_factory.mktemp("finished") / "run"))


def test_what_is_shipped_is_small_scored_and_says_where_it_is_from(tmp_path, finished, capsys):
    (tmp_path / "more.json").write_text("kept")
    (tmp_path / "score_dream.json").write_text("of an earlier agent")
    words = ["--run-dir", str(finished), "--out", str(tmp_path), "--made-by", COMMAND]
    words += ["--episodes", "2", "--horizon", "40", "--game", "exact"]
    assert run_command("export", words) == 0
    printed = capsys.readouterr().out
    for name in ("vae", "mdnrnn", "dream_starts", "controller", "controller_dream"):
        # Of the controllers that learned in dreams alone, the one that learned the longest.
        source = name.replace("dream", "rounds") if name == "controller_dream" else name
        whole, _ = load_tensors(finished / f"{source}.safetensors")
        shipped, _ = load_tensors(tmp_path / f"{name}.safetensors")
        for key, value in whole.items():
            half = not name.startswith("controller")
            assert shipped[key].dtype == (torch.float16 if half else torch.float32)
            torch.testing.assert_close(shipped[key].float(), value, rtol=1e-3, atol=1e-6)

    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["command"] == COMMAND and manifest["game"] == "exact"
    assert manifest["config"]["vae"]["steps"] == find_profile("smoke").vae.steps
    assert (tmp_path / "more.json").read_text() == "kept"
    assert manifest["sha256"]["vae.safetensors"] == sha256(tmp_path / "vae.safetensors")
    assert set(manifest["wall_seconds"]) >= {"collect", "vae", "mdnrnn", "dream", "rounds", "real"}

    # The score is that of the rounded weights: evaluating the folder gives it again.
    assert run_command("evaluate", [
        "--run-dir", str(tmp_path), "--episodes", "2", "--horizon", "40", "--game", "exact", "--json",
    ]) == 0  # fmt: skip
    again = json.loads(capsys.readouterr().out)
    score = json.loads((tmp_path / "score.json").read_text())
    assert again["returns"] == score["returns"]
    assert manifest["scores"]["controller"]["mean"] == score["mean"]
    assert score["made_from"]["controller"] == signature(tmp_path / "controller.safetensors")
    assert f"controller: {score['mean']:.0f}" in printed


def test_an_unfinished_run_is_refused(tmp_path, capsys):
    assert run_command("export", ["--run-dir", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "is not a finished run of a profile as it stands; finish it" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def exported(tmp_path, capsys):
    """Tries to export a run to where an agent was shipped before. Returns what was said; that nothing
    has changed is checked."""
    out = tmp_path / "shipped" / "carracing"
    out.mkdir(parents=True)
    (out / "vae.safetensors").write_bytes(b"as it was")

    def export(run, made_by):
        words = ["--run-dir", str(run), "--out", str(out), "--made-by", made_by, "--game", "exact"]
        assert run_command("export", words) == 2
        assert [path.name for path in out.parent.rglob("*")] == ["carracing", "vae.safetensors"]
        assert (out / "vae.safetensors").read_bytes() == b"as it was"
        return capsys.readouterr().err

    return export


def test_a_run_that_stopped_before_its_last_stage_is_refused(tmp_path, smoke_run, exported):
    run = shutil.copytree(smoke_run, tmp_path / "run")
    RunFolder(find_profile("smoke"), run, RunLog(quiet=True)).mark_done("rounds")
    assert "does not hold the stage real as this command makes it" in exported(run, COMMAND)


@pytest.mark.parametrize("other", ["--vae.steps 60", "--seed 2", "--task takecover", "--dream.tau 1.1"])
def test_a_command_that_made_another_agent_is_refused(smoke_run, exported, other):
    """What the stages recorded counts, not what somebody says, or asked for and was refused."""
    assert "as this command makes it" in exported(smoke_run, f"{COMMAND} {other}")


def test_what_made_the_run_is_a_command_of_ours(smoke_run, exported):
    assert 'must be "python -m wmlib run" and its options' in exported(smoke_run, "make x")


@pytest.mark.parametrize("name", ["stages/vae", "stages/rounds", "controller_real"])
def test_a_set_that_does_not_fit_together_is_refused(tmp_path, smoke_run, exported, name):
    run = shutil.copytree(smoke_run, tmp_path / "run")
    path = run / f"{name}.safetensors"
    tensors, about = load_tensors(path)
    first = sorted(tensors)[0]
    save_tensors(path, tensors | {first: tensors[first] + 1}, about)
    assert f"{name}.safetensors is not what the stage" in exported(run, COMMAND)


def test_an_export_that_fails_half_way_leaves_what_was_there(tmp_path, finished, monkeypatch, capsys):
    """The moves, one after the other, are refused: the folder of old is back in its place each time."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "vae.safetensors").write_bytes(b"as it was")
    rename = Path.rename

    def refuse(path, target):
        moves.append(path)
        if len(moves) == failing:
            raise OSError(18, "Invalid cross-device link")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    words = ["--run-dir", str(finished), "--out", str(out), "--episodes", "2", "--horizon", "20"]
    for failing in (1, 2):  # noqa: B007
        moves = []
        assert run_command("export", [*words, "--game", "exact"]) == 2
        assert f"{out} can't be written (Invalid cross-device link); choose" in capsys.readouterr().err
        assert [path.name for path in tmp_path.rglob("*")] == ["out", "vae.safetensors"]


def test_each_score_has_seeds_of_its_own_and_what_was_scored_is_kept(
    tmp_path, finished, monkeypatch, capsys
):
    words = ["--run-dir", str(finished), "--out", str(tmp_path / "out"), "--made-by", COMMAND]
    words += ["--episodes", "3", "--dream-episodes", "2", "--first-seed", "2000100", "--check"]
    words += ["--horizon", "20", "--game", "exact"]
    played = []

    def noted(world, controller, params, seeds, *how):
        if len(played) == stop:
            raise KeyboardInterrupt
        played.append(list(seeds))
        return play(world, controller, params, seeds, *how)

    monkeypatch.setattr("wmlib.stages.export.play", noted)
    monkeypatch.setattr("wmlib.stages.export.PART", 2)
    for stop in (2, None):
        if stop:
            assert run_command("export", words) == 130
            assert "The same command goes on from here" in capsys.readouterr().err
            assert not (tmp_path / "out").exists()
        else:
            assert run_command("export", words) == 0
    seeds = [seed for part in played for seed in part]
    assert (
        seeds == [2000100 + i for i in range(10)]
        and [len(part) for part in played] == [2, 1] * 2 + [2] * 2
    )
    scores = json.loads((tmp_path / "out" / "manifest.json").read_text())["scores"]
    blocks = {name: (each["first_seed"], each["n"]) for name, each in scores.items()}
    assert blocks == {"controller": (2000100, 3), "controller_dream": (2000106, 2)}
    checks = {name: (each["check"]["first_seed"], each["check"]["n"]) for name, each in scores.items()}
    assert checks == {"controller": (2000103, 3), "controller_dream": (2000108, 2)}
    # Without a word on seeds, evaluate gives the score that was shipped.
    for name, file in (("controller", "score"), ("controller_dream", "score_dream")):
        shipped = json.loads((tmp_path / "out" / f"{file}.json").read_text())
        again = ["--run-dir", str(tmp_path / "out"), "--controller", f"{name}.safetensors", "--json"]
        again += ["--episodes", str(shipped["n"]), "--horizon", "20", "--game", "exact"]
        capsys.readouterr()
        assert run_command("evaluate", again) == 0
        assert json.loads(capsys.readouterr().out)["returns"] == shipped["returns"]


def test_wall_seconds_leave_out_the_time_between_two_sittings():
    rows = [
        {"stage": "vae", "seconds": 100.0, "began": True},
        {"stage": "vae", "seconds": 130.0},
        {"stage": "vae", "seconds": 1000.0, "began": True},
        {"stage": "vae", "seconds": 1015.0, "done": True},
        {"stage": "dream", "seconds": 1016.0, "began": True},
        {"stage": "dream", "seconds": 1020.0},
    ]
    assert wall_seconds(rows) == {"vae": 45.0, "dream": 4.0}


def test_an_agent_of_doom_learned_in_dreams_alone_and_is_one(tmp_path, doom_run, capsys):
    doom_run = Path(shutil.copytree(doom_run, tmp_path.with_suffix(".run")))
    words = ["--run-dir", str(doom_run), "--out", str(tmp_path), "--episodes", "2"]
    assert run_command("export", [*words, "--horizon", "40"]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    weights = {f"{name}.safetensors" for name in ("vae", "mdnrnn", "dream_starts", "controller")}
    assert names == weights | {"score.json", "manifest.json"}
    score = json.loads((tmp_path / "score.json").read_text())
    assert score["task"] == "takecover" and score["returns"] == [40.0, 40.0]
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["command"] == "python -m wmlib run --task takecover --profile smoke"  # found out
    assert run_command("export", words) == 0  # without a horizon, Doom's own
    assert json.loads((tmp_path / "score.json").read_text())["mean"] > 40
    capsys.readouterr()
