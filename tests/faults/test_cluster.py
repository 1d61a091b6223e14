"""Runs whose games are played by dask's workers: the same files, whatever becomes of the workers."""

import dataclasses
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from harness import assert_all_files_valid, assert_same, start, wait_for

from wmlib.cluster import crew_at
from wmlib.runtime.files import signature
from wmlib.stages.pipeline import Pipeline
from wmlib.task import find_profile

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("distributed") and not os.environ.get("WMLIB_REQUIRE_DASK"),
    reason="dask is an optional extra: pip install distributed bokeh -c constraints.txt",
)


def lines(folder):
    events = folder / "events.jsonl"
    return events.read_text().splitlines() if events.exists() else []


def kill_workers(cluster, folder, moments, killed):
    """Kill a worker a second after each of these (what a line of the journal holds)."""
    for moment in moments:
        while not any(all(part in line for part in moment) for line in lines(folder)):
            time.sleep(0.05)
        time.sleep(1)
        pid = int(next(iter(cluster.workers.values())).partition(":")[2])
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)


def test_workers_that_are_killed_change_nothing(tmp_path, smoke_run, capsys):
    """Collecting, a search in the game and the evaluation, with a worker killed amid each. The stages
    between are taken up from their checkpoints, which are whole."""
    shutil.copytree(smoke_run, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "episodes")
    for gone in ("events.jsonl", "score.json", "controller.safetensors", "checkpoints/real.safetensors"):
        (tmp_path / gone).unlink()
    config = find_profile("smoke")
    machine = dataclasses.replace(config.machine, scheduler="local:2")
    pipeline = Pipeline(dataclasses.replace(config, machine=machine), tmp_path)
    cluster = crew_at("local:2").executor
    moments = [('"collect"', "began"), ('"stage": "real"', '"real":'), ('"evaluate"', "began")]
    killed: list[int] = []
    killer = threading.Thread(
        target=kill_workers, args=(cluster, tmp_path, moments, killed), daemon=True
    )
    killer.start()
    try:
        pipeline.run(config.stages)
    finally:
        cluster.shutdown()
        crew_at.cache_clear()
    said = capsys.readouterr().err
    assert "local:2: 2 workers with 2 cores on 1 machine; dashboard: http://127.0.0.1:" in said
    assert len(killed) == 3
    for pid in killed:
        assert f":{pid} is lost: what it was playing is played again; 1 worker left" in said
    assert_same(tmp_path, smoke_run)
    for path in (*smoke_run.glob("episodes/*.safetensors"), *smoke_run.glob("stages/*.safetensors")):
        assert signature(path) == signature(tmp_path / path.relative_to(smoke_run)), path.name


def test_a_scheduler_that_is_gone_is_told_and_the_run_goes_on_without_it(tmp_path, smoke_run):
    shutil.copytree(smoke_run, tmp_path, dirs_exist_ok=True)
    (tmp_path / "events.jsonl").unlink()
    (tmp_path / "score.json").unlink()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    port = address.partition(":")[2]
    scheduler = subprocess.Popen(
        [
            *(sys.executable, "-m", "distributed.cli.dask_scheduler"),
            *("--host", "127.0.0.1", "--port", port, "--no-dashboard", "--no-show"),
        ],
        stderr=subprocess.DEVNULL,
    )
    worker = subprocess.Popen(
        [sys.executable, "-m", "wmlib", "worker", f"tcp://{address}", "--nworkers", "1"],
        stderr=subprocess.DEVNULL,
    )
    command = [sys.executable, "-m", "wmlib", "run", "--profile", "smoke"]
    command += ["--machine.scheduler", f"tcp://{address}", "--run-dir"]
    try:
        run = start(tmp_path, command)
        assert wait_for(run, tmp_path, "evaluate", 0, "began")
        time.sleep(2)
        scheduler.kill()
        shown = run.communicate(timeout=60)[1]
    finally:
        scheduler.kill()
        worker.kill()  # asked to end, it would first wait half a minute for its scheduler
        scheduler.wait()
        worker.wait(timeout=60)
    assert run.returncode == 2, shown
    (error,) = [line for line in shown.splitlines() if line.startswith("error: ")]
    assert error == (
        f"error: the scheduler at tcp://{address} is gone; start it again, or leave the option "
        "scheduler away, and run the same command again"
    )
    assert "Traceback" not in shown
    assert_all_files_valid(tmp_path)
    config = find_profile("smoke")
    Pipeline(config, tmp_path, quiet=True).run(config.stages)
    assert_same(tmp_path, smoke_run)
