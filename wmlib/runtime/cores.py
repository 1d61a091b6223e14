"""Which cores, and how many are ours: what affinity and a container's quota leave of the machine's."""

import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path


def core_count(groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")) -> int:
    """Cores that this process may use, 1 at least; a part of a core counts as a whole one.

    Args:
        groups: where Linux tells the control groups of this process. mounted: where those show their
            limits; version 2 in cpu.max, version 1 in cpu/cpu.cfs_quota_us.
    """
    if hasattr(os, "process_cpu_count"):  # since Python 3.13
        count = os.process_cpu_count() or 1
    elif hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, min([count, *map(math.ceil, _quotas(groups, mounted))]))


def processor() -> str:
    """The processor's name where the system tells, else its kind."""
    lines = (_text(Path("/proc/cpuinfo")) or "").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _quotas(groups: Path, mounted: Path) -> Iterator[float]:
    """Each limit, in cores, on this process's groups and on those that they lie in."""
    for line in (_text(groups) or "").splitlines():
        _, kinds, path = line.split(":", 2)
        if kinds and "cpu" not in kinds.split(","):
            continue
        top = mounted / "cpu" if kinds else mounted
        group = Path(path.lstrip("/"))
        for folder in (group, *group.parents):
            quota, period = _limit(top / folder, bool(kinds))
            if quota.isdecimal() and period.isdecimal() and int(period):
                yield int(quota) / int(period)


def _limit(folder: Path, first_version: bool) -> tuple[str, str]:
    """Microseconds of work in a period, and the period; what is no number is no limit."""
    if first_version:
        quota, period = (_text(folder / f"cpu.cfs_{name}_us") or "" for name in ("quota", "period"))
        return quota.strip(), period.strip()
    quota, _, period = (_text(folder / "cpu.max") or "").strip().partition(" ")
    return quota, period


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
