"""Files: whole or not at all, and never believed without a look."""

import json
import os
import signal
import stat
import time

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from wmlib.runtime.files import (
    ArtifactError,
    alone,
    as_json,
    ensure_writable,
    expect,
    load_json,
    load_module,
    load_tensors,
    map_array,
    parse_json,
    reading,
    save_json,
    save_tensors,
    sha256,
    signature,
    whole_file,
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_tensors(path, {"weight": torch.arange(6.0).view(2, 3), "bias": torch.ones(2)}, {"note": [1]})
    return path


def test_round_trip_and_same_bytes(path, tmp_path):
    tensors, about = load_tensors(path)
    assert torch.equal(tensors["weight"], torch.arange(6.0).view(2, 3))
    assert about == {"note": [1], "sha256": signature(path)}
    save_tensors(tmp_path / "again.safetensors", tensors, about)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_a_flipped_bit_is_found(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # in a number, which stays finite
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"weights\.safetensors is damaged \(its sha256 differs\)"):
        load_tensors(path)


@pytest.mark.parametrize("keep", [0, 4, 20, -1])
def test_a_truncated_file_is_named(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ArtifactError, match=r"weights\.safetensors is damaged"):
        load_tensors(path)


def test_a_foreign_file_is_named(path):
    np.savez(path.with_suffix(".npz"), x=np.array([{}], dtype=object))
    with pytest.raises(ArtifactError, match="damaged or not ours"):
        load_tensors(path.with_suffix(".npz"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(path, value):
    save_tensors(path, {"weight": torch.tensor([1.0, value])})
    with pytest.raises(ArtifactError, match="weight holds values that are not finite"):
        load_tensors(path)


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(ArtifactError, match=r"gone\.safetensors is missing; first run x"):
        load_tensors(tmp_path / "gone.safetensors", "first run x")


def test_a_module_of_another_shape_is_refused(path):
    load_module(torch.nn.Linear(3, 2), path)
    with pytest.raises(ArtifactError, match=r"weight is \(2, 3\) torch.float32, expected \(2, 4\)"):
        load_module(torch.nn.Linear(4, 2), path)


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


def test_mapping_one_array(path):
    assert map_array(path, "weight", np.float32, "").tolist() == [[0, 1, 2], [3, 4, 5]]
    for name, dtype in (("weight", np.uint8), ("nothing", np.float32)):
        with pytest.raises(ArtifactError, match="damaged or not ours"):
            map_array(path, name, dtype, "")


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, '{"a":' * 200 + "1" + "}" * 200, "9" * 5000, "\0"]
)
def test_broken_json_is_named(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"x\.json is damaged \(.*\); delete it"):
        load_json(tmp_path / "x.json")


def test_json_as_deep_as_ours_is_read():
    for depth in (1, 40):
        text = "[" * depth + "]" * depth
        assert as_json(parse_json(text)) == text


def test_a_monstrous_file_is_not_read(tmp_path):
    with open(tmp_path / "x.json", "wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    began = time.monotonic()
    with pytest.raises(ArtifactError, match=r"x\.json .* 1048576 MiB, more than belong there\); delete"):
        load_json(tmp_path / "x.json")
    assert time.monotonic() - began < 1
    with reading(tmp_path / "x.json", "", 2**40) as file:
        assert file.read(2) == b"\0\0"


def test_json_that_others_read_holds_null_where_nothing_is_defined(tmp_path):
    content = {"sd": float("nan"), "rows": [(1.5, -np.inf), {"high": np.float64("inf")}], "n": 2}
    save_json(tmp_path / "x.json", content)

    def fail(name):
        pytest.fail(f"{name} is no JSON")

    found = json.loads((tmp_path / "x.json").read_text(), parse_constant=fail)
    assert found == {"sd": None, "rows": [[1.5, None], {"high": None}], "n": 2}
    assert as_json(content) == json.dumps(found)


def test_tensors_without_our_digest_are_refused(path):
    tensors, _ = load_tensors(path)
    for metadata in (None, {"about": "{}"}, {"about": '{"note": [1]}'}):
        save_file(tensors, path, metadata)
        with pytest.raises(ArtifactError, match=r"is not ours \(it has no sha256\); delete it"):
            load_tensors(path)
    save_file(tensors, path, {"about": "[" * 100_000})
    with pytest.raises(ArtifactError, match=r"damaged or not ours .*nested too deep"):
        load_tensors(path)


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


def test_what_is_missing_foreign_or_of_another_type_is_named():
    tensors = {"z": torch.zeros(3, 2), "lengths": torch.tensor([1, 2])}
    expect("x", tensors, {"z": (None, 2), "lengths": (2,)}, "", whole=["lengths"])
    for shapes, whole, message in (
        ({"z": (None, 2)}, (), "lengths does not belong here"),
        ({"z": (None, 2), "lengths": (2,), "a": (1,)}, ["lengths"], "a is missing"),
        ({"z": (3, 2), "lengths": (2,)}, (), r"lengths is \(2,\) torch.int64, expected \(2\) floating"),
        ({"z": (None, 3), "lengths": (2,)}, ["lengths"], r"z is \(3, 2\) .* expected \(any, 3\)"),
        ({"z": (None, 2), "lengths": (2,)}, ["lengths", "z"], r"z is .* expected \(any, 2\) integers"),
    ):
        with pytest.raises(ArtifactError, match=message):
            expect("x", tensors, shapes, "", whole)
