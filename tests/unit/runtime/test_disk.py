"""The disk: files whole or not at all, whatever the system refuses."""

import os
import signal
import stat
import time

import numpy as np
import pytest
import torch

from wmlib.runtime.disk import ArtifactError, alone, ensure_writable, whole_file
from wmlib.runtime.files import (
    load_json,
    load_tensors,
    map_array,
    save_json,
    save_tensors,
    sha256,
)


def test_a_failed_write_leaves_the_old_file_and_no_litter(path):
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="midway"), whole_file(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError("midway")
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError, match=r"can't be written \(Not a directory\); choose another"):
        save_tensors(tmp_path / "file" / "weights.safetensors", {"x": torch.ones(1)})


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0])
def test_a_file_has_the_mode_that_the_umask_leaves(tmp_path, umask, monkeypatch):
    monkeypatch.setattr(os, "chmod", refuse(PermissionError(1, "some file systems know no modes")))
    before = os.umask(umask)
    try:
        save_json(tmp_path / "x.json", [])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.json").stat().st_mode) == 0o666 & ~umask


def refuse(error):
    def refused(*_, **__):
        raise error

    return refused


def test_a_link_stays_and_what_it_points_to_is_written(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "runs").symlink_to("disk")
    for name in ("old", "new"):  # the second points to what is not there yet
        (tmp_path / f"{name}.json").symlink_to(f"disk/{name}.json")
    save_json(tmp_path / "disk" / "old.json", 1)
    for name in ("old.json", "new.json", "runs/through.json"):
        save_json(tmp_path / name, 2)
        assert load_json(tmp_path / name) == 2
    assert (tmp_path / "old.json").is_symlink() and (tmp_path / "new.json").is_symlink()
    assert sorted(os.listdir(tmp_path / "disk")) == ["new.json", "old.json", "through.json"]


def test_where_a_rename_is_refused_the_file_is_copied(path, monkeypatch):
    monkeypatch.setattr(os, "replace", refuse(OSError(18, "Invalid cross-device link")))
    save_tensors(path, {"weight": torch.zeros(2)})
    assert load_tensors(path)[0]["weight"].tolist() == [0, 0]
    assert os.listdir(path.parent) == [path.name]


def test_a_full_disk_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", refuse(OSError(28, "No space left on device")))
    with pytest.raises(ArtifactError, match=r"can't be written \(No space left on device\); make room"):
        save_tensors(path, {"weight": torch.zeros(2)})
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


def special(path, kind):
    """Something that is no file, in a file's place. Returns what it is called."""
    path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    return {"folder": "a folder", "pipe": "a named pipe", "zeros": "a device"}[kind]


KINDS = pytest.mark.parametrize("kind", ["folder", "pipe", "zeros"])


@KINDS
def test_what_is_no_file_is_neither_read_nor_replaced(path, kind):
    what = special(path, kind)
    found = path.lstat()
    for read in (load_tensors, load_json, sha256):
        with pytest.raises(ArtifactError, match=rf"weights\.safetensors is {what}, not a file; delete"):
            read(path)
    with pytest.raises(ArtifactError, match=rf"is {what}, not a file; x"):
        map_array(path, "weight", np.float32, "x")
    with pytest.raises(ArtifactError, match=rf"is {what}, not a file; move it away"):
        save_tensors(path, {"weight": torch.ones(1)})
    with pytest.raises(ArtifactError, match=rf"is {what}, not a file; choose another --out"):
        ensure_writable(path, "--out")
    assert os.path.samestat(path.lstat(), found) and os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("name", ["x.gif", "new/folder/x.gif"])
def test_trying_whether_a_file_can_be_written_leaves_nothing(tmp_path, name):
    ensure_writable(tmp_path / name, "--out")
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").write_text("in the way")
    for where, message in (
        (tmp_path / "file" / name, r"can't be written \(Not a directory\); choose another --out"),
        (tmp_path / "new" / ("x" * 300) / name, r"\(File name too long\); choose a shorter name"),
    ):
        with pytest.raises(ArtifactError, match=message):
            ensure_writable(where, "--out")
    assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "in the way"


def test_what_is_not_allowed_or_not_possible_now_is_not_called_damaged(path, monkeypatch):
    for number, remedy in (
        (13, f"chmod u[+]rX {path.parent} {path}$"),  # Permission denied
        (24, r"ulimit -n"),  # Too many open files
        (12, "free some memory"),  # Cannot allocate memory
        (5, "delete it and make it again$"),  # Input/output error
    ):
        monkeypatch.setattr("builtins.open", refuse(OSError(number, os.strerror(number))))
        for read in (load_tensors, load_json, sha256):
            with pytest.raises(
                ArtifactError, match=rf"can't be read \({os.strerror(number)}\); .*{remedy}"
            ):
                read(path)


def start_writing(path):
    """A process that has written half of a file. Returns its number."""
    ready, tell = os.pipe()
    if pid := os.fork():
        os.read(ready, 1)
        return pid
    with whole_file(path) as temporary:
        temporary.write_text("half")
        os.write(tell, b"!")
        time.sleep(60)
    os._exit(1)


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_what_a_kill_left_is_swept_but_never_what_is_being_written(tmp_path):
    path = tmp_path / "stages" / "x.json"

    def litter():
        return len([name for name in os.listdir(path.parent) if name.endswith(".part")])

    path.parent.mkdir()
    (path.parent / ".profile").write_text("not ours")
    dead, living = start_writing(path), start_writing(path)
    try:
        kill(dead)
        assert litter() == 2
        save_json(path, 1)  # the same file is written next
        assert litter() == 1
        with alone(tmp_path):
            assert litter() == 1
    finally:
        kill(living)
    with alone(tmp_path):  # or the folder's lock is taken
        assert sorted(os.listdir(path.parent)) == [".profile", "x.json"]
    assert load_json(path) == 1


def test_a_folder_belongs_to_one_run_at_a_time(tmp_path):
    folder = tmp_path / "run"
    with (
        alone(folder),
        pytest.raises(ArtifactError, match=r"another run is at work in .*run; .* another --out"),
        alone(folder, "--out"),
    ):
        pytest.fail("two were in")
    with alone(folder):
        pass  # free again
