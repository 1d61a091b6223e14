"""make storm: random damage to files and random kills, until the counts are full.

Prints what happened; ends with 1 if anything but a good end was seen. The small version of this runs in
`make test`: test_damage.py and test_interruption.py.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from damage import Bench, Readers, ShippedReaders, kinds_for
from harness import (
    assert_all_files_valid,
    assert_same,
    exit_status,
    fill_the_disk,
    game_processes,
    run,
    start,
    wait_for,
)
from tqdm import trange

from wmlib.runtime.files import REFERENCE
from wmlib.runtime.log import read_events


def damages(count: int, seed: int, undisturbed: Path, scratch: Path) -> Counter:
    """Random damage to a random file of a run, or of what is shipped."""
    data = scratch / "data"
    shutil.copytree(REFERENCE / "carracing", data / "reference")
    shutil.copytree(REFERENCE.parent / "sample", data / "sample")
    shutil.copytree(undisturbed, scratch / "run")
    benches = [Bench(readers, scratch) for readers in (Readers(scratch / "run"), ShippedReaders(data))]
    ends: Counter = Counter()
    for number in trange(count, desc="damages", disable=not sys.stderr.isatty()):
        rng = np.random.default_rng([seed, number])
        bench = benches[rng.integers(len(benches))]
        name = sorted(bench.readers.of)[rng.integers(len(bench.readers.of))]
        kinds = sorted(kinds_for(name))
        ends[attempt(bench.try_out, name, kinds[rng.integers(len(kinds))], number)] += 1
    return ends


def kills(count: int, seed: int, undisturbed: Path, scratch: Path) -> Counter:
    """A random end at a random moment; the same command must then end as if nothing had happened."""
    moments = [(row["stage"], row["step"]) for row in read_events(undisturbed) if row["step"] >= 0]
    ends: Counter = Counter()
    for number in trange(count, desc="kills", disable=not sys.stderr.isatty()):
        rng = np.random.default_rng([seed, 1, number])
        stage, step = moments[rng.integers(len(moments))]
        how = ("kill -9", *EXPECTED)[rng.integers(len(EXPECTED) + 1)]  # the worst the most often
        folder = scratch / f"kill-{number}"
        ends[attempt(kill, folder, stage, step, how, float(rng.random()), undisturbed)] += 1
        shutil.rmtree(folder, ignore_errors=True)
    return ends


EXPECTED = {
    "kill -9": 128 + signal.SIGKILL,
    "game process": 0,
    "Ctrl-C": 130,
    "impatient Ctrl-C": 130,
    "full disk": 2,
    "closed output": 0,
}
"""What may end a run, or not, and its exit status."""


def kill(folder: Path, stage: str, step: int, how: str, delay: float, undisturbed: Path) -> str:
    process = start(folder)
    wait_for(process, folder, stage, step)
    time.sleep(delay / 2)
    if how == "game process":
        for pid in game_processes(process)[:1]:
            os.kill(pid, signal.SIGKILL)
    elif process.poll() is None:
        if how == "full disk":
            fill_the_disk(process, 1000)
        elif how == "closed output":
            process.stderr.close()  # whoever read it has left
        elif how == "kill -9":
            process.kill()
        else:
            for _ in range(4 if how == "impatient Ctrl-C" else 1):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGINT)
                time.sleep(0.08)
    if process.stderr.closed:
        process.wait(timeout=180)
        shown = ""
    else:
        shown = process.communicate(timeout=180)[1]
    status = exit_status(process)
    assert status in (0, EXPECTED[how]), f"{stage} {step} {how}: {status} {shown}"
    assert "Traceback" not in shown, f"{stage} {step} {how}: {shown}"
    if how != "kill -9":
        assert_all_files_valid(folder)
    run(folder)
    assert_same(folder, undisturbed)
    assert_all_files_valid(folder)  # what a kill left half-written is swept too
    unhurt = not status and EXPECTED[how]
    return f"{how}: {'too late, and ' if unhurt else ''}the same numbers"


def attempt(work, *arguments) -> str:
    try:
        return work(*arguments)
    except Exception as error:
        print(f"FAILED {arguments[-3:]}: {type(error).__name__}: {error}", file=sys.stderr)
        return "FAILED"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make storm", description=__doc__)
    parser.add_argument("--damages", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        run(scratch / "undisturbed")
        for what, storm in (("damages", damages), ("kills", kills)):
            count = getattr(options, what)
            ends = storm(count, options.seed, scratch / "undisturbed", scratch)
            failed += ends["FAILED"]
            print(f"{count} {what}: {', '.join(f'{n} {end}' for end, n in ends.most_common())}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
