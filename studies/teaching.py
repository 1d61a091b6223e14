"""What a dream teaches: plain, tempered, with dropout, or taught in rounds, at equal effort.

V is the shipped one. M begins untrained, C at zero; all four cost as many frames of the game, as many
batches for M and about as many dreamt steps. In the first three all frames are explorers', and M learns
once, from all of them. In the last a half are explorers', and the others are games of C's relatives,
round after round.
"""

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from studies.search import Effort, place_of, scored, seconds_of
from wmlib.agent import Agent
from wmlib.config import CollectConfig, DreamConfig, DreamSearch, Machine, MDNRNNConfig, RoundsConfig
from wmlib.data.sequences import Sequences
from wmlib.evolution.cmaes import evolve, scores_in
from wmlib.evolution.space import SearchSpace
from wmlib.measure.evaluation import digest_of_agent
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog, each_event
from wmlib.runtime.seeds import digest_of
from wmlib.stages.collect import collect
from wmlib.stages.rounds import run_rounds
from wmlib.training import encode_store, encoded, train_mdnrnn
from wmlib.worlds.moments import DreamStarts

HORIZON = 1000
"""Frames after which a game is cut that counts for the score."""


@dataclass(frozen=True)
class Lesson:
    """All of one way to teach.

    explored: explorers' games, with whose first frames dreams begin. learns: M, from them.
    dream: C, in M's dream. rounds: what follows; None: nothing.
    """

    explored: CollectConfig
    learns: MDNRNNConfig
    dream: DreamConfig
    rounds: RoundsConfig | None = None


_DREAM = DreamConfig(generations=30, horizon=200, sigma=0.05, weight_decay=300.0)
PLAIN = Lesson(CollectConfig(episodes=1000, horizon=200), MDNRNNConfig(steps=400), _DREAM)
LESSONS = {
    "plain": PLAIN,
    "tempered 1.3": replace(PLAIN, dream=replace(_DREAM, tau=1.3)),
    "dropout 0.1": replace(PLAIN, dream=replace(_DREAM, dropout=0.1)),
    "taught in rounds": Lesson(
        CollectConfig(episodes=500, horizon=200),
        MDNRNNConfig(steps=200),
        replace(_DREAM, generations=12),
        RoundsConfig(
            rounds=4,
            games=48,
            mdnrnn=MDNRNNConfig(steps=50, learning_rate=5e-4),
            dream=DreamSearch(
                generations=9, episodes=8, horizon=200, sigma=0.04, weight_decay=0.0, average=3
            ),
        ),
    ),
}
"""200,000 frames of the game, or somewhat less; 400 batches; 6 million dreamt steps."""


def teach(name: str, seed: int, lesson: Lesson, agent: Agent, effort: Effort, folder: Path) -> dict:
    """A row: C's score after the lesson. Broken off, it goes on where it was.

    Args:
        agent: whose V it is. Nothing else is taken from it.
    """
    task, machine = agent.task, Machine(backend="sketch")
    explored, whose = _explored(lesson.explored, agent, machine, folder)
    digest = digest_of(whose, lesson, name, seed)
    place = place_of(folder, name, seed, digest)
    log = RunLog(place, quiet=True)
    log.event("teach", 0, began=True)

    def job(stage: str, keep: str) -> Job:
        return Job(stage, seed, log, place / keep, digest)

    mdnrnn = train_mdnrnn(explored, task, lesson.learns, job("mdnrnn", "mdnrnn.safetensors"))
    agent = replace(
        agent,
        mdnrnn=mdnrnn,
        params=torch.zeros_like(agent.params),
        starts=_first_frames(explored),
    )
    dream = agent.dream_for(lesson.dream, lesson.dream.tau)
    progress = evolve(
        lesson.dream,
        SearchSpace.plain(agent.controller, agent.params),
        scores_in(dream, agent.controller),
        job("dream", "dream.safetensors"),
        frames=lambda: dream.steps_played,
    )
    agent = replace(agent, params=progress.best)
    frames, batches = sum(explored.lengths), lesson.learns.steps
    if lesson.rounds:
        agent = run_rounds(lesson.rounds, agent, explored, machine, job("rounds", "rounds"))
        played = {row["step"]: row["frames"] for row in each_event(place) if "relatives" in row}
        frames += sum(played.values())
        batches += lesson.rounds.rounds * lesson.rounds.mdnrnn.steps
    with agent.real(effort.games, machine, HORIZON, effort.kind) as world:
        found = scored(world, agent, effort)
    log.event("teach", 1, scored=found["mean"])
    return {
        **found,
        "frames": frames,
        "learning_batches": batches,
        "wall_seconds": seconds_of(place),
    }


def _explored(
    config: CollectConfig, agent: Agent, machine: Machine, folder: Path
) -> tuple[Sequences, str]:
    """Explorers' games as V sees them, and a digest of them. The same for all lessons that ask for as
    many, and for all seeds."""
    log = RunLog(quiet=True)
    digest = digest_of(config, machine.backend)
    games = Job("collect", 1, log, folder / f"explored-{digest[:8]}", digest)
    whose = digest_of(digest, digest_of_agent(agent))
    kept = Job("encode", 1, log, folder / f"explored-{whose[:8]}.safetensors", whose)
    look = functools.partial(_look, config, agent, machine, games)
    return encoded(look, agent.task, kept), whose


def _look(config: CollectConfig, agent: Agent, machine: Machine, games: Job) -> Sequences:
    return encode_store(agent.vae, collect(agent.task, config, machine, games))


def _first_frames(games: Sequences) -> DreamStarts:
    """256 of them at most, as in a run."""
    first = np.concatenate([[0], np.cumsum(np.array(games.lengths) + 1)[:-1]])[:256]
    rows = torch.from_numpy(first)
    return DreamStarts(games.mu[rows], games.logvar[rows])
