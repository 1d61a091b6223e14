"""Games to be played, as data: whoever plays them, wherever and in whatever parts, the same comes back.

That holds for the real game, in which each game's score follows from its seed and its player alone. Of
dreams it holds as long as they are cut alike (see `wmlib.worlds.dream`).
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from wmlib.cluster.kind import game_of
from wmlib.config import ControllerConfig, End
from wmlib.controller import Controller
from wmlib.data.episodes import Episode
from wmlib.data.sequences import Sequences
from wmlib.envs.games import GameKind, GameSpec, ManyGames
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.files import pack, unpack
from wmlib.task import Policy, Task
from wmlib.vae import VAE
from wmlib.worlds.dream import DreamWorld
from wmlib.worlds.dropout import open_dream
from wmlib.worlds.moments import DreamStarts
from wmlib.worlds.noisy import NoisyController
from wmlib.worlds.perception import CHUNK
from wmlib.worlds.play import Jerks, PolicyPlayer, play, play_games
from wmlib.worlds.real import FrameWorld, RealWorld
from wmlib.worlds.record import EpisodeRecorder, record

Keep = Literal["returns", "sequences", "episodes"]
"""What comes back of a game: its score; what V saw of it; or all its frames, actions and rewards."""


@dataclass(frozen=True)
class Dreaming:
    """How dreams go (see `DreamWorld` and `DropoutDream`). dtype: the name of torch's number format."""

    tau: float
    end: End
    dtype: str
    dropout: float = 0.0


@dataclass(frozen=True)
class Rules:
    """What is alike in all games of an order.

    horizon: frames after which a game is cut. game: which implementation of it. options: of the game,
    beside those that its task fixes. dream: how dreams go, where it is they that are played.
    controller: the shape of C, where C plays; else `policy` does, one of the task's. noise: where it is
    C, how much of the task's first explorer is in its actions: it then sees bare frames.
    patience, charge: see `play_games`. jerks: whether what `Jerks` counts comes back too.
    """

    horizon: int
    keep: Keep = "returns"
    game: GameKind = "exact"
    options: Mapping[str, object] = field(default_factory=dict)
    dream: Dreaming | None = None
    controller: ControllerConfig | None = None
    policy: str = ""
    noise: float | None = None
    patience: int = 0
    charge: bool = False
    jerks: bool = False


@dataclass(frozen=True)
class Order:
    """Games of a task to be played.

    seeds: (G,). params: (P, D), controllers. whose: (G,), the controller of each game, by its row.
    weights: digests by kind (vae, mdnrnn, starts) of what the players need.
    """

    task: Task
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
        said = {
            "rules": asdict(self.rules),
            "weights": dict(self.weights),
            "task": self.task.source or self.task.name,
            "game": game_of(self.task),
        }
        return pack(tensors, said | about)

    @classmethod
    def unpack(cls, tensors: Mapping[str, Tensor], about: Mapping, task: Task) -> "Order":
        """What `pack` made.

        Args:
            tensors, about: as `wmlib.runtime.files.unpack` reads them. task: the one that they name.
        """
        dream, controller = about["rules"]["dream"], about["rules"]["controller"]
        nested = {
            "dream": dream and Dreaming(**dream),
            "controller": controller and ControllerConfig(**controller),
        }
        rules = Rules(**{**about["rules"], **nested})
        seeds, whose = tensors["seeds"].numpy(), tensors["whose"].numpy()
        return cls(task, rules, seeds, tensors["params"], whose, about["weights"])


# V, M and the beginnings of dreams, on their way


def pack_weights(model: VAE | MDNRNN | DreamStarts) -> tuple[str, bytes]:
    """Their digest, and they themselves, to be sent."""
    if isinstance(model, DreamStarts):
        tensors = {name: value for name, value in vars(model).items() if value is not None}
        content = pack(tensors, {"kind": "starts"})
    elif isinstance(model, VAE):
        content = pack(model.state_dict(), {"kind": "vae"})
    else:
        # M knows its game, and is another for one that was edited.
        about = {"kind": "mdnrnn", "game": game_of(model.task)}
        content = pack(model.state_dict(), about | {"done_positive_weight": model.done_positive_weight})
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
    order: Order, models: Mapping[str, object], open_games: Callable[[GameSpec], ManyGames]
) -> dict[str, Tensor]:
    """Play all games of an order, here.

    Args:
        models: V, M and beginnings of dreams by kind, those that the order names.
        open_games: gives real games to play in, `CHUNK` lanes.

    Returns:
        of what is to be kept, tensors by name, the games' in their order; and their steps, all together.
    """
    rules = order.rules
    if rules.dream:
        dream, starts = rules.dream, models["starts"]
        world = open_dream(
            models["mdnrnn"], starts, len(order), rules.horizon, dream.tau, dream.end,
            dtype=getattr(torch, dream.dtype), dropout=dream.dropout,
        )  # fmt: skip
        came = _returns(order, world)
    else:
        games = open_games(order.task.game(rules.game).with_options(rules.options))
        if rules.controller is None or rules.noise is not None:
            world = FrameWorld(games, CHUNK, 1, rules.horizon)
            came = _by_policy(order, models, world)
        else:
            world = RealWorld(models["vae"], models["mdnrnn"], CHUNK, 1, rules.horizon, games)
            came = _returns(order, world) if rules.keep == "returns" else _sequences(order, world)
    return came | {"steps": torch.tensor(world.steps_played)}


def _shape(order: Order) -> Controller:
    return Controller(order.task, order.rules.controller)


def _returns(order: Order, world: DreamWorld | RealWorld) -> dict[str, Tensor]:
    rules, params = order.rules, order.params[torch.from_numpy(order.whose)]
    jerks = Jerks(len(order))
    watching = [jerks] if rules.jerks else []
    seeds = order.seeds[:, None]
    returns = play(world, _shape(order), params, seeds, rules.patience, watching, rules.charge)
    counted = {"jerks": torch.from_numpy(jerks.totals)} if rules.jerks else {}
    return {"returns": torch.from_numpy(returns[:, 0]), **counted}


def _sequences(order: Order, world: RealWorld) -> dict[str, Tensor]:
    params = order.params[torch.from_numpy(order.whose)]
    return pack_sequences(record(world, _shape(order), params, order.seeds, order.rules.patience))


def _by_policy(order: Order, models: Mapping, world: FrameWorld) -> dict[str, Tensor]:
    rules, task, kept = order.rules, order.task, {}

    def keep(episode: Episode) -> None:
        kept[episode.seed] = episode

    policy: Policy
    if rules.noise is None:
        policy = task.policies()[rules.policy](task, world.lanes)
    else:
        V, M = models["vae"], models["mdnrnn"]
        policy = NoisyController(V, M, _shape(order), order.params, world.lanes, rules.noise)
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
