"""What is shipped of a run: small, scored, and whole."""

import json
import shutil

import pytest
import torch

from wmlib.cli import run_command
from wmlib.config import EvaluateConfig, Machine
from wmlib.runtime.files import ArtifactError, load_tensors, save_json, sha256
from wmlib.stages.export import config_of, export_run, wall_seconds


def test_what_is_shipped_is_small_scored_and_says_where_it_is_from(tmp_path, smoke_run, capsys):
    words = ["--run-dir", str(smoke_run), "--out", str(tmp_path), "--made-by", "make x"]
    words += ["--episodes", "2", "--horizon", "40", "--game", "exact"]
    assert run_command("export", words) == 0
    printed = capsys.readouterr().out
    for name in ("vae", "mdnrnn", "dream_starts", "controller", "controller_dream"):
        # Of the controllers that learned in dreams alone, the one that learned the longest.
        source = name.replace("dream", "rounds") if name == "controller_dream" else name
        whole, _ = load_tensors(smoke_run / f"{source}.safetensors")
        shipped, _ = load_tensors(tmp_path / f"{name}.safetensors")
        for key, value in whole.items():
            half = not name.startswith("controller")
            assert shipped[key].dtype == (torch.float16 if half else torch.float32)
            torch.testing.assert_close(shipped[key].float(), value, rtol=1e-3, atol=1e-6)

    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["command"] == "make x" and manifest["game"] == "exact"
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
    assert f"controller: {score['mean']:.0f}" in printed


def test_an_unfinished_run_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"config.json is missing; finish the run"):
        export_run(tmp_path, tmp_path / "out", "", EvaluateConfig(), "exact", Machine())


@pytest.mark.parametrize(
    "config",
    [
        [], {}, {"stages": 7, "task": "carracing"}, {"stages": [["vae"]], "task": "carracing"},
        {"stages": [None], "task": "carracing"}, {"stages": ["real"], "task": ["carracing"]},
        {"stages": ["real"], "task": {}}, {"stages": {"real": 1}, "task": "carracing"},
    ],
)  # fmt: skip
def test_a_configuration_with_values_of_another_kind_is_named(tmp_path, config):
    save_json(tmp_path / "config.json", config)
    with pytest.raises(ArtifactError, match=r"config.json is damaged or not ours; x"):
        config_of(tmp_path, "x")


def test_a_run_that_stopped_before_its_last_stage_is_refused_and_nothing_changes(tmp_path, smoke_run):
    run, out = tmp_path / "run", tmp_path / "shipped" / "carracing"
    shutil.copytree(smoke_run, run, ignore=shutil.ignore_patterns("episodes", "checkpoints"))
    shutil.copy(run / "controller_rounds.safetensors", run / "controller.safetensors")
    out.mkdir(parents=True)
    (out / "vae.safetensors").write_bytes(b"as it was")
    with pytest.raises(ArtifactError, match=r"is of rounds, not yet of real; finish the run"):
        export_run(run, out, "", EvaluateConfig(), "exact", Machine())
    assert [path.name for path in out.parent.rglob("*")] == ["carracing", "vae.safetensors"]
    assert (out / "vae.safetensors").read_bytes() == b"as it was"


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
    words = ["--run-dir", str(doom_run), "--out", str(tmp_path), "--episodes", "2"]
    assert run_command("export", [*words, "--horizon", "40"]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    weights = {f"{name}.safetensors" for name in ("vae", "mdnrnn", "dream_starts", "controller")}
    assert names == weights | {"score.json", "manifest.json"}
    score = json.loads((tmp_path / "score.json").read_text())
    assert score["task"] == "takecover" and score["returns"] == [40.0, 40.0]
    assert run_command("export", words) == 0  # without a horizon, Doom's own
    assert json.loads((tmp_path / "score.json").read_text())["mean"] > 40
    capsys.readouterr()
