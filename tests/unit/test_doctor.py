"""The doctor names what is wrong and what mends it."""

import importlib.metadata
import shutil

import pytest

from wmlib import doctor
from wmlib.runtime.files import save_json, sha256


@pytest.fixture
def installed(monkeypatch):
    """Says which release of a package is installed; None for none."""

    def say(release_of):
        def version(name):
            if release_of(name) is None:
                raise importlib.metadata.PackageNotFoundError(name)
            return release_of(name)

        monkeypatch.setattr(importlib.metadata, "version", version)

    return say


def test_a_python_that_is_too_old_or_too_new_is_broken():
    assert doctor.python_finding((3, 10, 2)).broken
    assert "PYTHON=" in doctor.python_finding((3, 14, 0)).remedy
    assert not doctor.python_finding((3, 12, 1)).broken


def test_two_pygames_are_broken(installed):
    installed(lambda name: "2.5")
    assert doctor.pygame_finding().broken and "pip uninstall" in str(doctor.pygame_finding())
    installed(lambda name: "2.5" if name == "pygame-ce" else None)
    assert not doctor.pygame_finding().broken


def test_missing_and_other_releases(installed):
    versions = {"torch": None, "numpy": "0.1"}
    installed(lambda name: versions.get(name, "1"))
    found = {f.what: f for f in doctor.package_findings()}
    missing = found["torch is not installed"]
    assert missing.broken and missing.remedy == "make clean setup"
    other = next(f for what, f in found.items() if what.startswith("numpy 0.1, pinned is"))
    assert other.remedy and not other.broken


def test_little_disk_is_warned_of(tmp_path):
    assert "make room" in doctor.disk_finding(tmp_path, free_bytes=2**30).remedy
    assert not doctor.disk_finding(tmp_path, free_bytes=2**40).remedy


def test_a_folder_that_cannot_be_written(tmp_path):
    assert doctor.writable_finding(tmp_path / "nowhere").broken
    assert not doctor.writable_finding(tmp_path).broken


def test_damaged_weights_are_found(tmp_path):
    folder = tmp_path / "carracing"
    folder.mkdir()
    (folder / "controller.safetensors").write_bytes(b"nonsense")
    (finding,) = doctor.weights_findings(tmp_path)
    assert (
        finding.broken and "controller.safetensors" in finding.what and "git checkout" in finding.remedy
    )


def test_weights_that_are_not_there_at_all_are_found(tmp_path):
    (finding,) = doctor.weights_findings(tmp_path / "nowhere")
    assert finding.broken and "git checkout" in finding.remedy


def test_weights_that_are_not_those_shipped_are_found(tmp_path, smoke_run):
    folder = tmp_path / "carracing"
    shutil.copytree(smoke_run, folder, ignore=shutil.ignore_patterns("episodes", "checkpoints"))
    digests = {"vae.safetensors": sha256(folder / "vae.safetensors")}
    save_json(folder / "manifest.json", {"sha256": digests})
    (finding,) = doctor.weights_findings(tmp_path)
    assert not finding.remedy
    save_json(folder / "manifest.json", {"sha256": digests | {"score.json": "0" * 64}})
    (finding,) = doctor.weights_findings(tmp_path)
    assert finding.broken and "score.json is not what was shipped" in finding.what
