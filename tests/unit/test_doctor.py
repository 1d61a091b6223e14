"""The doctor names what is wrong and what mends it."""

import shutil

from wmlib import doctor
from wmlib.artifacts import save_json, sha256


def test_a_python_that_is_too_old_or_too_new_is_broken():
    assert doctor._python((3, 10, 2)).broken and "PYTHON=" in doctor._python((3, 14, 0)).remedy
    assert not doctor._python((3, 12, 1)).broken


def test_two_pygames_are_broken(monkeypatch):
    monkeypatch.setattr(doctor, "_installed", lambda name: "2.5")
    assert doctor._pygame().broken and "pip uninstall" in str(doctor._pygame())
    monkeypatch.setattr(doctor, "_installed", lambda name: "2.5" if name == "pygame-ce" else None)
    assert not doctor._pygame().broken


def test_missing_and_other_releases(monkeypatch):
    versions = {"torch": None, "numpy": "0.1"}
    monkeypatch.setattr(doctor, "_installed", lambda name: versions.get(name, "1"))
    found = {f.what: f for f in doctor._packages()}
    missing = found["torch is not installed"]
    assert missing.broken and missing.remedy == "make clean setup"
    other = next(f for what, f in found.items() if what.startswith("numpy 0.1, pinned is"))
    assert other.remedy and not other.broken


def test_little_disk_is_warned_of(tmp_path):
    assert "make room" in doctor._disk(tmp_path, free_bytes=2**30).remedy
    assert not doctor._disk(tmp_path, free_bytes=2**40).remedy


def test_a_folder_that_cannot_be_written(tmp_path):
    assert doctor._writable(tmp_path / "nowhere").broken
    assert not doctor._writable(tmp_path).broken


def test_damaged_weights_are_found(monkeypatch, tmp_path):
    folder = tmp_path / "data" / "reference" / "carracing"
    folder.mkdir(parents=True)
    (folder / "controller.safetensors").write_bytes(b"nonsense")
    monkeypatch.setattr(doctor, "_ROOT", tmp_path)
    (finding,) = doctor._weights()
    assert (
        finding.broken and "controller.safetensors" in finding.what and "git checkout" in finding.remedy
    )


def test_weights_that_are_not_those_shipped_are_found(monkeypatch, tmp_path, smoke_run):
    folder = tmp_path / "data" / "reference" / "carracing"
    shutil.copytree(smoke_run, folder, ignore=shutil.ignore_patterns("episodes", "checkpoints"))
    digests = {"vae.safetensors": sha256(folder / "vae.safetensors")}
    monkeypatch.setattr(doctor, "_ROOT", tmp_path)
    save_json(folder / "manifest.json", {"sha256": digests})
    (finding,) = doctor._weights()
    assert not finding.remedy
    save_json(folder / "manifest.json", {"sha256": digests | {"score.json": "0" * 64}})
    (finding,) = doctor._weights()
    assert finding.broken and "score.json is not what was shipped" in finding.what
