"""Small, real things that many tests need: an untrained V and M, and a folder with episodes."""

import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from wmlib.config import ControllerConfig
from wmlib.controller import Controller
from wmlib.data.episodes import Episode, EpisodeStore
from wmlib.mdnrnn import MDNRNN
from wmlib.task import find_task
from wmlib.vae import VAE
from wmlib.worlds.moments import DreamStarts


@pytest.fixture(autouse=True)
def _fixed_seed():
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_is_heard():
    """A shell starts what runs in its background deaf to Ctrl-C, and so what the tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def task():
    return find_task("carracing")


@pytest.fixture
def vae(task):
    return VAE(task.z_size).eval()


@pytest.fixture
def mdnrnn(task):
    return MDNRNN(task).eval()


@pytest.fixture
def controller(task):
    return Controller(task, ControllerConfig())


@pytest.fixture
def starts(task):
    return DreamStarts(torch.randn(5, task.z_size), torch.full((5, task.z_size), -1.0))


def random_episode(seed: int, steps: int, terminated: bool = False) -> Episode:
    rng = np.random.default_rng(seed)
    return Episode(
        seed,
        rng.integers(0, 256, (steps + 1, 64, 64, 3), np.uint8),
        rng.random((steps, 3), np.float32),
        rng.random(steps, np.float32),
        terminated,
    )


@pytest.fixture
def make_episode():
    return random_episode


@pytest.fixture
def store(tmp_path):
    store = EpisodeStore(tmp_path / "episodes")
    for seed, steps in ((3, 20), (5, 8), (9, 30)):
        store.add(random_episode(seed, steps, terminated=seed == 5), {"digest": ""})
    return store


def run_smoke(folder, *options):
    """One whole run in the smoke profile, by the command that a user would type."""
    command = [sys.executable, "-m", "wmlib", "run", *options, "--profile", "smoke"]
    command += ["--run-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory):
    """The folder of a whole run."""
    return run_smoke(tmp_path_factory.mktemp("smoke") / "run")


@pytest.fixture(scope="session")
def doom_run(tmp_path_factory):
    """The folder of a whole run in Doom."""
    return run_smoke(tmp_path_factory.mktemp("doom") / "run", "--task", "takecover")
