"""Every file that is read, in every damaged form: a clear error, or no harm. Nothing in between."""

import shutil

import pytest
from damage import Bench, Readers, ShippedReaders, kinds_for

from wmlib.runtime.files import REFERENCE

SHIPPED = REFERENCE.parent


@pytest.fixture(scope="session")
def run_bench(undisturbed, tmp_path_factory):
    scratch = tmp_path_factory.mktemp("damaged")
    shutil.copytree(undisturbed, scratch / "run")
    return Bench(Readers(scratch / "run"), scratch)


@pytest.fixture(scope="session")
def shipped_bench(tmp_path_factory):
    scratch = tmp_path_factory.mktemp("shipped")
    shutil.copytree(SHIPPED / "reference" / "carracing", scratch / "data" / "reference")
    shutil.copytree(SHIPPED / "sample", scratch / "data" / "sample")
    return Bench(ShippedReaders(scratch / "data"), scratch)


def try_every_damage(bench):
    ends = []
    for name in bench.readers.of:
        for kind in kinds_for(name):
            end = bench.try_out(name, kind, seed=0)
            ends.append((name, kind, end))
    return ends


def test_a_runs_files(run_bench):
    folder = run_bench.readers.folder
    unread = {"config.json", ".lock", "rounds/mdnrnn.safetensors"}
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files - unread == set(run_bench.readers.of)
    ends = try_every_damage(run_bench)
    for name, kind, end in ends:
        if kind in (
            "foreign", "object array", "pickled", "wrong shape", "wrong type", "not finite", "unsigned",
            "of another making",
        ):  # fmt: skip
            # What a user may take away; those under stages/ are read.
            plain = name in ("vae.safetensors", "mdnrnn.safetensors", "dream_starts.safetensors")
            journal = name == "events.jsonl"
            assert end == "refused" or plain or journal, f"{name}, {kind}: {end}"


def test_what_is_shipped(shipped_bench):
    for name, kind, end in try_every_damage(shipped_bench):
        assert end == "refused" or name.endswith("manifest.json"), f"{name}, {kind}: {end}"
    for kind in (
        "truncated",
        "pickled",
        "not ours",
        "pointing out",
        "named pipe",
        "nested",
        "monstrous",
    ):
        for manifest in ("reference/manifest.json", "sample/manifest.json"):
            assert shipped_bench.try_out(manifest, kind, seed=1) == "refused"
