"""python -m benchmarks.resolution: what Doom's picture costs, and how much it flickers, by its size.

The game draws at one of three sizes, and the picture is shrunk to 64 x 64 for V. A small one is quick to
draw, but its walls flicker from frame to frame, which V has to spend numbers on. Explorers play.
"""

import dataclasses
import time

import numpy as np

from wmlib.config import VALIDATION_SEEDS, Machine
from wmlib.envs import Games
from wmlib.envs.takecover import RESOLUTIONS
from wmlib.task import find_task


def measure(resolution: str, lanes: int = 8, steps: int = 250) -> tuple[float, float]:
    """Steps a second of `lanes` games on all cores, and the median change between neighbouring frames:
    the mean absolute difference of their numbers, each from 0 to 255."""
    task = find_task("takecover")
    game = task.game()
    game = dataclasses.replace(game, options={**game.options, "resolution": resolution})
    active, seeds = np.ones(lanes, bool), [VALIDATION_SEEDS + lane for lane in range(lanes)]
    policy, changes, played = task.explorers["strafing"](task, lanes), [], 0
    with Games(game, lanes, Machine().worker_count) as games:
        frames = games.reset(seeds).copy()
        policy.restart(active, seeds, frames)
        began = time.perf_counter()
        for _ in range(steps):
            played += int(active.sum())
            seen, _, ended = games.step(policy.act(active, frames), active)
            changes.append(np.abs(seen.astype(int) - frames)[active].mean((1, 2, 3)))
            active, frames = active & ~ended, seen.copy()
        seconds = time.perf_counter() - began
    return played / seconds, float(np.median(np.concatenate(changes)))


def main() -> None:
    print(f"{'resolution':<12}{'steps/s':>9}{'change between neighbours':>28}")
    for resolution in RESOLUTIONS:
        speed, change = measure(resolution)
        print(f"{resolution:<12}{speed:>9,.0f}{change:>28.1f}")


if __name__ == "__main__":
    main()
