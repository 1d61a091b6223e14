"""Where the package lies: in a checkout, or installed from a wheel."""

import importlib.metadata
import json
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wmlib.runtime import place

ROOT = Path(__file__).parents[3]


@pytest.fixture
def wheel(tmp_path):
    """What the module says of itself where it was installed from a wheel."""
    module = tmp_path / "site-packages/wmlib/runtime/place.py"
    module.parent.mkdir(parents=True)
    (module.parents[1] / "shipped").mkdir()
    shutil.copy(place.__file__, module)
    return lambda: runpy.run_path(str(module))


def test_a_checkout_has_what_is_shipped_beside_the_package():
    assert place.CHECKOUT == ROOT and place.REFERENCE == ROOT / "data/reference"
    assert (place.REFERENCE / "carracing").is_dir() and (place.SAMPLE / "manifest.json").is_file()


def test_a_wheel_has_it_within_and_writes_in_the_current_folder(wheel, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    found = wheel()
    assert found["CHECKOUT"] is None
    assert found["REFERENCE"] == tmp_path / "site-packages/wmlib/shipped/reference"
    assert found["named"]("runs/mine") == tmp_path / "runs/mine"
    assert found["named"]("~/mine") == Path("/home/me/mine")


def test_something_else_of_that_name_among_installed_packages_makes_no_checkout(wheel, tmp_path):
    (tmp_path / "site-packages/pyproject.toml").touch()
    assert wheel()["CHECKOUT"] is None


def test_what_was_lost_is_brought_back_by_git(tmp_path, monkeypatch):
    def git(*words):
        by = ["-c", "user.name=a", "-c", "user.email=a"]
        subprocess.run(["git", "-C", str(repository), *by, *words], check=True, capture_output=True)

    repository = tmp_path / "with space"
    lost = repository / "data/reference/carracing"
    lost.mkdir(parents=True)
    (lost / "vae").write_text("V")
    git("init")
    git("add", ".")
    git("commit", "-m", "all")
    shutil.rmtree(lost)
    monkeypatch.setattr(place, "CHECKOUT", repository)
    monkeypatch.chdir(tmp_path)  # somewhere else
    subprocess.run(shlex.split(place.bring_back(lost)), check=True, capture_output=True)
    assert (lost / "vae").read_text() == "V"


def test_what_was_lost_from_a_wheel_is_installed_again(wheel, tmp_path, monkeypatch):
    found = wheel()
    command = found["bring_back"](found["REFERENCE"])
    start = f"{shlex.quote(sys.executable)} -m pip install --force-reinstall --no-deps "
    noted = importlib.metadata.distribution("wmlib")
    assert command.startswith(start)
    monkeypatch.setattr(
        type(noted), "read_text", lambda self, name: json.dumps({"url": "file:///w.whl"})
    )
    assert found["bring_back"](found["REFERENCE"]) == start + "file:///w.whl"
