"""The temperature table: its rows are what the plain commands say, and it goes on where it stopped."""

import hashlib
import json
import math
import shutil
from dataclasses import replace

import pytest
import torch

from wmlib.agent import load_agent
from wmlib.cli import run_command
from wmlib.config import TAUS, Coordinates, EvaluateConfig, TableConfig
from wmlib.measure.temperature import (
    PAPER,
    as_text,
    controller_file,
    learned_from,
    load_rows,
    read_table,
)
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.files import REFERENCE, load_tensors

SMALL = [
    "--episodes", "2", "--dream.generations", "2", "--dream.population", "4", "--dream.episodes", "2",
    "--dream.horizon", "40", "--dream.precision", "float32", "--taus", "0.5", "1.3",
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory, doom_run):
    out = tmp_path_factory.mktemp("temperature")
    assert run_command("temperature", ["--run-dir", str(doom_run), "--out", str(out), *SMALL]) == 0
    return out


def test_rows_are_what_evaluate_says(made, doom_run, tmp_path, capsys):
    rows = json.loads((made / "temperature.json").read_text())["rows"]
    assert [row["tau"] for row in rows] == [0.5, 1.3]
    for name in ("vae", "mdnrnn", "dream_starts"):
        (tmp_path / f"{name}.safetensors").symlink_to(doom_run / f"{name}.safetensors")
    for row in rows:
        name = controller_file(row["tau"])
        (tmp_path / name).symlink_to(made / name)
        command = ["--task", "takecover", "--run-dir", str(tmp_path), "--controller", name]
        command += ["--episodes", "2", "--json"]
        for world, more in (
            ("real", []), ("dream", ["--horizon", "40", "--tau", str(row["tau"])])
        ):  # fmt: skip
            assert run_command("evaluate", [*command, "--world", world, *more]) == 0
            told = json.loads(capsys.readouterr().out)
            assert told["returns"] == row[world]["returns"], (row["tau"], world)


def test_rows_that_are_there_are_not_made_again(made, doom_run, tmp_path, capsys):
    made = shutil.copytree(made, tmp_path / "made")
    before = (made / controller_file(0.5)).stat().st_mtime_ns
    command = ["--run-dir", str(doom_run), "--out", str(made), *SMALL, "1.0"]
    assert run_command("temperature", command) == 0
    assert (made / controller_file(0.5)).stat().st_mtime_ns == before
    table = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in table] == ["tau", "0.50", "1.30", "1.00"]
    assert "1145, 868 ± 511" in table[-1]  # the paper's
    again = json.loads((made / "temperature.json").read_text())["rows"]
    assert [row["tau"] for row in again] == [0.5, 1.0, 1.3]


def test_more_games_need_no_new_evolution(made, doom_run, tmp_path, capsys):
    made = shutil.copytree(made, tmp_path / "made")
    params = load_tensors(made / controller_file(1.3))[0]["params"]
    command = ["--run-dir", str(doom_run), "--out", str(made), *SMALL, "--episodes", "3"]
    assert run_command("temperature", command) == 0
    assert "mean=" not in capsys.readouterr().err.split("evaluate")[0]  # taken from the checkpoint
    assert [row.real.n for row in read_table(made)[0]] == [3, 3]
    assert torch.equal(load_tensors(made / controller_file(1.3))[0]["params"], params)


@pytest.mark.parametrize("other", [["--seed", "2"], ["--first-seed", "9"], ["--dream.sigma", "0.2"]])
def test_a_table_of_other_options_is_not_lost(made, doom_run, tmp_path, capsys, other):
    made = shutil.copytree(made, tmp_path / "made")
    before = {path.name: path.read_bytes() for path in made.iterdir() if path.is_file()}
    command = ["--run-dir", str(doom_run), "--out", str(made), *SMALL, *other]
    assert run_command("temperature", command) == 2
    assert "is of another agent or other options; choose another --out" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in made.iterdir() if path.is_file()} == before


def test_each_tau_has_a_file_of_its_own():
    taus = (1.0, 1.0000004, 1.15, 0.1, 1)
    names = [controller_file(tau) for tau in taus]
    assert names[:1] + names[2:] == [f"controller_tau_{tau}.safetensors" for tau in (1, 1.15, 0.1, 1)]
    assert names[1] == "controller_tau_1.0000004.safetensors"


def test_fitted_coordinates_depend_on_who_played(doom_run):
    """A checkpoint is gone on with only in the coordinates it began in."""
    agent = load_agent(doom_run)
    other = replace(agent, params=agent.params + 1)
    for kind, same in (("weights", True), ("advantage", False)):
        config = TableConfig(coordinates=Coordinates(kind))
        assert (learned_from(agent, config, 1) == learned_from(other, config, 1)) is same
        assert learned_from(agent, config, 1) == learned_from(load_agent(doom_run), config, 1)


def test_a_row_without_its_controller_is_made_again(made, tmp_path):
    made = shutil.copytree(made, tmp_path / "made")
    (made / controller_file(0.5)).unlink()
    digest = read_table(made)[1]
    assert list(load_rows(made, digest, "any", EvaluateConfig())) == [1.3]


@pytest.mark.parametrize("damage", ["[]", "{}", None])
def test_a_damaged_table_is_named(made, tmp_path, damage):
    path = tmp_path / "temperature.json"
    path.write_text(damage or (made / path.name).read_text().replace('"n": 2', '"n": 9'))
    with pytest.raises(ArtifactError, match=r"temperature.json is damaged or not ours.*delete it"):
        read_table(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"tau": "0.1"}, {"tau": [0.1]}, {"real": None}, {"dream": {"mean": 1}}, {"real.mean": "high"},
        {"real.sd": []}, {"real.n": "100"}, {"real.ci95": [1]}, {"real.ci95": ["a", "b"]},
        {"real.returns": 7}, {"dream.returns": ["a"]}, {"real.more": 1},
    ],
)  # fmt: skip
def test_a_table_with_values_of_another_kind_is_named(shipped_table, change):
    """Whole in itself: with a digest of its own."""
    content = json.loads(shipped_table.read_text())
    for place, value in change.items():
        *into, name = place.split(".")
        row = content["rows"][0]
        (row[into[0]] if into else row)[name] = value
    content["sha256"] = hashlib.sha256(json.dumps(content["rows"]).encode()).hexdigest()
    shipped_table.write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=r"temperature.json is damaged or not ours.*delete it"):
        read_table(shipped_table.parent)


def test_what_is_not_defined_is_null_in_the_file_and_comes_back(shipped_table):
    content = json.loads(shipped_table.read_text())
    content["rows"][0]["real"]["sd"] = None
    content["sha256"] = hashlib.sha256(json.dumps(content["rows"]).encode()).hexdigest()
    shipped_table.write_text(json.dumps(content))
    rows, _ = read_table(shipped_table.parent)
    assert math.isnan(rows[0].real.sd) and "nan" in as_text(rows)


@pytest.fixture
def shipped_table(tmp_path):
    return shutil.copy(REFERENCE / "takecover" / "temperature.json", tmp_path / "temperature.json")


def test_a_temperature_out_of_bounds_is_refused_before_any_work(doom_run, tmp_path, capsys):
    command = ["--run-dir", str(doom_run), "--out", str(tmp_path), *SMALL, "20"]
    with pytest.raises(SystemExit) as end:
        run_command("temperature", command)
    assert end.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "taus is (0.5, 1.3, 20.0); it must be from 0.05 to 10" in said
    assert not list(tmp_path.iterdir())


def test_the_papers_rows_are_there():
    assert tuple(PAPER) == TAUS


def test_where_the_shipped_agent_is_gone_it_says_how_to_get_it_back(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("wmlib.agent.REFERENCE", tmp_path)
    monkeypatch.setattr("wmlib.cli.REFERENCE", tmp_path)
    assert run_command("temperature", ["--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "controller.safetensors is missing; bring back what was shipped: git" in error
