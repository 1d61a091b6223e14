"""pyproject.toml, constraints.txt and environment.yml tell one story."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import yaml
from packaging.requirements import Requirement

from wmlib import __version__
from wmlib.doctor import pinned_versions

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


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
    assert PROJECT["version"] == __version__


def test_every_dependency_is_explained():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for requirement in requirements():
        assert f"`{requirement.name}`" in text, f"CONTRIBUTING.md does not say why {requirement.name}"
