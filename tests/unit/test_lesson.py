"""What a notebook stands on: your own run, or what comes with the package."""

import pytest

from wmlib.lesson import begin
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.files import REFERENCE


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
