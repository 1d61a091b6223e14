"""What all studies of claims stand on: rows that are kept, recorded games, and Ms trained on them."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from wmlib.agent import Agent, Explorer, load_agent
from wmlib.config import CollectConfig, Machine, MDNRNNConfig
from wmlib.data.episodes import EpisodeStore
from wmlib.data.sequences import Sequences
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.files import load_json, save_json
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog
from wmlib.runtime.place import REFERENCE
from wmlib.runtime.seeds import digest_of, digest_of_weights
from wmlib.stages.collect import collect
from wmlib.task import find_profile
from wmlib.training import encode_store, encoded, train_mdnrnn

FRESH = 960_000
"""Seeds of explorers' games on which Ms are tested; no M has learned from them."""
DRIVEN = 970_000
"""Seeds of games that the agent drives with noise; no M has learned from them, nor has any notebook
looked at them."""
LEARNING = {
    "carracing": MDNRNNConfig(steps=500, batch_size=100, sequence_length=200),
    "takecover": MDNRNNConfig(steps=600, batch_size=50, sequence_length=200),
}
"""How Ms are trained here at an effort of 1."""
GAMES = {"carracing": (1000, 200), "takecover": (1000, 600)}
"""How many explorers' games they learn from, and the frames after which one is cut."""


@dataclass(frozen=True)
class Study:
    """names: the things that are compared. ask: (lab, name, seed) to what is found. seeds: by which
    chance it is asked again. minutes: CPU-minutes for all its rows at an effort of 1, roughly, on a
    small machine."""

    names: tuple[str, ...]
    ask: "Callable[[Lab, str, int], dict]"
    seeds: tuple[int, ...] = (1, 2, 3)
    minutes: int = 1


class Rows:
    """The rows of all studies in a JSON file. What it holds is not made again."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def studies(self) -> dict[str, list[dict]]:
        return load_json(self.path, "delete it")["studies"] if self.path.exists() else {}

    def has(self, study: str, name: str, seed: int, effort: float) -> bool:
        key = name, seed, effort
        return any((r["name"], r["seed"], r["effort"]) == key for r in self.studies.get(study, []))

    def add(self, study: str, row: dict) -> None:
        """It takes the place of a row of the same name and seed, which was made with another effort."""
        studies = self.studies  # as they are now: another process may have added to them
        others = studies.get(study, [])
        studies[study] = [r for r in others if (r["name"], r["seed"]) != (row["name"], row["seed"])]
        studies[study].append(row)
        studies[study].sort(key=lambda r: (r["name"], r["seed"]))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        save_json(self.path, {"studies": dict(sorted(studies.items()))})


@dataclass(frozen=True)
class Lab:
    """Where a study works, and with what effort.

    folder: for recorded games and trained Ms, which studies share. effort: 1 is the whole; less is
    quicker, and says less.
    """

    folder: Path
    effort: float = 1.0
    log: RunLog = field(default_factory=RunLog)
    machine: Machine = field(default_factory=Machine)

    def share(self, count: int, least: int = 2) -> int:
        """`count`, by the effort."""
        return min(count, max(least, round(count * self.effort)))

    def length(self, count: int, least: int = 60) -> int:
        """Of games, batches and windows: whole, but in an effort so small that it only tries whether all
        works."""
        return min(count, max(least, round(10 * count * self.effort)))

    @cached_property
    def agents(self) -> dict[str, Agent]:
        return {task: load_agent(REFERENCE / task) for task in ("carracing", "takecover")}

    def job(self, name: str, seed: int, *of: object) -> Job:
        """Work that is kept under its name and what it depends on."""
        digest = digest_of(name, seed, *of)
        return Job(name, seed, self.log, self.folder / f"{name}-{digest}", digest)

    def games(self, task: str, count: int, first_seed: int = 0) -> EpisodeStore:
        """Games of the explorers, recorded once."""
        kind, horizon = self.agents[task].task, self.length(GAMES[task][1])
        policy = find_profile("laptop", task).collect.policy
        config = CollectConfig(count, policy, horizon=horizon, first_seed=first_seed)
        return collect(kind, config, self.machine, self.job(f"{task}-explorers", 1, config))

    def driven(self, count: int, horizon: int, first_seed: int) -> EpisodeStore:
        """Games of the car's agent with shaking hands, as notebook 03 has them."""
        agent = self.agents["carracing"]
        config = CollectConfig(count, "agent", noise=0.4, horizon=horizon, first_seed=first_seed)
        job = self.job("carracing-driven", 1, config)
        return collect(agent.task, config, self.machine, job, Explorer(agent, config.noise))

    def encoded(self, task: str, store: EpisodeStore) -> Sequences:
        """The games through the shipped V."""
        agent = self.agents[task]
        job = self.job(f"{task}-encoded", 1, store.sha256, digest_of_weights(agent.vae))
        return encoded(lambda: encode_store(agent.vae, store, self.log), agent.task, job)

    def learned_from(self, task: str) -> Sequences:
        return self.encoded(task, self.games(task, self.share(GAMES[task][0], 4)))

    def fresh(self, task: str) -> Sequences:
        return self.encoded(task, self.games(task, self.share(64, 4), FRESH))

    def first_m(self, task: str, seed: int, parts: int = 5) -> MDNRNN:
        """An M that has met explorers alone, with so many Gaussians in each mixture."""
        agent, config = self.agents[task], LEARNING[task]
        config = replace(
            config,
            steps=self.share(config.steps),
            batch_size=self.length(config.batch_size, 4),
            sequence_length=self.length(config.sequence_length, 20),
            precision="float32",
        )
        data, kind = self.learned_from(task), replace(agent.task, mixtures=parts)
        job = self.job(f"{task}-mdnrnn-{parts}", seed, config, len(data.lengths), sum(data.lengths))
        return train_mdnrnn(data, kind, config, job)


def half_width(values: np.ndarray) -> float:
    """Of the mean's 95 % interval, by the normal formula. NaN where there are fewer than two."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return float("nan")
    return float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))


def cpu_seconds() -> float:
    """Spent so far by this process and by the processes that it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
