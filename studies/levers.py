"""Which lever makes the car's search in the game better: each alone, at equal frames, several seeds.

Every search begins at the driver that learned in dreams alone. It ends after the first generation in
which so many frames were driven. Its mean is then scored on validation tracks.

    python -m studies.levers --out studies/results/levers.json
"""

import argparse
import dataclasses
import itertools
import time
from pathlib import Path

import numpy as np
import torch

from wmlib.agent import Agent, load_agent
from wmlib.config import VALIDATION_SEEDS, Coordinates, Machine, RealConfig
from wmlib.data.sequences import Sequences
from wmlib.evolution.cmaes import evolve, scores_in
from wmlib.evolution.space import fitted_space
from wmlib.runtime.files import load_json, save_json
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog
from wmlib.runtime.place import REFERENCE
from wmlib.runtime.seeds import digest_of
from wmlib.worlds.play import play
from wmlib.worlds.record import record

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


def run_lever(
    lever: str, seed: int, frames: int, games: int, agent: Agent, folder: Path, machine: Machine
) -> dict:
    """One search, and its mean's score."""
    config, place = search_for(lever), folder / f"{lever}-{seed}".replace(" ", "-")
    log = RunLog(place, quiet=True)
    began = time.monotonic()
    job = Job("real", seed, log, place / "search.safetensors", digest_of(agent.about, lever, seed))
    seen = own_games(agent, seed, folder, machine)
    space = fitted_space(config.coordinates, agent, lambda: seen, seed)
    options = {"grass": config.grass} if config.grass else {}
    with agent.real(96, machine, config.horizon, "sketch", options=options) as world:
        score = scores_in(world, agent.controller, config.patience, config.charge, config.jerk)
        for generations in itertools.count(1):
            longer = dataclasses.replace(config, generations=generations)
            progress = evolve(longer, space, score, job, frames=lambda: world.steps_played)
            if world.steps_played >= frames:
                break
        driven = world.steps_played
    with agent.real(games, machine, config.horizon, "sketch") as world:
        seeds = VALIDATION_SEEDS + np.arange(games)
        returns = play(world, agent.controller, progress.best[None], seeds)[0]
    return {
        "lever": lever,
        "seed": seed,
        "mean": float(returns.mean()),
        "sd": float(returns.std(ddof=1)),
        "n": games,
        "generations": generations,
        "frames": driven,
        "wall_seconds": round(time.monotonic() - began, 1),
        "returns": [round(float(r), 1) for r in returns],
    }


def own_games(agent: Agent, seed: int, folder: Path, machine: Machine) -> Sequences:
    """Games that C drives, to which coordinates are fitted: the same for all levers."""
    job = Job(
        "own", seed, RunLog(quiet=True), folder / f"own-{seed}.safetensors", digest_of(agent.about)
    )
    kept = Sequences.load(job, agent.task, "delete it")
    if kept is None:
        seeds = np.random.default_rng(seed).integers(0, VALIDATION_SEEDS, 32)
        with agent.real(32, machine, BASE.horizon, "sketch") as world:
            params = agent.params.expand(32, -1)
            kept = record(world, agent.controller, params, seeds, BASE.patience)
        kept.save(job)
    return kept


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
    rows = load_json(args.out, "delete it")["rows"] if args.out.exists() else []
    done = {(row["lever"], row["seed"]) for row in rows}
    for seed, lever in itertools.product(args.seeds, args.levers):
        if (lever, seed) in done:
            continue
        row = run_lever(lever, seed, args.frames, args.games, agent, args.folder, Machine())
        rows.append(row)
        save_json(args.out, {"rows": rows})
        print(
            f"{lever:22} seed {seed}: {row['mean']:6.1f} +- {row['sd']:5.1f}, {row['frames']:,} frames"
        )


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
