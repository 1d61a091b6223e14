"""A job: what it keeps comes back under the same digest alone; its chance follows from its name."""

import numpy as np
import pytest
import torch

from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.job import Job
from wmlib.runtime.seeds import seed_of

NUMBERS = {"x": torch.arange(3.0)}


@pytest.fixture
def job(tmp_path):
    return Job("vae", 5, path=tmp_path / "vae.safetensors", digest="a")


def test_its_chance_follows_from_seed_name_and_key(job):
    expected = seed_of(5, "vae", "frames", 3)
    assert job.seed_of("frames", 3) == expected != Job("mdnrnn", 5).seed_of("frames", 3)
    by_hand = np.random.default_rng(expected)
    np.testing.assert_array_equal(job.rng("frames", 3).random(4), by_hand.random(4))
    by_hand = torch.Generator().manual_seed(expected)
    drawn = torch.rand(4, generator=job.generator("frames", 3))
    assert torch.equal(drawn, torch.rand(4, generator=by_hand))


def test_what_it_keeps_comes_back_under_the_same_digest_alone(job, tmp_path):
    assert job.load("") is None
    job.save(NUMBERS, step=7)
    tensors, about = Job("vae", 6, path=job.path, digest="a").load("")
    assert (
        torch.equal(tensors["x"], NUMBERS["x"]) and about.items() >= {"step": 7, "digest": "a"}.items()
    )
    assert Job("vae", 5, path=job.path, digest="b").load("") is None


def test_its_own_word_on_the_digest_is_the_last(job):
    job.save(NUMBERS, digest="of somebody else")
    assert job.load("")[1]["digest"] == "a"


def test_without_a_path_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for job in (
        Job("vae"),
        Job("vae").part("x", keep="x.safetensors"),
        Job("vae", path=tmp_path).part(),
    ):
        job.save(NUMBERS)
        assert job.load("") is None
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_named_with_the_remedy(job):
    job.path.write_bytes(b"half a fi")
    with pytest.raises(ArtifactError, match=r"vae\.safetensors is damaged.*; delete it and go on"):
        job.load("delete it and go on")


def test_parts_keep_separate_files_and_have_chance_of_their_own(tmp_path):
    whole = Job("rounds", 1, path=tmp_path / "rounds", digest="a")
    first, second = (whole.part(n, keep=f"{n}.safetensors") for n in (1, 2))
    first.save({"x": torch.ones(1)})
    second.save({"x": torch.zeros(1)})
    assert first.load("")[0]["x"] == 1 and second.load("")[0]["x"] == 0
    names = sorted(path.name for path in (tmp_path / "rounds").iterdir())
    assert names == ["1.safetensors", "2.safetensors"]
    assert first.name == "rounds" and first.log is whole.log
    assert first.seed == seed_of(1, "rounds", 1) != second.seed
    assert first.seed_of("x") == seed_of(first.seed, "rounds", "x")
    assert whole.part(keep="x").seed == whole.seed


def test_what_a_part_depends_on_beyond_the_whole_is_in_its_digest(tmp_path):
    whole = Job("iterate", path=tmp_path, digest="a")
    part = whole.part(keep="x.safetensors", of="learned from b")
    part.save(NUMBERS)
    assert whole.part(keep="x.safetensors", of="learned from b").load("") is not None
    assert whole.part(keep="x.safetensors", of="learned from c").load("") is None
    assert whole.part(keep="x.safetensors").load("") is None
    other = Job("iterate", path=tmp_path, digest="b")
    assert other.part(keep="x.safetensors", of="learned from b").load("") is None
