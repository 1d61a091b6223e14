"""What is wrong with this machine, and the command that mends it; and how long things take on it."""

from __future__ import annotations  # a Python that is too old is told so, too

import argparse
import csv
import importlib.metadata
import platform
import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

from wmlib.runtime.place import AGENTS, CHECKOUT, REFERENCE, SAMPLE, bring_back, installed_from

_LEAST_FREE_GIB = 6.0  # 200,000 frames are 2.4 GiB; weights, checkpoints and room to breathe


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `remedy` is empty where nothing is wrong."""

    what: str
    remedy: str = ""
    broken: bool = False

    def __str__(self) -> str:
        mark = "FAIL" if self.broken else "warn" if self.remedy else "  ok"
        return f"{mark}  {self.what}" + (f"\n      mend: {self.remedy}" if self.remedy else "")


def main(argv: list[str]) -> int:
    """python -m wmlib doctor. Returns 1 if something is broken, else 0. Where nothing is, it ends with
    about how long things take here.

    Only the standard library is needed until all packages are found.
    """
    text = "Say what is wrong with this machine, what mends it, and about how long things take on it."
    parser = argparse.ArgumentParser("python -m wmlib doctor", description=text)
    parser.add_argument("--task", help="a game to try besides: its name, or the file of one of yours")
    task = parser.parse_args(argv).task
    findings = findings_in()
    if task and not any(finding.broken for finding in findings):
        findings += task_findings(task)
    for finding in findings:
        print(finding, flush=True)
    if any(finding.broken for finding in findings):
        return 1
    from wmlib.envs.errors import GameError

    try:
        print("\n" + "\n".join(foretold_lines()))
    except (GameError, ImportError, OSError) as error:
        print(Finding(f"a game can't be played here ({error})", mend(*requirements()), True))
        return 1
    return 0


def foretold_lines() -> list[str]:
    """About how long each profile and each notebook takes on this machine, by what is measured now."""
    from wmlib.measure.pace import foretell
    from wmlib.runtime.cores import core_count

    found, cores = foretell(), _count(core_count(), "core")
    lines = [f"About how long it takes on {cores}, by what was measured just now, for some seconds:"]
    for (game, profile), stages in found.profiles.items():
        lines.append(f"  {f'{game}, profile {profile}':<32}{about(sum(stages.values())):>12}")
    for number, seconds in found.notebooks.items():
        lines.append(f"  {f'notebook {number}':<32}{about(seconds):>12}")
    return lines


def about(seconds: float) -> str:
    """A time in round words: two figures, for it is no more than a guess."""
    unit, size = "seconds", 1
    for name, longer in (("minutes", 60), ("hours", 3600), ("days", 86400)):
        if seconds >= 2 * longer:
            unit, size = name, longer
    return f"{float(f'{seconds / size:.2g}'):g} {unit}"


def findings_in(folder: Path | None = None) -> list[Finding]:
    """Look at Python, packages, disk, cores and the shipped weights.

    Args:
        folder: where runs are going to be written; by default the current folder.
    """
    folder = Path(folder or Path.cwd())
    findings = [python_finding()]
    if not findings[0].broken:
        findings += [*package_findings(), pygame_finding(), environment_finding()]
    findings += [disk_finding(folder), writable_finding(folder)]
    if not any(finding.broken for finding in findings):
        findings += loaded_findings()
    return findings


def python_finding(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Whether the package runs under this Python."""
    name = ".".join(map(str, version))
    if (3, 11) <= version[:2] <= (3, 13):
        return Finding(f"Python {name} on {platform.system()} {platform.machine()}")
    remedy = "install Python 3.11, 3.12 or 3.13, then: make clean setup PYTHON=python3.12"
    return Finding(f"Python {name} is outside 3.11 to 3.13", remedy, True)


def mend(*requirements: str) -> str:
    """The command that installs these; in a checkout all that is needed, in the pinned releases."""
    if not CHECKOUT:
        return shlex.join([sys.executable, "-m", "pip", "install", "--force-reinstall", *requirements])
    there = [] if Path.cwd() == CHECKOUT else ["-C", str(CHECKOUT)]
    return shlex.join(["make", *there, "clean", "setup"])


def _release(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def pinned_versions(path: Path | None = None) -> dict[str, str]:
    """The releases in a file of constraints, by lower-case name.

    Args:
        path: by default the checkout's constraints.txt. Without a checkout nothing is pinned.
    """
    path = path or (CHECKOUT and CHECKOUT / "constraints.txt")
    if not path or not path.exists():
        return {}
    rows = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    return {k.lower(): v for k, _, v in (row.partition("==") for row in rows if "==" in row)}


def requirements() -> list[str]:
    """What the package needs, in the words of its own metadata; in a checkout, of pyproject.toml."""
    if not CHECKOUT:
        own = importlib.metadata.requires("wmlib") if _release("wmlib") else None
        return [line for line in own or [] if "extra ==" not in line]
    import tomllib

    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["dependencies"]


def with_extras(lines: Iterable[str]) -> list[str]:
    """The same, and what their extras bring: gymnasium[box2d] brings Box2D and pygame-ce."""
    found = []
    for line in lines:
        found.append(line)
        name, extras = re.match(r"([\w.-]+)(?:\[(.*?)\])?", line).groups()
        for extra in re.findall(r"[\w.-]+", extras or ""):
            brought = importlib.metadata.requires(name) or [] if _release(name) else []
            found += [each.split(";")[0] for each in brought if _belongs(each, extra)]
    return found


def _belongs(line: str, extra: str) -> bool:
    """Whether a requirement belongs to an extra, on this Python. Other conditions are not looked at:
    what reads all of them is one of the packages that may be missing."""
    marker = line.partition(";")[2]
    if not re.search(rf"extra == ['\"]{re.escape(extra)}['\"]", marker):
        return False
    bound = re.search(r"python_version (<|>=) ['\"](\d+)\.(\d+)['\"]", marker)
    return not bound or (bound[1] == ">=") == (sys.version_info[:2] >= (int(bound[2]), int(bound[3])))


def package_findings() -> list[Finding]:
    """Whether each package that is needed is installed, whole, and in its pinned release."""
    findings, pins = [], pinned_versions()
    for line in with_extras(requirements()):
        name = re.match(r"[\w.-]+", line)[0]
        version, pin = _release(name), pins.get(name.lower())
        if version is None:
            findings.append(Finding(f"{name} is not installed", mend(line), True))
        elif lost := lost_files(name):
            findings.append(Finding(f"{name} {version} lacks {lost[0]}", mend(line), True))
        elif pin and version.split("+")[0] != pin:
            remedy = f"{mend(line)} (scores and pictures are tied to the pinned releases)"
            findings.append(Finding(f"{name} {version}, pinned is {pin}", remedy))
        else:
            findings.append(Finding(f"{name} {version}"))
    return findings


def lost_files(name: str) -> list[str]:
    """Modules of an installed package that are not there. Some installers write no list of them."""
    package = importlib.metadata.distribution(name)
    rows = csv.reader((package.read_text("RECORD") or "").splitlines())
    code = [row[0] for row in rows if row and row[0].endswith((".py", ".so", ".pyd"))]
    return [file for file in code if not Path(package.locate_file(file)).exists()]


def pygame_finding() -> Finding:
    """Whether two packages claim the name pygame."""
    if _release("pygame") and _release("pygame-ce"):
        remedy = "pip uninstall -y pygame pygame-ce && pip install pygame-ce -c constraints.txt"
        return Finding("pygame and pygame-ce are both installed and overwrite each other", remedy, True)
    return Finding("one pygame only")


def environment_finding(noted: dict | None = None, prefix: str = sys.prefix) -> Finding:
    """Whether this environment was made for the code that is running.

    An environment knows its folder by name: moved or copied, it goes on running the code of the old one.

    Args:
        noted: what pip noted when it installed wmlib (PEP 610). prefix: the environment's folder.
    """
    noted = installed_from() if noted is None else noted
    if not CHECKOUT or not noted.get("dir_info", {}).get("editable"):
        return Finding(f"wmlib lies in {CHECKOUT or REFERENCE.parents[1]}")
    here, there = CHECKOUT.resolve(), Path(unquote(urlparse(noted["url"]).path)).resolve()
    if here == there:
        return Finding(f"{prefix} was made for this folder")
    moved = Path(prefix).resolve().is_relative_to(here)
    remedy = mend() if moved else f"take the environment of {here}: {mend()}"
    return Finding(f"{prefix} was made for {there}, and this is {here}", remedy, moved)


def disk_finding(folder: Path, free_bytes: int | None = None) -> Finding:
    """Whether the disk has room for a run. free_bytes: by default what the system says."""
    free = (shutil.disk_usage(folder).free if free_bytes is None else free_bytes) / 2**30
    if free < _LEAST_FREE_GIB:
        remedy = f"make room, or choose another disk with --run-dir ({_LEAST_FREE_GIB:.0f} GiB)"
        return Finding(f"{free:.1f} GiB free in {folder}", remedy)
    return Finding(f"{free:.0f} GiB free in {folder}")


def writable_finding(folder: Path) -> Finding:
    """Whether a run can be written there."""
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder):
            return Finding(f"{folder} can be written")
    except OSError as error:
        return Finding(f"{folder} can't be written ({error.strerror})", "choose a --run-dir", True)


def loaded_findings() -> list[Finding]:
    """What it takes the packages to find out: how torch computes, and whether what we ship is whole."""
    try:
        return [torch_finding(), *weights_findings(), sample_finding()]
    except (ImportError, OSError) as error:  # a shared library that is not there is an OSError
        return [Finding(f"a package can't be loaded ({error})", mend(*requirements()), True)]


def torch_finding() -> Finding:
    """What torch computes on."""
    import torch

    from wmlib.runtime.cores import core_count
    from wmlib.runtime.device import best_device, uses_bfloat16

    device = best_device()
    number = "bfloat16" if uses_bfloat16("auto", device) else "float32"
    threads, cores = _count(torch.get_num_threads(), "thread"), _count(core_count(), "core")
    return Finding(f"torch computes on {device} in {number}, with {threads} on {cores}")


def _count(number: int, what: str) -> str:
    return f"one {what}" if number == 1 else f"{number} {what}s"


def weights_findings(reference: Path = REFERENCE) -> list[Finding]:
    """Whether the agents that come with the package are there, as they were shipped.

    Args:
        reference: the folder that holds theirs; by default the package's own.
    """
    from wmlib.agent import load_agent
    from wmlib.runtime.disk import ArtifactError

    findings = []
    for name in sorted({*AGENTS, *(path.name for path in reference.glob("*") if path.is_dir())}):
        try:
            load_agent(reference / name)
            findings.append(Finding(f"the agent shipped for {name} can be read"))
        except ArtifactError as error:
            what, remedy = str(error).split("; ")[0], bring_back(reference / name)
            findings.append(Finding(what, remedy, True))
    return findings


def task_findings(name: str, frames: int = 200) -> list[Finding]:
    """What a game is, as far as it was derived, and how it behaves in the hands of an explorer.

    Args:
        frames: to play, in two games of the same seed.
    """
    from wmlib.envs.errors import GameError
    from wmlib.runtime.fields import ConfigError
    from wmlib.runtime.versions import game_versions
    from wmlib.task import find_task

    try:
        task = find_task(name)
        kind = {"free": "numbers", "choice": "a choice of", "switches": "switches"}[task.kind]
        actions = ", ".join(
            f"{each} {low:g} to {high:g}" if task.kind == "free" else each
            for each, (low, high) in task.actions.items()
        )
        keys = ", ".join(f"{key}: {does}" for key, does in task.keys.items()) or "none"
        releases = ", ".join(f"{k} {v}" for k, v in game_versions(*task.packages).items())
        return [
            Finding(f"{task.name}: an action is {kind}: {actions}; keys: {keys}"),
            Finding(f"{task.name}: cut after {task.horizon} frames; played with {releases}"),
            *_played_findings(task, frames),
        ]
    except (ConfigError, GameError) as error:
        return [Finding(str(error), f"see what {name} does there", True)]


def _played_findings(task, frames: int) -> list[Finding]:
    import time

    import numpy as np

    from wmlib.worlds.real import FrameWorld

    explorer = next(iter(task.explorers.values()))(task, 2)
    both, paid, changed, same = np.ones(2, bool), [], False, True
    with FrameWorld(task.game(), 2, 2, task.horizon) as world:
        first, _ = world.reset(seed=[1, 1])
        explorer.restart(both, [1, 1], first)
        began, seen = time.monotonic(), first
        for _ in range(frames):
            seen, rewards, ended, cut, _ = world.step(explorer.act(both, seen))
            paid.append(rewards[0])
            same &= bool((seen[0] == seen[1]).all() and rewards[0] == rewards[1])
            changed |= bool((seen != first).any())
            if (ended | cut).any():
                break
        speed = 2 * len(paid) / (time.monotonic() - began)
    over = "which ended" if ended.any() else "which was cut" if cut.any() else "still going on"
    said = f"{task.name}: {len(paid)} frames of a game, {over}, earned {sum(paid):g}"
    found = [Finding(f"{said} ({speed:.0f} frames a second)")]
    if not same:
        remedy = (
            "draw all its chance from what reset(seed=...) seeds, such as Gymnasium's self.np_random"
        )
        found.append(Finding(f"{task.name}: two games of one seed differ", remedy, True))
    if not changed:
        remedy = "see what its picture shows: V learns from nothing else"
        found.append(Finding(f"{task.name}: its picture never changed", remedy))
    if not any(paid):
        remedy = "let it pay for something on the way, or record longer games; else C has no clue"
        found.append(Finding(f"{task.name}: an explorer earned nothing", remedy))
    return found


def sample_finding(sample: Path = SAMPLE) -> Finding:
    """Whether the episodes that come with the package are there, as they were recorded."""
    from wmlib.data.episodes import EpisodeStore
    from wmlib.runtime.disk import ArtifactError

    try:
        EpisodeStore(sample).verify()
    except ArtifactError as error:
        return Finding(str(error).split("; ")[0], bring_back(sample), True)
    return Finding("the sample episodes can be read")
