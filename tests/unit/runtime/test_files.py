"""What our files hold is never believed without a look."""

import json
import time

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from wmlib.runtime.disk import ArtifactError, reading
from wmlib.runtime.files import (
    as_json,
    expect,
    load_json,
    load_module,
    load_tensors,
    map_array,
    parse_json,
    save_json,
    save_tensors,
    signature,
)


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
