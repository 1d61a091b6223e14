"""Cores that are ours, with control groups as Linux shows them."""

import os

import pytest

from wmlib.runtime.cores import core_count, processor


@pytest.fixture
def machine(monkeypatch):
    """Sets how many cores affinity leaves."""
    name = "process_cpu_count" if hasattr(os, "process_cpu_count") else "sched_getaffinity"

    def leaves(cores):
        answer = (lambda: cores) if name == "process_cpu_count" else (lambda pid: set(range(cores)))
        monkeypatch.setattr(os, name, answer, raising=False)

    leaves(16)
    return leaves


@pytest.fixture
def count(tmp_path):
    """Counts, with these lines in /proc/self/cgroup and these files below /sys/fs/cgroup."""

    def count(groups, **files):
        (tmp_path / "groups").write_text(groups)
        for name, text in files.items():
            path = tmp_path / "mounted" / name.replace("__", "/").replace("-", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return core_count(tmp_path / "groups", tmp_path / "mounted")

    return count


def test_affinity_counts_and_not_what_the_machine_has(machine, tmp_path):
    machine(3)
    assert core_count(tmp_path / "no", tmp_path / "no") == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),  # a part of a core counts as one
        ("1000 100000\n", 1),
        ("6400000 100000\n", 16),  # more than there are
        ("max 100000\n", 16),
        ("nonsense", 16),
        ("100000 0\n", 16),
    ],
)
def test_a_quota_of_version_2(machine, count, text, expected):
    assert count("0::/\n", **{"cpu-max": text}) == expected


def test_the_smallest_quota_of_all_groups_above_is_the_one(machine, count):
    files = {"a__cpu-max": "300000 100000", "a__b__cpu-max": "max 100000", "cpu-max": "900000 100000"}
    assert count("0::/a/b\n", **files) == 3


def test_a_container_that_sees_a_path_of_its_host(machine, count):
    assert count("0::/system.slice/docker-1234.scope\n", **{"cpu-max": "400000 100000"}) == 4


@pytest.mark.parametrize(("quota", "expected"), [("250000", 3), ("-1", 16)])
def test_a_quota_of_version_1(machine, count, quota, expected):
    files = {"cpu__job__cpu-cfs_quota_us": quota, "cpu__job__cpu-cfs_period_us": "100000\n"}
    groups = "5:memory:/elsewhere\n4:cpu,cpuacct:/job\n0::/\n"
    assert count(groups, **files) == expected


def test_the_processor_has_a_name():
    name = processor()
    assert name and name == name.strip()
