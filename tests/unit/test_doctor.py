"""The doctor names what is wrong and what mends it."""

import importlib.metadata
import shutil
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from wmlib import doctor
from wmlib.runtime.files import REFERENCE, save_json, sha256

ROOT = Path(__file__).parents[2]
NEEDED = [Requirement(line).name for line in doctor.with_extras(doctor.requirements())]


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


@pytest.mark.parametrize("name", NEEDED)
def test_each_package_that_is_missing_is_found(installed, monkeypatch, name):
    release = importlib.metadata.version
    monkeypatch.setattr(doctor, "lost_files", lambda name: [])  # it takes half a second
    installed(lambda asked: None if asked == name else release(asked))
    broken = [finding.what for finding in doctor.findings_in() if finding.broken]
    assert broken == [f"{name} is not installed"]


def test_what_is_needed_is_what_the_package_says(monkeypatch):
    assert {"filelock", "anywidget", "ipykernel", "pygame-ce"} <= set(NEEDED) and "pytest" not in NEEDED
    assert "box2d" in map(str.lower, NEEDED) and "box2d-py" not in NEEDED and "swig" not in NEEDED
    monkeypatch.setattr(doctor, "CHECKOUT", None)  # installed from a wheel: no pyproject.toml to ask
    assert [Requirement(line).name for line in doctor.with_extras(doctor.requirements())] == NEEDED


def test_outside_of_a_checkout_pip_is_told_what_to_install(installed, monkeypatch):
    monkeypatch.setattr(doctor, "CHECKOUT", None)
    monkeypatch.setattr(doctor, "requirements", lambda: ["ipykernel<7"])
    installed(lambda name: None)
    (finding,) = doctor.package_findings()
    assert finding.broken and finding.remedy.endswith("-m pip install --force-reinstall 'ipykernel<7'")


def test_a_package_whose_modules_are_gone_is_found(monkeypatch, tmp_path):
    about = tmp_path / "halved-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: halved\nVersion: 1.0\n")
    (about / "RECORD").write_text("halved/there.py,,\nhalved/gone.py,,\nhalved/gone.pyc,,\n")
    (tmp_path / "halved").mkdir()
    (tmp_path / "halved/there.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(doctor, "requirements", lambda: ["halved"])
    (finding,) = doctor.package_findings()
    assert finding.broken and finding.what == "halved 1.0 lacks halved/gone.py"


@pytest.mark.parametrize("error", [ImportError("no libgomp"), OSError("no libgomp")])
def test_a_package_that_cannot_be_loaded_is_told_without_a_traceback(monkeypatch, error):
    def torch_finding():
        raise error

    monkeypatch.setattr(doctor, "torch_finding", torch_finding)
    (finding,) = doctor.loaded_findings()
    assert finding.broken and "no libgomp" in finding.what and "make" in finding.remedy


def test_an_environment_of_another_folder_is_found():
    made_for = {"dir_info": {"editable": True}}
    ours = made_for | {"url": ROOT.as_uri()}
    assert not doctor.environment_finding(ours, str(ROOT / ".venv")).remedy
    other = made_for | {"url": "file:///once/here%20"}
    moved = doctor.environment_finding(other, str(ROOT / ".venv"))
    assert moved.broken and "made for /once/here , and this is" in moved.what
    assert moved.remedy.endswith("clean setup")
    elsewhere = doctor.environment_finding(other, "/once/here /.venv")
    assert not elsewhere.broken and elsewhere.remedy.endswith("clean setup")


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


def test_a_game_that_cannot_be_played_is_told_without_a_traceback(monkeypatch, capsys):
    def foretold_lines():
        raise OSError("no libSDL")

    monkeypatch.setattr(doctor, "findings_in", lambda: [])
    monkeypatch.setattr(doctor, "foretold_lines", foretold_lines)
    assert doctor.main([]) == 1
    assert "FAIL  a game can't be played here (no libSDL)\n      mend: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(7.34, "7.3 seconds"), (119, "120 seconds"), (130, "2.2 minutes"), (1570, "26 minutes"),
     (7300, "2 hours"), (86400 * 123, "120 days")],
)  # fmt: skip
def test_times_are_told_in_round_words(seconds, said):
    assert doctor.about(seconds) == said


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
    car, doom = doctor.weights_findings(tmp_path)
    assert car.broken and "controller.safetensors" in car.what and "checkout --" in car.remedy
    assert doom.broken and str(tmp_path / "takecover") in doom.what  # it is not there at all


def test_a_damaged_agent_of_doom_is_found(tmp_path):
    (tmp_path / "carracing").symlink_to(REFERENCE / "carracing", target_is_directory=True)
    shutil.copytree(
        REFERENCE / "takecover", tmp_path / "takecover", ignore=shutil.ignore_patterns("*.gif")
    )
    path = tmp_path / "takecover/mdnrnn.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    car, doom = doctor.weights_findings(tmp_path)
    assert not car.broken
    assert doom.broken and "mdnrnn.safetensors is not what was shipped" in doom.what


def test_sample_episodes_that_are_not_there_are_found(tmp_path):
    finding = doctor.sample_finding(tmp_path / "nowhere")
    assert finding.broken and "holds no episodes" in finding.what and "checkout --" in finding.remedy


def test_weights_that_are_not_those_shipped_are_found(tmp_path, smoke_run):
    folder = tmp_path / "carracing"
    shutil.copytree(smoke_run, folder, ignore=shutil.ignore_patterns("episodes", "checkpoints"))
    digests = {"vae.safetensors": sha256(folder / "vae.safetensors")}
    save_json(folder / "manifest.json", {"sha256": digests})
    assert not doctor.weights_findings(tmp_path)[0].remedy
    save_json(folder / "manifest.json", {"sha256": digests | {"score.json": "0" * 64}})
    finding = doctor.weights_findings(tmp_path)[0]
    assert finding.broken and "score.json is not what was shipped" in finding.what
