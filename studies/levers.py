"""Which lever makes the car's search in the game better: each alone, at equal frames, several seeds.

Every search begins at the driver that learned in dreams alone. It ends after the first generation in
which so many frames were driven. Its mean is then scored on validation tracks, the same for all.

    python -m studies.levers --out studies/results/levers.json

takes some two hours on two slow cores, for the six levers with most hope; `--levers` names others. What
the table holds of the same effort is not made again, and a search that was broken off goes on.
"""

import argparse
import dataclasses
import functools
import itertools
from collections.abc import Sequence
from pathlib import Path

from studies.search import Effort, search
from studies.table import Table, run
from wmlib.agent import load_agent
from wmlib.config import Coordinates, RealConfig
from wmlib.runtime.place import REFERENCE
from wmlib.task import find_profile

BASE = find_profile("laptop").real
"""The search that made the laptop's agent."""
LEVERS = {
    "as it is": {},
    "charge what is left": {"charge": True},
    "mirrored pairs": {"strategy": "pairs", "episodes": 3},
    "penalty on grass": {"grass": 0.05},
    "many, once": {"population": 96, "episodes": 1},
    "64 combinations": {"coordinates": Coordinates("predictive", 64)},
    "finals": {"episodes": 2, "finals": 2},
    "hard tracks": {"hard": 1},
    "penalty on jerk": {"jerk": 0.2},
    "10 combinations": {"coordinates": Coordinates("predictive", 10)},
    "few, often tried": {"population": 16, "episodes": 6},
}
"""What each changes of the base. All cost as many games a generation."""
FIRST = list(LEVERS)[:6]
"""Those with most hope."""


def search_for(lever: str) -> RealConfig:
    """The search with this lever pulled, and no other."""
    return dataclasses.replace(BASE, **LEVERS[lever])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m studies.levers",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, help="the table, a JSON file")
    add("--folder", type=Path, default=Path("runs/levers"), help="where searches are kept: %(default)s")
    add("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of the searches: 1 2 3")
    names = "\n".join(LEVERS)
    add(
        "--levers", nargs="+", choices=LEVERS, default=FIRST, metavar="LEVER", help=f"of these:\n{names}"
    )
    add("--frames", type=int, default=240_000, help="driven in each search: %(default)s")
    add("--games", type=int, default=48, help="on which its mean is scored: %(default)s")
    args = parser.parse_args(argv)
    agent = load_agent(REFERENCE / "carracing", "controller_dream.safetensors")
    effort = Effort(args.frames, args.games)
    table = Table(args.out, dataclasses.asdict(effort))
    for seed, lever in itertools.product(args.seeds, args.levers):
        work = functools.partial(search, lever, seed, search_for(lever), agent, effort, args.folder)
        table.make(lever, seed, work)
    print(table)


if __name__ == "__main__":
    run(main)
