"""The releases that are written beside scores."""

from importlib.metadata import PackageNotFoundError, version

import wmlib
from wmlib.runtime.versions import game_versions, installed_versions


def test_they_are_those_that_are_installed_and_others_are_left_out():
    found = installed_versions(("numpy", "no-such-package-here"))
    assert found == {"numpy": version("numpy")}


def test_the_games_are_told_with_what_they_stand_on():
    found = game_versions()
    assert {"gymnasium", "pygame-ce", "vizdoom", "wmlib"} <= found.keys()
    assert found["gymnasium"] == version("gymnasium") and found["wmlib"] == wmlib.__version__


def test_ours_is_told_where_it_runs_uninstalled(monkeypatch):
    def none(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("wmlib.runtime.versions.version", none)
    assert game_versions() == {"wmlib": wmlib.__version__}
