"""The agent's own games join the explorers', and V and M learn on from both (section 5).

Explorers die early and never dodge for long. So M knows little of what a good player sees, and is too
hopeful there. One round of this shows it what its own dream had missed.
"""

import functools
import math
import shutil
from dataclasses import dataclass, replace

import numpy as np
import torch

from wmlib.agent import Agent, Explorer
from wmlib.config import ITERATE_SEEDS, CollectConfig, LearnOnConfig, Machine
from wmlib.data.episodes import BothWays, EpisodeStore, learnable
from wmlib.data.sequences import Blend, Sequences
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.job import Job
from wmlib.stages.collect import collect
from wmlib.training import encode_store, encoded, train_mdnrnn, train_vae


@dataclass(frozen=True)
class BothStores:
    """Two stores, of which the second makes up a fixed `share` of every batch of frames."""

    first: EpisodeStore | BothWays
    second: EpisodeStore | BothWays
    share: float

    def sample_frames(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """(count, 64, 64, 3) uint8."""
        of_second = round(count * self.share)
        parts = [(self.first, count - of_second), (self.second, of_second)]
        return np.concatenate([store.sample_frames(rng, n) for store, n in parts if n])


def learn_on(
    config: LearnOnConfig,
    agent: Agent,
    explored: EpisodeStore,
    machine: Machine,
    job: Job,
    first_seed: int = ITERATE_SEEDS,
    ends: float = 0.0,
) -> tuple[Agent, Sequences]:
    """Record the agent's games, and train its V and M on.

    Of what the job's folder holds, each part is kept as long as nothing changed that it depends on:
    another way to train M needs no new games and no new V.

    Args:
        explored: the explorers' episodes. first_seed: of the agent's games. ends: share of these in a
            batch of M's that is drawn among their ends.
        job: its digest is of all that the agent depends on.

    Returns:
        the agent with the new V and M, and its games as the new V sees them.
    """
    task = agent.task
    playing = job.part(keep="episodes", of=(config.noise, config.horizon))
    games = _play(config, agent, machine, playing, first_seed)
    stores = learnable(explored, task), learnable(games, task)
    seen_by = playing.digest, config.episodes, config.share, config.vae
    seeing = job.part("vae", keep="vae.safetensors", of=seen_by)
    vae = train_vae(BothStores(*stores, config.share), task, config.vae, seeing, agent.vae)
    parts = [
        encoded(
            functools.partial(encode_store, vae, store, job.log),
            task,
            job.part(keep=f"encoded_{name}.safetensors", of=seen_by),
        )
        for name, store in zip(("explored", "games"), stores, strict=True)
    ]
    taught = (*seen_by, config.mdnrnn, *([ends] if ends else []))
    learning = job.part("mdnrnn", keep="mdnrnn.safetensors", of=taught)
    data = Blend(*parts, config.share, ends)
    mdnrnn = train_mdnrnn(data, task, config.mdnrnn, learning, agent.mdnrnn)
    return replace(agent, vae=vae, mdnrnn=mdnrnn), parts[1]


@torch.inference_mode()
def calibrate(mdnrnn: MDNRNN, games: Sequences) -> None:
    """Put right what M's odds of an end are divided by (`MDNRNN.done_positive_weight`): afterwards M
    expects as many ends in these games as there were.

    Where no game ended by itself, there is nothing to compare with, and nothing is changed.
    """
    ends = float(games.dones.sum())
    if not ends:
        return
    logits = []
    first = 0
    for episode, steps in enumerate(games.lengths):
        z = games.mu[first + episode : first + episode + steps]
        fresh = torch.arange(steps) == 0
        prediction, _ = mdnrnn(z[None], games.actions[None, first : first + steps], None, fresh[None])
        logits.append(prediction.done_logit[0])
        first += steps
    logit, low, high = torch.cat(logits).double(), -20.0, 20.0
    for _ in range(60):  # the expected ends fall as the divisor grows
        middle = (low + high) / 2
        low, high = (middle, high) if float((logit - middle).sigmoid().sum()) > ends else (low, middle)
    mdnrnn.done_positive_weight = math.exp(middle)


def _play(
    config: LearnOnConfig, agent: Agent, machine: Machine, job: Job, first_seed: int
) -> EpisodeStore:
    """The agent's games. Those of another agent, or with another noise, are thrown away."""
    if any(row.get("digest") != job.digest for row in EpisodeStore(job.path).rows.values()):
        shutil.rmtree(job.path)
    games = CollectConfig(config.episodes, "agent", "", config.noise, config.horizon, first_seed)
    store = collect(agent.task, games, machine, job, Explorer(agent, config.noise))
    # There may be more, of before.
    store.keep_only(range(first_seed, first_seed + config.episodes))
    store.verify()
    mean_length = store.steps / len(store)
    job.log.say(f"{job.name}: the agent's games, with noise, last {mean_length:.0f} steps")
    return store
