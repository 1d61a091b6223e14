"""One search in the game, for so many frames, and what its mean is worth: what several studies do."""

import dataclasses
import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from wmlib.agent import Agent
from wmlib.config import VALIDATION_SEEDS, Machine, RealConfig
from wmlib.data.sequences import Sequences
from wmlib.envs.games import GameKind
from wmlib.evolution.cmaes import evolve, scores_in
from wmlib.evolution.space import fitted_space
from wmlib.measure.evaluation import digest_of_agent
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog, each_event
from wmlib.runtime.seeds import digest_of
from wmlib.worlds.play import play
from wmlib.worlds.real import RealWorld
from wmlib.worlds.record import record

OWN_GAMES = 32
"""Games of the first C, to which a search's coordinates are fitted."""
STAGE = "real"
"""By this name a search draws its chance and tells its log."""


@dataclass(frozen=True)
class Effort:
    """frames: driven in a search; it ends after the first generation in which so many were. games: on
    which its mean is then scored, from `first_seed` on, and in which kind of the game."""

    frames: int
    games: int
    first_seed: int = VALIDATION_SEEDS
    kind: GameKind = "sketch"


def search(name: str, seed: int, config: RealConfig, agent: Agent, effort: Effort, folder: Path) -> dict:
    """Search until so many frames were driven, and score the mean. Broken off, it goes on where it was.

    Args:
        agent: the search begins at its C. folder: where searches are kept; one of another configuration
            or another agent is not gone on with.
    """
    whole = dataclasses.asdict(replace(config, generations=1))  # it says how each is, not how many
    digest = digest_of(digest_of_agent(agent), agent.controller.config, whole, name, seed)
    place = place_of(folder, name, seed, digest)
    log, machine = RunLog(place, quiet=True), Machine()
    log.event(STAGE, 0, began=True)
    job = Job(STAGE, seed, log, place / "search.safetensors", digest)
    space = fitted_space(config.coordinates, agent, lambda: own_games(agent, seed, config, folder), seed)
    options = {"grass": config.grass} if config.grass else {}
    games = config.population * config.episodes
    with agent.real(games, machine, config.horizon, "sketch", options=options) as world:
        score = scores_in(world, agent.controller, config.patience, config.charge, config.jerk)
        for generations in itertools.count(max(1, len(frames_of(place)))):
            longer = replace(config, generations=generations)
            progress = evolve(longer, space, score, job, frames=lambda: world.steps_played)
            driven = sum(frames_of(place).values())
            if driven >= effort.frames:
                break
    with agent.real(effort.games, machine, config.horizon, effort.kind) as world:
        found = scored(world, replace(agent, params=progress.best), effort)
    log.event(STAGE, generations, scored=found["mean"])
    return {
        **found,
        "generations": generations,
        "frames": driven,
        "wall_seconds": seconds_of(place),
        "params": [round(float(p), 6) for p in progress.best],
    }


def scored(world: RealWorld, agent: Agent, effort: Effort) -> dict:
    """The agent's score in a world, and what it cost."""
    seeds, before = effort.first_seed + np.arange(effort.games), world.steps_played
    returns = play(world, agent.controller, agent.params[None], seeds)[0]
    return {
        "mean": float(returns.mean()),
        "sd": float(returns.std(ddof=1)),
        "n": effort.games,
        "first_seed": effort.first_seed,
        "frames_scored": world.steps_played - before,
    }


def frames_of(place: Path) -> dict[int, int]:
    """Frames that candidates played in each generation of a search. One that was broken off may have
    been told twice."""
    return {row["step"]: row["frames"] for row in each_event(place) if "sigma" in row}


def seconds_of(place: Path) -> float:
    """How long was worked in a folder, all sittings together: between two of them nobody worked."""
    spent, last = 0.0, None
    for row in each_event(place):
        if last is not None and not row.get("began"):
            spent += row["seconds"] - last
        last = row["seconds"]
    return round(spent, 1)


def place_of(folder: Path, name: str, seed: int, digest: str) -> Path:
    """Where the work for a row is kept."""
    return folder / f"{name}-{seed}-{digest[:8]}".replace(" ", "-").replace(",", "")


def own_games(agent: Agent, seed: int, config: RealConfig, folder: Path) -> Sequences:
    """Games that C drives, to which coordinates are fitted: the same for all searches from it."""
    digest = digest_of(digest_of_agent(agent), seed, config.horizon, config.patience)
    job = Job("own", seed, RunLog(quiet=True), folder / f"own-{digest[:8]}.safetensors", digest)
    kept = Sequences.load(job, agent.task, "delete it: these games are then played again")
    if kept is None:
        seeds = np.random.default_rng(seed).integers(0, VALIDATION_SEEDS, OWN_GAMES)
        with agent.real(OWN_GAMES, Machine(), config.horizon, "sketch") as world:
            params = agent.params.expand(OWN_GAMES, -1)
            kept = record(world, agent.controller, params, seeds, config.patience)
        kept.save(job)
    return kept
