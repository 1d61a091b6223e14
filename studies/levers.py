"""Which lever makes the car's search in the game better: each alone, at equal frames, several seeds.

Every search begins at the driver that learned in dreams alone. It ends after the first generation in
which so many frames were driven. Its mean is then scored on validation tracks.

    python -m studies.levers --out studies/results/levers.json
"""

import argparse
import dataclasses
import itertools
from pathlib import Path

from studies.search import Effort, Table, search
from wmlib.agent import load_agent
from wmlib.config import Coordinates, RealConfig
from wmlib.runtime.place import REFERENCE

BASE = RealConfig(
    generations=1,
    population=32,
    episodes=3,
    sigma=0.06,
    weight_decay=0.0,
    patience=80,
    average=3,
    coordinates=Coordinates("predictive", 24),
)
"""The laptop's search."""
LEVERS = {
    "as it is": {},
    "charge what is left": {"charge": True},
    "mirrored pairs": {"strategy": "pairs", "episodes": 3},
    "finals": {"episodes": 2, "finals": 2},
    "hard tracks": {"hard": 1},
    "penalty on jerk": {"jerk": 0.2},
    "penalty on grass": {"grass": 0.05},
    "64 combinations": {"coordinates": Coordinates("predictive", 64)},
    "10 combinations": {"coordinates": Coordinates("predictive", 10)},
    "few, often tried": {"population": 16, "episodes": 6},
    "many, once": {"population": 96, "episodes": 1},
}
"""What each changes of the base. All cost as many games a generation."""


def search_for(lever: str) -> RealConfig:
    """The search with this lever pulled, and no other."""
    return dataclasses.replace(BASE, **LEVERS[lever])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--out", type=Path, required=True, help="the table, as JSON; what it holds is kept"
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/levers"), help="where searches are kept"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--levers", nargs="+", choices=list(LEVERS), default=list(LEVERS))
    parser.add_argument("--frames", type=int, default=300_000, help="driven in each search")
    parser.add_argument("--games", type=int, default=64, help="on which its mean is scored")
    args = parser.parse_args()
    agent = load_agent(REFERENCE / "carracing", "controller_dream.safetensors")
    table, effort = Table(args.out), Effort(args.frames, args.games)
    for seed, lever in itertools.product(args.seeds, args.levers):
        if not table.has(lever, seed):
            table.add(search(lever, seed, search_for(lever), agent, effort, args.folder))


if __name__ == "__main__":
    main()
