"""What makes a dream a better teacher: C learns in it from nothing, and is then scored in the game.

    python -m studies.dreaming carracing --out studies/results/dreaming_carracing.json
    python -m studies.dreaming takecover --out studies/results/dreaming_takecover.json

V and M are the shipped ones; the car's M learns on from games that relatives of the shipped C play, and
from explorers', as in a round of `wmlib.stages.rounds`. Each lever is pulled alone. All cost as many
dreamt steps. Each table takes some two hours on two slow cores. What it holds of the same effort is not
made again, and a search that was broken off goes on.
"""

import argparse
import copy
import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from studies.search import Effort, frames_of, place_of, scored, seconds_of
from studies.table import Table, run
from wmlib.agent import Agent, load_agent
from wmlib.config import (
    VALIDATION_SEEDS,
    CollectConfig,
    Coordinates,
    DreamConfig,
    Machine,
    MDNRNNConfig,
    Validation,
)
from wmlib.data.sequences import Blend, Sequences
from wmlib.envs.games import GameKind
from wmlib.evolution.cmaes import Evaluate, Judge, evolve, scores_in
from wmlib.evolution.space import SearchSpace, fitted_space
from wmlib.mdnrnn import MDNRNN
from wmlib.measure.evaluation import digest_of_agent
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog, each_event
from wmlib.runtime.place import REFERENCE
from wmlib.runtime.seeds import digest_of, seed_of
from wmlib.stages.collect import collect
from wmlib.stages.iterate import calibrate
from wmlib.training import encode_store, encoded, train_mdnrnn
from wmlib.worlds.dream import DreamWorld
from wmlib.worlds.moments import features_of, starts_of
from wmlib.worlds.play import play
from wmlib.worlds.record import record

STAGE = "dream"


@dataclass(frozen=True)
class Lever:
    """What is done otherwise.

    dream: fields of the search. learns: fields of how M learns on. margin: frames before the end of a
    game in which no dream begins; None: dreams begin at first frames. models: Ms that learned on by
    different chance, and share the dreams. calibrated: whether M's odds of an end are put right by how
    often the games ended. tests: of the mean in the game, of which the best is kept; else the last is.
    """

    dream: Mapping[str, object] = field(default_factory=dict)
    learns: Mapping[str, object] = field(default_factory=dict)
    margin: int | None = None
    models: int = 1
    calibrated: bool = False
    tests: Validation | None = None


@dataclass(frozen=True)
class Subject:
    """What is done with a game.

    controller: whose games are recorded. kind: in which kind of the game. games: how many; an eighth is
    played by C itself, the rest by relatives, which lie so far from it (see `RoundsConfig.spread`).
    patience: frames without reward after which such a game ends. search: how C learns in dreams. learns:
    how M learns on; None: not at all. explored: explorers' games, which make up half of what it learns
    from. horizon: frames after which a game is cut; None: the game's own number.
    """

    controller: str
    kind: GameKind
    games: int
    spread: float
    patience: int
    search: DreamConfig
    levers: Mapping[str, Lever]
    learns: MDNRNNConfig | None = None
    explored: CollectConfig | None = None
    horizon: int | None = None


CAR = Subject(
    controller="controller_dream.safetensors",
    kind="sketch",
    games=96,
    spread=0.06,
    patience=80,
    search=DreamConfig(
        generations=30,
        episodes=8,
        horizon=200,
        sigma=0.1,
        weight_decay=0.0,
        average=3,
        coordinates=Coordinates("predictive", 24),
    ),
    learns=MDNRNNConfig(steps=150, learning_rate=5e-4),
    explored=CollectConfig(episodes=300, horizon=200),
    levers={
        "as it is": Lever(margin=90),
        "dropout 0.05": Lever({"dropout": 0.05}, margin=90),
        "dropout 0.1": Lever({"dropout": 0.1}, margin=90),
        "tempered 1.3": Lever({"tau": 1.3}, margin=90),
        "starts near the crash": Lever(margin=20),
        "longer dreams": Lever({"horizon": 400, "episodes": 4}, margin=90),
        "optimism costs five times": Lever(learns={"optimism_weight": 5.0}, margin=90),
        "three Ms": Lever(margin=90, models=3),
        "tested in the game": Lever(margin=90, tests=Validation(every=6, episodes=16)),
    },
)
DOOM = Subject(
    controller="controller.safetensors",
    kind="exact",
    games=64,
    spread=0.0,
    patience=0,
    search=DreamConfig(
        generations=10,
        episodes=8,
        horizon=2100,
        sigma=0.6,
        weight_decay=0.0,
        average=3,
        tau=1.5,
        end="sampled",
        precision="auto",
        coordinates=Coordinates("advantage"),
    ),
    levers={
        "as it is": Lever(),
        "late starts": Lever(margin=0),
        "dropout 0.05": Lever({"dropout": 0.05}),
        "dropout 0.1": Lever({"dropout": 0.1}),
        "calibrated": Lever(calibrated=True),
        "late and calibrated": Lever(margin=0, calibrated=True),
        "cooler 1.15": Lever({"tau": 1.15}),
    },
)
SUBJECTS = {"carracing": (CAR, 64), "takecover": (DOOM, 96)}
"""Of each game, and the games for a score."""


class Ground:
    """What all levers stand on that are tried with the same seed. What took long is kept in the folder.

    Args:
        agent: whose games are recorded; its M learns on.
    """

    def __init__(self, subject: Subject, agent: Agent, seed: int, folder: Path):
        self.subject, self.agent, self.seed = subject, agent, seed
        self.machine = Machine(backend=subject.kind)
        how = (
            subject.games,
            subject.spread,
            subject.patience,
            subject.horizon,
            subject.search.coordinates,
        )
        self.digest = digest_of(digest_of_agent(agent), seed, how, subject.explored)
        self.place = folder / f"ground-{seed}-{self.digest[:8]}"
        self.explored_at = folder / f"explored-{digest_of(subject.explored)[:8]}"
        self.log = RunLog(self.place, quiet=True)
        self._models: dict[str, MDNRNN] = {}

    def job(self, name: str, keep: str, *of: object, number: int = 0) -> Job:
        """number: tells its chance from that of others of its name."""
        seed, digest = seed_of(self.seed, number), digest_of(self.digest, number, *of)
        return Job(name, seed, self.log, self.place / keep, digest)

    @functools.cached_property
    def games(self) -> Sequences:
        """Those of C and its relatives."""
        return encoded(self._played, self.agent.task, self.job("games", "games.safetensors"))

    def _played(self) -> Sequences:
        subject, agent, rng = self.subject, self.agent, np.random.default_rng(self.seed)
        selves = max(1, subject.games // 8) if subject.spread else subject.games
        params = agent.params.expand(selves, -1)
        seeds = rng.integers(0, VALIDATION_SEEDS, selves)
        with agent.real(subject.games, self.machine, subject.horizon, subject.kind) as world:
            own = record(world, agent.controller, params, seeds, subject.patience)
            if not subject.spread:
                return own
            features, count = features_of(agent.mdnrnn, own), subject.search.coordinates.count
            space = SearchSpace.predictive(agent.controller, agent.params, features, count)
            away = rng.standard_normal((subject.games, space.size)) * subject.spread
            away[:selves] = 0
            seeds = rng.integers(0, VALIDATION_SEEDS, subject.games)
            return record(world, agent.controller, space.params(away), seeds, subject.patience)

    @functools.cached_property
    def explored(self) -> Sequences:
        """Explorers' games: the same for all seeds."""

        def look() -> Sequences:
            digest = digest_of(self.subject.explored, self.subject.kind)
            job = Job("collect", path=self.explored_at / "games", digest=digest)
            store = collect(self.agent.task, self.subject.explored, self.machine, job)
            return encode_store(self.agent.vae, store)

        digest = digest_of(digest_of_agent(self.agent), self.subject.explored, self.subject.kind)
        kept = Job("encode", path=self.explored_at / "encoded.safetensors", digest=digest)
        return encoded(look, self.agent.task, kept)

    @property
    def frames(self) -> int:
        """Of the game, that all this took."""
        explored = sum(self.explored.lengths) if self.subject.learns else 0
        return explored + sum(self.games.lengths)

    def mdnrnn(self, lever: Lever, number: int = 0) -> MDNRNN:
        """M as it has learned on, by the chance of this number."""
        if not self.subject.learns:
            return self.agent.mdnrnn
        config = replace(self.subject.learns, **lever.learns)
        key = digest_of(config, number)
        if key not in self._models:
            job = self.job("mdnrnn", f"m-{key[:8]}.safetensors", config, number=number)
            data, task = Blend(self.explored, self.games, 0.5), self.agent.task
            self._models[key] = train_mdnrnn(data, task, config, job, self.agent.mdnrnn)
        return self._models[key]

    @functools.cached_property
    def space(self) -> SearchSpace:
        """Coordinates, fitted to the games as the M sees them that learned on as it is."""
        agent = replace(
            self.agent, mdnrnn=self.mdnrnn(Lever()), params=torch.zeros_like(self.agent.params)
        )
        search = self.subject.search
        return fitted_space(search.coordinates, agent, lambda: self.games, self.seed, search.precision)


def dreamer(ground: Ground, lever: Lever, number: int = 0) -> Agent:
    """C = 0, with an M and beginnings of dreams as the lever wants them."""
    mdnrnn = ground.mdnrnn(lever, number)
    if lever.calibrated:
        mdnrnn = copy.deepcopy(mdnrnn)  # others stand on it too
        calibrate(mdnrnn, ground.games)
    starts = ground.agent.starts
    if lever.margin is not None:
        rng = np.random.default_rng([ground.seed, 1])
        starts = starts_of(mdnrnn, ground.games, rng, lever.margin)
    params = torch.zeros_like(ground.agent.params)
    return replace(ground.agent, mdnrnn=mdnrnn, starts=starts, params=params)


def shared_among(worlds: Sequence[DreamWorld], agent: Agent) -> Evaluate:
    """Scores of controllers of whose dreams each world has its share."""

    def evaluate(params: torch.Tensor, seeds: np.ndarray) -> np.ndarray:
        parts = np.array_split(seeds, len(worlds), axis=-1)
        played = [play(w, agent.controller, params, s) for w, s in zip(worlds, parts, strict=True)]
        return np.concatenate(played, 1)

    return evaluate


def taught(name: str, lever: Lever, ground: Ground, effort: Effort, folder: Path) -> dict:
    """The row of a lever: C's score in the game after it has learned in the dream.

    wall_seconds is what the lever took, without the ground on which all of its seed stand. frames is
    what C's learning took of the game, that ground's included.
    """
    subject, seed = ground.subject, ground.seed
    search = replace(subject.search, **lever.dream)
    agents = [dreamer(ground, lever, number) for number in range(lever.models)]
    worlds = [agent.dream_for(search, search.tau) for agent in agents]
    whole = dataclasses.asdict(replace(search, generations=1))
    digest = digest_of(ground.digest, whole, lever, subject.learns, name)
    place = place_of(folder, name, seed, digest)
    log = RunLog(place, quiet=True)
    log.event(STAGE, 0, began=True)
    job = Job(STAGE, seed, log, place / "search.safetensors", digest)

    def steps() -> int:
        return sum(world.steps_played for world in worlds)

    agent, task = agents[0], agents[0].task
    score = shared_among(worlds, agent)
    frames = ground.frames
    with agent.real(effort.games, ground.machine, subject.horizon, effort.kind) as game:
        judge = None
        if lever.tests:
            judge = Judge(scores_in(game, agent.controller), lever.tests, lambda: game.steps_played)
        progress = evolve(search, ground.space, score, job, judge, steps)
        if lever.tests:
            frames += sum(row["frames"] for row in each_event(place) if "real" in row)
        found = scored(game, replace(agent, params=progress.best), effort)
    log.event(STAGE, search.generations, scored=found["mean"])
    return {
        **found,
        "dreamt": float(progress.tracks[-1].mean()),
        "dreamt_steps": sum(frames_of(place).values()),
        "frames": frames,
        "learning_batches": subject.learns.steps * lever.models if subject.learns else 0,
        "end_weight": agent.mdnrnn.done_positive_weight if task.predicts_done else None,
        "wall_seconds": seconds_of(place),
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m studies.dreaming",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add("task", choices=SUBJECTS)
    add("--out", type=Path, required=True, help="the table, a JSON file")
    add("--folder", type=Path, default=Path("runs/dreaming"), help="where it works: %(default)s")
    add("--seeds", type=int, nargs="+", default=[1, 2, 3], help="1 2 3")
    names = "\n\n".join("\n".join([f"{task}:", *s.levers]) for task, (s, _) in SUBJECTS.items())
    add("--levers", nargs="+", metavar="LEVER", help=f"by default all of the game's, of\n{names}")
    add("--games", type=int, help="for each score: 64 of the car, 96 of Doom")
    args = parser.parse_args(argv)
    subject, games = SUBJECTS[args.task]
    levers = args.levers or list(subject.levers)
    if unknown := set(levers) - set(subject.levers):
        known = ", ".join(subject.levers)
        parser.error(f"--levers: {', '.join(sorted(unknown))}; {args.task} has: {known}")
    agent, folder = load_agent(REFERENCE / args.task, subject.controller), args.folder / args.task
    effort = Effort(0, args.games or games, kind=subject.kind)
    table = Table(args.out, {"games": effort.games, "generations": subject.search.generations})
    grounds = {seed: Ground(subject, agent, seed, folder) for seed in args.seeds}
    for seed, name in itertools.product(args.seeds, levers):
        work = functools.partial(taught, name, subject.levers[name], grounds[seed], effort, folder)
        table.make(name, seed, work)
    print(table)


if __name__ == "__main__":
    run(main)
