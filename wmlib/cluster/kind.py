"""What kind of worker a process is: what the numbers that come out of a game depend on.

Releases and vector units are compared because they can be named. What counts are the bits: so V and M
are also tried on one fixed batch.
"""

import functools
import hashlib
import os
import platform
import socket
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

import wmlib
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.seeds import digest_of
from wmlib.runtime.versions import installed_versions
from wmlib.task import Task
from wmlib.vae import VAE
from wmlib.worlds.perception import CHUNK, Perception

_PACKAGES = (
    "wmlib", "torch", "numpy", "pillow", "gymnasium", "Box2D", "pygame-ce", "vizdoom", "envpool",
)  # fmt: skip
_UNNAMED = {
    "code": "its wmlib is of other code",
    "bits": "its torch rounds otherwise, as with another number of threads",
    "game": "its game is another, as where the game's file was edited",
}
"""What differs without a name that would say more."""


@functools.cache
def kind() -> dict[str, str]:
    """Of this process: releases, vector units, digests of our code and of what V and M compute."""
    python = ".".join(platform.python_version_tuple()[:2])
    units = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    named = {"Python": python, **installed_versions(_PACKAGES), "vector units": units}
    return named | {"code": _code(), "bits": _bits()}


def game_of(task: Task) -> dict[str, str]:
    """Of a game: the releases of the packages behind it, and a digest of all that its task says."""
    return installed_versions(task.packages) | {"game": digest_of(task.as_dict())}


def difference(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """How a worker's kind differs from ours, in words; empty where it does not."""
    said = []
    for name in sorted(ours.keys() | theirs.keys()):
        wanted, found = ours.get(name, "none"), theirs.get(name, "none")
        if wanted != found:
            said.append(_UNNAMED.get(name) or f"it has {name} {found}, not {wanted}")
    # A release or a unit that differs explains the rest.
    named = [text for text in said if text not in _UNNAMED.values()]
    return "; ".join(named or said)


def process_name() -> str:
    """By which a worker is called: its machine and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def describe() -> tuple[str, dict[str, str]]:
    """What a worker tells of itself when it is asked: its name and kind."""
    return process_name(), kind()


def _code() -> str:
    folder, digest = Path(wmlib.__file__).parent, hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@torch.inference_mode()
def _bits() -> str:
    """A digest of what V and M make of one batch. Weights and frames are alike on every machine."""
    task = Task("trial", {"left": (-1, 1), "right": (-1, 1)}, z_size=32, hidden_size=256)
    vae = VAE(task.z_size).to(memory_format=torch.channels_last).eval()
    mdnrnn = MDNRNN(task).eval()
    for parameter in (*vae.parameters(), *mdnrnn.parameters()):
        fan_in = parameter.numel() / len(parameter)
        parameter.copy_(_spread(parameter.numel()).view(parameter.shape) / fan_in**0.5)
    frames = (_spread(CHUNK * 64 * 64 * 3) * 127 + 128).to(torch.uint8)
    perception = Perception(vae, mdnrnn, CHUNK)
    perception.restart(np.ones(CHUNK, bool), frames.view(CHUNK, 64, 64, 3).numpy())
    for _ in range(3):
        perception.advance(_spread(2 * CHUNK).view(CHUNK, 2))
    seen = perception.features(), perception.logvar
    content = b"".join(part.contiguous().numpy().tobytes() for part in seen)
    return hashlib.sha256(content).hexdigest()[:16]


def _spread(count: int) -> torch.Tensor:
    """Numbers from -1 to 1 that look like chance, (count,) float32, the same to the bit everywhere."""
    return (torch.arange(count) * 7_919 % 2_003).float() / 1_001.0 - 1
