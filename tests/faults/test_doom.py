"""What only Doom's runs do, stopped in the middle: the stage `iterate`, and the temperature table."""

import shutil
import signal
import sys

import harness
import pytest

from wmlib.measure.temperature import TABLE, controller_file

WMLIB = [sys.executable, "-m", "wmlib"]
# Long enough that each part of the stage has a middle.
RUN = [
    *WMLIB, "run", "--task", "takecover", "--profile", "smoke", "--iterate.vae.steps", "30",
    "--iterate.mdnrnn.steps", "30", "--iterate.dream.generations", "6", "--run-dir",
]  # fmt: skip
WEIGHTS = ("vae", "mdnrnn", "dream_starts", "controller_dream", "controller")
TAUS = (0.5, 1.3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("doom")
    harness.run(folder, RUN)
    return folder


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """The same run as it was before the stage iterate."""
    folder = tmp_path_factory.mktemp("before") / "run"
    harness.run(folder, [*RUN[:-1], "--stages", "collect", "vae", "mdnrnn", "dream", "--run-dir"])
    return folder


@pytest.mark.parametrize(
    ("tells", "step", "how"),
    [
        ("length", 2, signal.SIGKILL),  # amid the agent's games
        ("kl", 12, signal.SIGKILL),  # V
        ("nll", 12, signal.SIGINT),  # M
        ("mean", 3, signal.SIGKILL),  # C
    ],
)
def test_iterate_goes_on_to_the_same_numbers(tmp_path, whole, before, tells, step, how):
    folder = tmp_path / "run"
    shutil.copytree(before, folder)
    code, _ = harness.stop_when(folder, "iterate", step, how, RUN, tells)
    assert code != 0
    harness.run(folder, RUN)
    harness.assert_same(folder, whole, WEIGHTS)


@pytest.fixture(scope="module")
def table(whole):
    """The command that makes a small temperature table."""
    return [
        *WMLIB, "temperature", "--run-dir", str(whole), "--episodes", "2", "--dream.generations", "6",
        "--dream.population", "8", "--dream.episodes", "2", "--dream.horizon", "60",
        "--taus", *map(str, TAUS), "--out",
    ]  # fmt: skip


def test_the_temperature_table_goes_on_to_the_same_numbers(tmp_path, table):
    folder = tmp_path / "whole"
    harness.run(folder, table)
    for name, how in (("killed", signal.SIGKILL), ("stopped", signal.SIGINT)):
        code, _ = harness.stop_when(tmp_path / name, "temperature", 4, how, table)
        assert code != 0
        harness.run(tmp_path / name, table)
        weights = tuple(controller_file(tau).removesuffix(".safetensors") for tau in TAUS)
        harness.assert_same(tmp_path / name, folder, weights, TABLE)
