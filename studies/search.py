"""One search in the game, for so many frames, and what its mean is worth: what several studies do."""

import dataclasses
import itertools
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from wmlib.agent import Agent
from wmlib.config import VALIDATION_SEEDS, Machine, RealConfig
from wmlib.data.sequences import Sequences
from wmlib.envs.games import GameKind
from wmlib.evolution.cmaes import evolve, scores_in
from wmlib.evolution.space import fitted_space
from wmlib.runtime.files import load_json, save_json
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog, each_event
from wmlib.runtime.seeds import digest_of
from wmlib.worlds.play import play
from wmlib.worlds.real import RealWorld
from wmlib.worlds.record import record

LANES = 96
"""Games held open at once: a generation of 32 candidates on 3 tracks."""


@dataclass(frozen=True)
class Effort:
    """frames: driven in a search. games: on which its mean is then scored, from `first_seed` on, and in
    which game."""

    frames: int
    games: int
    first_seed: int = VALIDATION_SEEDS
    kind: GameKind = "sketch"


def search(name: str, seed: int, config: RealConfig, agent: Agent, effort: Effort, folder: Path) -> dict:
    """Search until so many frames were driven, and score the mean. Broken off, it goes on where it was.

    Args:
        agent: the search begins at its C.
    """
    place = folder / f"{name}-{seed}".replace(" ", "-")
    log, machine, began = RunLog(place, quiet=True), Machine(), time.monotonic()
    digest = digest_of(agent.about, dataclasses.asdict(agent.controller.config), name, seed)
    job = Job("real", seed, log, place / "search.safetensors", digest)
    space = fitted_space(config.coordinates, agent, lambda: own_games(agent, seed, config, folder), seed)
    options = {"grass": config.grass} if config.grass else {}
    with agent.real(LANES, machine, config.horizon, "sketch", options=options) as world:
        score = scores_in(world, agent.controller, config.patience, config.charge, config.jerk)
        for generations in itertools.count(1):
            longer = dataclasses.replace(config, generations=generations)
            progress = evolve(longer, space, score, job, frames=lambda: world.steps_played)
            driven = frames_of(place)
            if driven >= effort.frames:
                break
    with agent.real(effort.games, machine, config.horizon, effort.kind) as world:
        score = scored(world, replace(agent, params=progress.best), effort)
    return {
        "name": name,
        "seed": seed,
        **score,
        "generations": generations,
        "frames": driven,
        "wall_seconds": round(time.monotonic() - began, 1),
        "params": [round(float(p), 6) for p in progress.best],
    }


def scored(world: RealWorld, agent: Agent, effort: Effort) -> dict:
    """The agent's score in a world."""
    seeds = effort.first_seed + np.arange(effort.games)
    returns = play(world, agent.controller, agent.params[None], seeds)[0]
    return {"mean": float(returns.mean()), "sd": float(returns.std(ddof=1)), "n": effort.games}


def frames_of(place: Path) -> int:
    """Frames driven by a search's candidates. A generation that was broken off may be there twice."""
    each = {row["step"]: row["frames"] for row in each_event(place) if "sigma" in row}
    return sum(each.values())


def own_games(agent: Agent, seed: int, config: RealConfig, folder: Path) -> Sequences:
    """Games that C drives, to which coordinates are fitted: the same for all searches from it."""
    digest = digest_of(agent.about, seed)
    job = Job("own", seed, RunLog(quiet=True), folder / f"own-{digest[:8]}.safetensors", digest)
    kept = Sequences.load(job, agent.task, "delete it")
    if kept is None:
        seeds = np.random.default_rng(seed).integers(0, VALIDATION_SEEDS, 32)
        with agent.real(32, Machine(), config.horizon, "sketch") as world:
            params = agent.params.expand(32, -1)
            kept = record(world, agent.controller, params, seeds, config.patience)
        kept.save(job)
    return kept


class Table:
    """Rows of a study in a JSON file: what it holds is not made again."""

    def __init__(self, path: Path):
        self.path = path
        self.rows: list[dict] = load_json(path, "delete it")["rows"] if path.exists() else []

    def has(self, name: str, seed: int) -> bool:
        return any((row["name"], row["seed"]) == (name, seed) for row in self.rows)

    def add(self, row: dict) -> None:
        self.rows.append(row)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        save_json(self.path, {"rows": self.rows})
        score = f"{row['mean']:6.1f} +- {row['sd']:5.1f} (n = {row['n']})"
        print(f"{row['name']:24} seed {row['seed']}: {score}", flush=True)
