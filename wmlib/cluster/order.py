"""Games to be played, as data: whoever plays them, wherever and in whatever parts, the same comes back.

That holds for the real game, in which each game's score follows from its seed and its player alone. Of
dreams it holds as long as they are cut alike (see `wmlib.worlds.dream`).
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from wmlib.config import ControllerConfig, End
from wmlib.controller import Controller
from wmlib.data.episodes import Episode
from wmlib.data.sequences import Sequences
from wmlib.envs.games import GameKind, ManyGames
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.files import pack, unpack
from wmlib.runtime.seeds import digest_of
from wmlib.task import Policy, Task, find_task
from wmlib.vae import VAE
from wmlib.worlds.dream import DreamWorld
from wmlib.worlds.moments import DreamStarts
from wmlib.worlds.noisy import NoisyController
from wmlib.worlds.perception import CHUNK
from wmlib.worlds.play import PolicyPlayer, play, play_games
from wmlib.worlds.real import FrameWorld, RealWorld
from wmlib.worlds.record import EpisodeRecorder, record

Keep = Literal["returns", "sequences", "episodes"]
"""What comes back of a game: its score; what V saw of it; or all its frames, actions and rewards."""


@dataclass(frozen=True)
class Dreaming:
    """How dreams go (see `DreamWorld`). dtype: the name of torch's number format."""

    tau: float
    end: End
    dtype: str


@dataclass(frozen=True)
class Rules:
    """What is alike in all games of an order.

    task: its name. horizon: frames after which a game is cut. game: which implementation of it. dream:
    how dreams go, where it is they that are played.
    controller: the shape of C, where C plays; else `policy` does, one of the task's. noise: where it is
    C, how much of the task's first explorer is in its actions: it then sees bare frames.
    """

    task: str
    horizon: int
    keep: Keep = "returns"
    game: GameKind = "exact"
    dream: Dreaming | None = None
    controller: ControllerConfig | None = None
    policy: str = ""
    noise: float | None = None
    patience: int = 0


@dataclass(frozen=True)
class Order:
    """Games to be played.

    seeds: (G,). params: (P, D), controllers. whose: (G,), the controller of each game, by its row.
    weights: digests by kind (vae, mdnrnn, starts) of what the players need.
    """

    rules: Rules
    seeds: np.ndarray
    params: Tensor
    whose: np.ndarray
    weights: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.seeds)

    def part(self, first: int, size: int) -> "Order":
        """So many of the games, from one of them on, and the controllers that those need."""
        games = slice(first, first + size)
        used, whose = np.unique(self.whose[games], return_inverse=True)
        params = self.params[torch.from_numpy(used)]
        return replace(self, seeds=self.seeds[games], params=params, whose=whose)

    def pack(self, **about: object) -> bytes:
        """To be sent. about: what else the worker is to know."""
        tensors = {
            "seeds": torch.tensor(self.seeds.tolist(), dtype=torch.int64),
            "params": self.params,
            "whose": torch.tensor(self.whose.tolist(), dtype=torch.int64),
        }
        task = digest_of(find_task(self.rules.task).as_dict())
        said = {"rules": asdict(self.rules), "weights": dict(self.weights), "task": task}
        return pack(tensors, said | about)

    @classmethod
    def unpack(cls, content: bytes) -> tuple["Order", dict]:
        """What `pack` made, and all that it was told besides.

        Raises:
            ArtifactError: it is damaged.
        """
        tensors, about = unpack(content, "an order")
        rules = about["rules"]
        dream, controller = rules.pop("dream"), rules.pop("controller")
        rules = Rules(
            **rules,
            dream=dream and Dreaming(**dream),
            controller=controller and ControllerConfig(**controller),
        )
        seeds, whose = tensors["seeds"].numpy(), tensors["whose"].numpy()
        return cls(rules, seeds, tensors["params"], whose, about["weights"]), about


# V, M and the beginnings of dreams, on their way


def pack_weights(model: VAE | MDNRNN | DreamStarts) -> tuple[str, bytes]:
    """Their digest, and they themselves, to be sent."""
    if isinstance(model, DreamStarts):
        tensors = {name: value for name, value in vars(model).items() if value is not None}
        content = pack(tensors, {"kind": "starts"})
    elif isinstance(model, VAE):
        content = pack(model.state_dict(), {"kind": "vae"})
    else:
        weight = model.done_positive_weight
        content = pack(model.state_dict(), {"kind": "mdnrnn", "done_positive_weight": weight})
    return unpack(content, "weights")[1]["sha256"], content


def unpack_weights(content: bytes, task: Task) -> VAE | MDNRNN | DreamStarts:
    """What `pack_weights` made.

    Raises:
        ArtifactError: it is damaged.
    """
    tensors, about = unpack(content, "weights")
    if about["kind"] == "starts":
        return DreamStarts(**tensors)
    if about["kind"] == "vae":
        vae = VAE(task.z_size)
        vae.load_state_dict(tensors)
        return vae.to(memory_format=torch.channels_last).eval()
    mdnrnn = MDNRNN(task)
    mdnrnn.load_state_dict(tensors)
    mdnrnn.done_positive_weight = about["done_positive_weight"]
    return mdnrnn.eval()


# Playing


def play_order(
    order: Order, models: Mapping[str, object], open_games: Callable[[Task, GameKind], ManyGames]
) -> dict[str, Tensor]:
    """Play all games of an order, here.

    Args:
        models: V, M and beginnings of dreams by kind, those that the order names.
        open_games: gives real games to play in, `CHUNK` lanes.

    Returns:
        of what is to be kept, tensors by name; the games' in their order.
    """
    rules, task = order.rules, find_task(order.rules.task)
    if rules.dream:
        dream, starts = rules.dream, models["starts"]
        world = DreamWorld(
            models["mdnrnn"], starts, len(order), rules.horizon, dream.tau, dream.end,
            dtype=getattr(torch, dream.dtype),
        )  # fmt: skip
        return {"returns": _returns(order, task, world)}
    games = open_games(task, rules.game)
    if rules.controller is None or rules.noise is not None:
        return _by_policy(order, task, models, FrameWorld(games, CHUNK, 1, rules.horizon))
    world = RealWorld(models["vae"], models["mdnrnn"], CHUNK, 1, rules.horizon, games)
    if rules.keep == "returns":
        return {"returns": _returns(order, task, world)}
    params = order.params[torch.from_numpy(order.whose)]
    return pack_sequences(record(world, _shape(order, task), params, order.seeds, rules.patience))


def _shape(order: Order, task: Task) -> Controller:
    return Controller(task, order.rules.controller)


def _returns(order: Order, task: Task, world: DreamWorld | RealWorld) -> Tensor:
    params = order.params[torch.from_numpy(order.whose)]
    returns = play(world, _shape(order, task), params, order.seeds[:, None], order.rules.patience)
    return torch.from_numpy(returns[:, 0])


def _by_policy(order: Order, task: Task, models: Mapping, world: FrameWorld) -> dict[str, Tensor]:
    rules, kept = order.rules, {}

    def keep(episode: Episode) -> None:
        kept[episode.seed] = episode

    policy: Policy
    if rules.noise is None:
        policy = task.policies()[rules.policy](task, world.lanes)
    else:
        V, M = models["vae"], models["mdnrnn"]
        policy = NoisyController(V, M, _shape(order, task), order.params, world.lanes, rules.noise)
    watching = [EpisodeRecorder(world, order.seeds, keep)] if rules.keep == "episodes" else []
    returns = play_games(world, PolicyPlayer(policy, order.seeds), order.seeds, observers=watching)
    if rules.keep == "returns":
        return {"returns": torch.from_numpy(returns)}
    return pack_episodes([kept[int(seed)] for seed in order.seeds])


# What comes back, as tensors


def pack_sequences(sequences: Sequences) -> dict[str, Tensor]:
    return vars(sequences) | {"lengths": torch.tensor(sequences.lengths)}


def unpack_sequences(tensors: Mapping[str, Tensor]) -> Sequences:
    return Sequences(**{**tensors, "lengths": tensors["lengths"].tolist()})


def pack_episodes(episodes: list[Episode]) -> dict[str, Tensor]:
    """One after the other, as `Sequences` are."""
    together = {
        name: torch.from_numpy(np.concatenate([getattr(episode, name) for episode in episodes]))
        for name in ("frames", "actions", "rewards")
    }
    return together | {
        "seeds": torch.tensor([episode.seed for episode in episodes]),
        "lengths": torch.tensor([len(episode) for episode in episodes]),
        "terminated": torch.tensor([episode.terminated for episode in episodes]),
    }


def unpack_episodes(tensors: Mapping[str, Tensor]) -> list[Episode]:
    lengths = tensors["lengths"].tolist()
    frames = tensors["frames"].split([length + 1 for length in lengths])
    actions, rewards = (tensors[name].split(lengths) for name in ("actions", "rewards"))
    seeds, terminated = tensors["seeds"].tolist(), tensors["terminated"].tolist()
    parts = zip(seeds, frames, actions, rewards, terminated, strict=True)
    return [Episode(s, f.numpy(), a.numpy(), r.numpy(), t) for s, f, a, r, t in parts]
