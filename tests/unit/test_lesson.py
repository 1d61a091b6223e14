"""What a notebook stands on: your own run, or what comes with the package."""

import importlib.metadata
import json
from pathlib import Path

import pytest

from wmlib import lesson as lessons
from wmlib.lesson import begin
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.files import REFERENCE

ROOT = Path(__file__).parents[2]


def test_the_shipped_weights_are_taken_where_there_are_no_others(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("WMLIB_PROFILE", "smoke")
    monkeypatch.setenv("WMLIB_RUN_DIR", str(tmp_path))
    lesson = begin()
    assert lesson.shipped and lesson.folder == REFERENCE / "carracing"
    assert lesson.config.vae.steps == 12
    assert "shipped" in capsys.readouterr().out


def test_a_run_of_ones_own_goes_first(monkeypatch, smoke_run, capsys):
    monkeypatch.setenv("WMLIB_RUN_DIR", str(smoke_run))
    lesson = begin()
    assert not lesson.shipped and lesson.agent().params.shape == (867,)
    assert "your run" in capsys.readouterr().out


def test_an_unknown_profile_is_named(monkeypatch):
    monkeypatch.setenv("WMLIB_PROFILE", "huge")
    with pytest.raises(ConfigError, match="no profile 'huge'"):
        begin()


def test_an_empty_profile_is_the_default(monkeypatch, tmp_path):
    monkeypatch.setenv("WMLIB_PROFILE", "")
    monkeypatch.setenv("WMLIB_RUN_DIR", "")
    assert begin(None).run == ROOT / "runs/course-laptop"


def test_a_run_folder_is_looked_for_from_the_repository_or_from_home(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # a notebook runs in a folder of its own
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, run in {"runs/mine": ROOT / "runs/mine", "~/mine": tmp_path / "mine"}.items():
        monkeypatch.setenv("WMLIB_RUN_DIR", name)
        assert begin(None).run == run and begin(None, "takecover").run == run / "takecover"
    assert not list(tmp_path.iterdir())


def test_a_run_folder_that_is_not_there_is_told(monkeypatch, tmp_path, capsys, smoke_run):
    monkeypatch.setenv("WMLIB_RUN_DIR", str(tmp_path / "tpyo"))
    begin()
    said = capsys.readouterr().out
    assert f"WMLIB_RUN_DIR names {tmp_path / 'tpyo'}, which is not there yet" in said
    monkeypatch.setenv("WMLIB_RUN_DIR", "runs/tpyo")  # in the repository: where that lies is not told
    begin()
    assert "WMLIB_RUN_DIR names runs/tpyo, which is not there yet" in capsys.readouterr().out
    assert "it builds on: shipped" in said and "holds no outcome of evaluate" in said
    monkeypatch.setenv("WMLIB_RUN_DIR", str(smoke_run))
    begin()
    assert "not there" not in capsys.readouterr().out
    (tmp_path / "file").touch()
    monkeypatch.setenv("WMLIB_RUN_DIR", str(tmp_path / "file"))
    with pytest.raises(ArtifactError, match="file is not a folder; let WMLIB_RUN_DIR name one"):
        begin()


def test_it_begins_where_nothing_was_installed(monkeypatch, tmp_path, capsys):
    release = importlib.metadata.version

    def version(name):
        if name == "wmlib":
            raise importlib.metadata.PackageNotFoundError(name)
        return release(name)

    for place in ("importlib.metadata.version", "wmlib.runtime.versions.version"):
        monkeypatch.setattr(place, version)
    monkeypatch.setenv("WMLIB_RUN_DIR", str(tmp_path))
    begin()
    assert "wmlib 0" in capsys.readouterr().out


def test_shipped_episodes_that_are_gone_are_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(lessons, "SAMPLE", tmp_path / "sample")
    monkeypatch.setenv("WMLIB_RUN_DIR", str(tmp_path / "none"))
    with pytest.raises(ArtifactError, match="sample is missing; bring it back: git"):
        begin().episodes()


def test_what_long_experiments_found_is_shown_as_far_as_it_was_made(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(lessons, "CHECKOUT", tmp_path)
    monkeypatch.setenv("WMLIB_RUN_DIR", str(tmp_path))
    lesson = begin(None)
    assert lesson.findings("five", ["saved"]) == []
    assert "python -m studies.claims five" in capsys.readouterr().out
    row = {
        "name": "car",
        "seed": 1,
        "effort": 0.3,
        "n": 19,
        "saved": 0.00123456,
        "at": [1, 0.25],
        "no": None,
    }
    path = tmp_path / "studies/results/claims.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"studies": {"five": [row]}}))
    assert lesson.findings("five", ["saved", "at", "no"]) == [row]
    *_, heads, told = capsys.readouterr().out.splitlines()
    assert heads.split() == ["seed", "effort", "n", "saved", "at", "no"]
    assert told.split() == ["car", "1", "0.3", "19", "0.00123", "1", "0.25", "-"]


def test_a_result_is_read_as_far_as_it_was_made(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(lessons, "CHECKOUT", tmp_path)
    monkeypatch.setenv("WMLIB_RUN_DIR", str(tmp_path))
    lesson, path = begin(None), tmp_path / "curve.json"
    capsys.readouterr()

    def of(name):
        return lesson.results("curve.json", "make curve", lambda told: told.get(name))

    assert of("laptop") == {}
    path.write_text(json.dumps({"laptop": [1, 2]}))
    assert of("laptop") == [1, 2] and of("overnight") == {}
    said = capsys.readouterr().out.splitlines()
    missing = "made by: make curve   (no rows were made yet)"
    assert said == [missing, "made by: make curve ", missing]
    path.write_text("{")
    with pytest.raises(ArtifactError, match=r"curve\.json is damaged"):
        of("laptop")
