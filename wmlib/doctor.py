"""What is wrong with this machine, and the command that mends it."""

import argparse
import importlib.metadata
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_LEAST_FREE_GIB = 6.0  # 200,000 frames are 2.4 GiB; weights, checkpoints and room to breathe
_INSTALL = "make clean setup"


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
    """python -m wmlib doctor. Returns 1 if something is broken, else 0.

    Only the standard library is needed until all packages are found.
    """
    text = "Say what is wrong with this machine, and the command that mends it."
    argparse.ArgumentParser("python -m wmlib doctor", description=text).parse_args(argv)
    findings = findings_in()
    for finding in findings:
        print(finding)
    return 1 if any(finding.broken for finding in findings) else 0


def findings_in(folder: Path | None = None) -> list[Finding]:
    """Look at Python, packages, disk, cores and the shipped weights.

    Args:
        folder: where runs are going to be written; by default the current folder.
    """
    folder = Path(folder or Path.cwd())
    findings = [
        python_finding(),
        *package_findings(),
        pygame_finding(),
        disk_finding(folder),
        writable_finding(folder),
    ]
    if not any(finding.broken for finding in findings):
        findings += [torch_finding(), *weights_findings()]
    return findings


def python_finding(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Whether the package runs under this Python."""
    name = ".".join(map(str, version))
    if (3, 11) <= version[:2] <= (3, 13):
        return Finding(f"Python {name} on {platform.system()} {platform.machine()}")
    remedy = "install Python 3.11, 3.12 or 3.13, then: make setup PYTHON=python3.12"
    return Finding(f"Python {name} is outside 3.11 to 3.13", remedy, True)


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def pinned_versions(path: Path = _ROOT / "constraints.txt") -> dict[str, str]:
    """The releases in constraints.txt, by lower-case name; empty outside a checkout."""
    if not path.exists():
        return {}
    rows = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    return {k.lower(): v for k, _, v in (row.partition("==") for row in rows if "==" in row)}


def package_findings() -> list[Finding]:
    """Whether each package that is needed is installed, in its pinned release."""
    findings = []
    needed = ["torch", "gymnasium", "box2d", "pygame-ce", "cma", "numpy", "pillow", "safetensors"]
    needed += ["vizdoom", "tqdm", "tyro", "matplotlib", "ipywidgets", "jupyterlab"]
    pins = pinned_versions()
    for name in needed:
        version, pin = _installed(name), pins.get(name)
        if version is None:
            findings.append(Finding(f"{name} is not installed", _INSTALL, True))
        elif pin and version.split("+")[0] != pin:
            remedy = f"{_INSTALL} (scores and pictures are tied to the pinned releases)"
            findings.append(Finding(f"{name} {version}, pinned is {pin}", remedy))
        else:
            findings.append(Finding(f"{name} {version}"))
    return findings


def pygame_finding() -> Finding:
    """Whether two packages claim the name pygame."""
    if _installed("pygame") and _installed("pygame-ce"):
        remedy = "pip uninstall -y pygame pygame-ce && pip install pygame-ce -c constraints.txt"
        return Finding("pygame and pygame-ce are both installed and overwrite each other", remedy, True)
    return Finding("one pygame only")


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


def torch_finding() -> Finding:
    """What torch computes on."""
    import torch

    from wmlib.runtime.cores import core_count
    from wmlib.runtime.device import best_device, uses_bfloat16

    device = best_device()
    number = "bfloat16" if uses_bfloat16("auto", device) else "float32"
    threads = f"{torch.get_num_threads()} threads of {core_count()} cores"
    return Finding(f"torch computes on {device} in {number}, {threads}")


def weights_findings(reference: Path | None = None) -> list[Finding]:
    """Whether the agents that come with the package are as they were shipped.

    Args:
        reference: the folder that holds theirs; by default the package's own.
    """
    from wmlib.agent import load_agent
    from wmlib.runtime.files import REFERENCE, ArtifactError

    reference = reference or REFERENCE
    folders = sorted(path for path in reference.glob("*") if path.is_dir())
    if not folders:
        return [Finding(f"{reference} holds no agent", f"git checkout -- {reference}", True)]
    findings = []
    for folder in folders:
        try:
            load_agent(folder)
            findings.append(Finding(f"the agent shipped for {folder.name} can be read"))
        except ArtifactError as error:
            findings.append(Finding(str(error).split("; ")[0], f"git checkout -- {folder}", True))
    return findings
