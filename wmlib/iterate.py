"""The agent's own games join the explorers', and V and M learn on from both (section 5).

Explorers die early and never dodge for long. So M knows little of what a good player sees, and is too
hopeful there. One round of this shows it what its own dream had missed.
"""

import functools
import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wmlib.config import ITERATE_SEEDS, CollectConfig, IterateConfig, Machine
from wmlib.controller import Controller
from wmlib.episodes import BothWays, EpisodeStore, learnable
from wmlib.mdnrnn import MDNRNN
from wmlib.rollouts import NoisyController, collect
from wmlib.runlog import RunLog
from wmlib.sequences import Blend, Sequences
from wmlib.training import encode_store, encoded, seed_of, train_mdnrnn, train_vae
from wmlib.vae import VAE

STAGE = "iterate"


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


@dataclass(frozen=True)
class Player:
    """Who plays: V, M and C (1, D)."""

    vae: VAE
    mdnrnn: MDNRNN
    controller: Controller
    params: torch.Tensor


def learn_on(
    config: IterateConfig,
    player: Player,
    explored: EpisodeStore,
    machine: Machine,
    folder: Path,
    seed: int,
    log: RunLog,
    player_digest: str = "",
) -> tuple[VAE, MDNRNN, Sequences]:
    """Record the player's games, and train V and M on.

    Of what `folder` holds, each part is kept as long as nothing changed that it depends on: another way
    to train M needs no new games and no new V.

    Args:
        explored: the explorers' episodes.
        player_digest: of all that the player depends on, and of the seed.

    Returns:
        the new V and M, and the player's games as the new V sees them.
    """
    task = player.mdnrnn.task
    games_digest = _digest(player_digest, config.noise, config.horizon)
    games = _play(config, player, machine, folder / "episodes", log, games_digest)
    stores = learnable(explored, task), learnable(games, task)
    vae_digest = _digest(games_digest, config.episodes, config.share, config.vae)
    vae = train_vae(
        BothStores(*stores, config.share), task, config.vae, seed_of(seed, STAGE, "vae"), log,
        folder / "vae.safetensors", vae_digest, STAGE, player.vae,
    )  # fmt: skip
    vae = vae.to(memory_format=torch.channels_last).eval()
    parts = [
        encoded(
            folder / f"encoded_{name}.safetensors", task, vae_digest,
            functools.partial(encode_store, vae, store, log),
        )
        for name, store in zip(("explored", "games"), stores, strict=True)
    ]  # fmt: skip
    mdnrnn = train_mdnrnn(
        Blend(*parts, config.share), task, config.mdnrnn, seed_of(seed, STAGE, "mdnrnn"), log,
        folder / "mdnrnn.safetensors", _digest(vae_digest, config.mdnrnn), STAGE, player.mdnrnn,
    )  # fmt: skip
    return vae, mdnrnn.eval(), parts[1]


def _play(
    config: IterateConfig,
    player: Player,
    machine: Machine,
    folder: Path,
    log: RunLog,
    digest: str,
) -> EpisodeStore:
    """The player's games. Those of another player, or with another noise, are thrown away."""
    games = CollectConfig(config.episodes, "driver", "", config.noise, config.horizon, ITERATE_SEEDS)
    if any(row.get("digest") != digest for row in EpisodeStore(folder).rows.values()):
        shutil.rmtree(folder)
    make_policy = functools.partial(
        NoisyController, player.vae, player.mdnrnn, player.controller, player.params,
        noise=config.noise,
    )  # fmt: skip
    task = player.mdnrnn.task
    store = collect(task, games, machine, folder, log, make_policy, digest, STAGE)
    store.verify()
    log.say(f"{STAGE}: the agent's games, with noise, last {store.steps / len(store):.0f} steps")
    return store


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
