"""Small, real things that many tests need: an untrained V and M, and a folder with episodes."""

import functools
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from xdist.scheduler import LoadScopeScheduling

from wmlib.config import ControllerConfig
from wmlib.controller import Controller
from wmlib.data.episodes import Episode, EpisodeStore
from wmlib.mdnrnn import MDNRNN
from wmlib.task import find_task
from wmlib.vae import VAE
from wmlib.worlds.moments import DreamStarts

ROOT = Path(__file__).parents[1]


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


class Shares(LoadScopeScheduling):
    """What goes to one worker as a whole: a file, whose fixtures are made once; and all notebooks, which
    go on from what those before them left in the course's run folder."""

    def _split_scope(self, nodeid):
        file = nodeid.partition("::")[0]
        if file.startswith("notebooks/"):
            return "notebooks"
        slow = file.endswith(("test_alone.py", "test_interruption.py"))  # each a minute, on its own
        return nodeid if slow else file


def pytest_xdist_make_scheduler(config, log):
    return Shares(config, log)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory, worker_id):
    """made_once(name, make): the folder `name`, filled by make(folder) for all workers together."""
    root = tmp_path_factory.getbasetemp()
    root = root if worker_id == "master" else root.parent

    def made(name, make):
        folder, ready = root / name, root / f"{name}.ready"
        with FileLock(root / f"{name}.lock"):
            if not ready.exists():
                make(folder)
                ready.touch()
        return folder

    return made


def run_smoke(folder, options=()):
    """One whole run in the smoke profile, by the command that a user would type."""
    command = [sys.executable, "-m", "wmlib", "run", *options, "--profile", "smoke"]
    command += ["--run-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def smoke_run(made_once):
    """The folder of a whole run. Nobody writes there: others read it too."""
    return made_once("smoke_run", run_smoke)


@pytest.fixture(scope="session")
def doom_run(made_once):
    """The folder of a whole run in Doom. Nobody writes there."""
    return made_once("doom_run", functools.partial(run_smoke, options=("--task", "takecover")))


def make_site(folder):
    """The site, by the command of `make site`."""
    command = [sys.executable, "-m", "sphinx", "-q", "-E", "-W", "-c", str(ROOT / "docs")]
    command += ["-d", str(folder.with_name("doctrees")), str(ROOT), str(folder)]
    environment = {name: value for name, value in os.environ.items() if name != "GITHUB_REPOSITORY"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def site(made_once):
    """The folder of the site, without what the demos read. Left out where Sphinx is not installed."""
    if importlib.util.find_spec("myst_nb") is None and not os.environ.get("WMLIB_REQUIRE_SITE"):
        pytest.skip("no Sphinx here: what make site installs is needed")
    return made_once("site", make_site)
