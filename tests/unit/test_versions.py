"""pyproject.toml, constraints.txt and environment.yml tell one story."""

import os
import re
import shutil
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setuptools import Distribution

from wmlib import __version__
from wmlib.doctor import pinned_versions

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def requirements():
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return [Requirement(text) for group in groups for text in group]


def test_every_dependency_is_pinned_to_a_version_it_allows():
    pins = pinned_versions(ROOT / "constraints.txt")
    for requirement in requirements():
        assert requirement.name in pins, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(pins[requirement.name])


def test_what_is_installed_here_is_what_is_pinned():
    pins = pinned_versions(ROOT / "constraints.txt")
    for requirement in [Requirement(text) for text in PROJECT["dependencies"]]:
        assert version(requirement.name).split("+")[0] == pins[requirement.name]


def test_conda_installs_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip = environment["dependencies"][0], environment["dependencies"][-1]["pip"]
    assert pip == ["--constraint constraints.txt", "--editable .[test]"]
    low, high = re.match(r">=(.+),<(.+)$", PROJECT["requires-python"]).groups()
    chosen = tuple(map(int, python.split("=")[1].split(".")))
    assert tuple(map(int, low.split("."))) <= chosen < tuple(map(int, high.split(".")))


def test_one_version_number():
    assert "version" in PROJECT["dynamic"] and "version" not in PROJECT
    assert SETTINGS["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "wmlib.__version__"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_every_dependency_is_explained():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for requirement in requirements():
        assert f"`{requirement.name}`" in text, f"CONTRIBUTING.md does not say why {requirement.name}"


def test_a_folder_that_was_moved_or_copied_is_set_up_anew(tmp_path):
    folder, copy = tmp_path / "a folder", tmp_path / "its copy"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    python = tmp_path / "python"  # makes an environment that is a folder
    python.write_text('#!/bin/sh\n[ "$1" != -m ] || mkdir -p "$3"\n')
    python.chmod(0o755)

    def make_setup(where):
        words = ["make", "setup", f"PYTHON={python}", "PINNED=echo installs"]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        done = subprocess.run(words, cwd=where, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return "installs" in done.stdout

    assert make_setup(folder) and not make_setup(folder)
    (folder / ".venv/mine").touch()
    shutil.copytree(folder, copy)
    assert make_setup(copy) and not make_setup(copy)
    assert not (copy / ".venv/mine").exists() and not make_setup(folder)
    moved = folder.rename(tmp_path / "moved")
    assert make_setup(moved) and not (moved / ".venv/mine").exists()
    (moved / ".venv/mine").touch()
    (moved / ".venv/.ready").unlink()  # made by hand, as the README says for a torch without CUDA
    assert make_setup(moved) and (moved / ".venv/mine").exists()


def locked():
    """Of each release in the lock, its name, number and hashes."""
    text = (ROOT / "requirements.lock").read_text()
    for name, number, hashes in re.findall(
        r"^([\w.-]+)==(\S+)(.*(?:\n    --hash=.*)+)", text, re.MULTILINE
    ):
        yield name, number, re.findall(r"--hash=sha256:([0-9a-f]{64})", hashes)


def test_the_lock_holds_the_pinned_releases_by_their_hashes():
    pins = {canonicalize_name(name): pin for name, pin in pinned_versions().items()}
    found = {name: number for name, number, hashes in locked() if hashes}
    text = (ROOT / "requirements.lock").read_text()
    assert len(found) == len(re.findall("^[^#\\s]", text, re.MULTILINE))  # none without
    assert {name: pins.get(name, number) for name, number in found.items()} == found
    assert {canonicalize_name(requirement.name) for requirement in requirements()} <= found.keys()
    assert "://" not in text  # no place to install from but the one that is set up


def test_the_lock_is_made_by_make_lock():
    recipe = re.search(r"uv (pip compile.*?)\n\n", (ROOT / "Makefile").read_text(), re.DOTALL)[1]
    words = recipe.replace("\\", "").replace("--quiet", "").split()
    line = (ROOT / "requirements.lock").read_text().splitlines()[1]
    assert sorted(line.removeprefix("#    uv ").split()) == sorted(words)


def test_the_public_ci_takes_actions_by_their_commits():
    for workflow in WORKFLOWS:
        for used in re.findall(r"uses: (.*)", workflow.read_text()):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used


def test_a_wheel_holds_all_that_is_shipped(monkeypatch):
    monkeypatch.chdir(ROOT)
    wheel = Distribution({"script_name": "setup.py"})
    wheel.parse_config_files(["pyproject.toml"])
    build = wheel.get_command_obj("build_py")
    build.ensure_finalized()
    build.data_files = build.get_data_files_without_manifest()  # the manifest would be written
    built = {Path(path).relative_to(build.build_lib).as_posix() for path in build.get_outputs(False)}
    files = [*Path("data").rglob("*"), *Path("wmlib").rglob("*")]
    names = [path.as_posix() for path in files if path.is_file() and path.suffix != ".pyc"]
    assert "data/reference/takecover/vae.safetensors" in names
    assert built == {
        name.replace("data/", "wmlib/shipped/", 1) if name.startswith("data/") else name
        for name in names
    }


def test_others_licences_are_told():
    text = (ROOT / "THIRD_PARTY.md").read_text()
    for requirement in requirements():
        assert f"`{requirement.name}`" in text, f"THIRD_PARTY.md does not name {requirement.name}"
    assert all(name in text for name in ("Freedoom", "ZDoom", "Box2D", "pygame-ce"))
