"""Files: whole or not at all, and never believed without a look."""

import numpy as np
import pytest
import torch

from wmlib.runtime.files import (
    ArtifactError,
    alone,
    expect,
    load_json,
    load_module,
    load_tensors,
    map_array,
    save_tensors,
    whole_file,
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_tensors(path, {"weight": torch.arange(6.0).view(2, 3), "bias": torch.ones(2)}, {"note": [1]})
    return path


def test_round_trip_and_same_bytes(path, tmp_path):
    tensors, about = load_tensors(path)
    assert torch.equal(tensors["weight"], torch.arange(6.0).view(2, 3)) and about == {"note": [1]}
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
    with pytest.raises(ArtifactError, match=r"can't be written.*--run-dir"):
        save_tensors(tmp_path / "file" / "weights.safetensors", {"x": torch.ones(1)})


def test_mapping_one_array(path):
    assert map_array(path, "weight", np.float32, "").tolist() == [[0, 1, 2], [3, 4, 5]]
    for name, dtype in (("weight", np.uint8), ("nothing", np.float32)):
        with pytest.raises(ArtifactError, match="damaged or not ours"):
            map_array(path, name, dtype, "")


def test_broken_json_is_named(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"x\.json is damaged"):
        load_json(tmp_path / "x.json")


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
