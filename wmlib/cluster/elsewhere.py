"""Worlds whose games are played elsewhere, as wholes, and come back as what came of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from wmlib.cluster.crew import Crew
from wmlib.cluster.order import (
    Order,
    Rules,
    pack_weights,
    play_order,
    unpack_episodes,
    unpack_sequences,
)
from wmlib.controller import Controller
from wmlib.data.episodes import Episode
from wmlib.data.sequences import Sequences, join
from wmlib.worlds.perception import CHUNK
from wmlib.worlds.play import Elsewhere

_MOST_FRAMES = 5_000
"""In an answer that holds them: 61 MB."""


class Far(Elsewhere):
    """Games that a crew plays: the real game, or dreams.

    Args:
        crew: who plays. None plays them here, one part after the other.
        rules: what is alike in all games; whoever plays in it adds who that is.
        models: V (vae), M (mdnrnn) and beginnings of dreams (starts), those that are needed.
        batch: how many games make a part; by default as many as suit the crew. Dreams' scores depend on
            it, so they need one.
    """

    def __init__(
        self, crew: Crew | None, rules: Rules, models: Mapping[str, object], batch: int | None = None
    ):
        self.crew, self.rules, self.models, self.batch = crew, rules, dict(models), batch
        packed = {kind: pack_weights(model) for kind, model in self.models.items()} if crew else {}
        self.digests = {kind: digest for kind, (digest, _) in packed.items()}
        self.weights = dict(packed.values())

    def play(
        self,
        controller: Controller,
        params: Tensor,
        seeds: np.ndarray,
        patience: int,
        tell: Callable[[int, float], None],
    ) -> np.ndarray:
        rules = replace(self.rules, controller=controller.config, patience=patience)
        order = self._order(rules, seeds.ravel(), params, np.arange(seeds.size) // seeds.shape[1])
        return self._returns(order, tell).reshape(seeds.shape)

    def record(
        self,
        controller: Controller,
        params: Tensor,
        seeds: np.ndarray,
        patience: int,
        tell: Callable[[int, float], None],
    ) -> Sequences:
        rules = replace(self.rules, keep="sequences", controller=controller.config, patience=patience)
        parts = {}
        for first, tensors in self._played(self._order(rules, seeds, params, np.arange(len(seeds)))):
            parts[first] = unpack_sequences(tensors)
            for game, total in enumerate(parts[first].returns, first):
                tell(game, float(total))
        return join([parts[first] for first in sorted(parts)])

    def blind_returns(self, seeds: np.ndarray, tell: Callable[[int, float], None]) -> np.ndarray:
        """Scores (G,) of the policy that the rules name."""
        order = self._order(self.rules, seeds, torch.zeros(1, 0), np.zeros(len(seeds), int))
        return self._returns(order, tell)

    def episodes(self, seeds: np.ndarray, params: Tensor | None = None) -> Iterator[Episode]:
        """Games of the explorer that the rules name, in whatever order they come.

        Args:
            params: C, (D,), where it is C that explores.
        """
        params = torch.zeros(1, 0) if params is None else params[None]
        order = self._order(
            replace(self.rules, keep="episodes"), seeds, params, np.zeros(len(seeds), int)
        )
        for _, tensors in self._played(order):
            yield from unpack_episodes(tensors)

    def _returns(self, order: Order, tell: Callable[[int, float], None]) -> np.ndarray:
        returns = np.empty(len(order))
        for first, tensors in self._played(order):
            part = tensors["returns"].numpy()
            returns[first : first + len(part)] = part
            for game, total in enumerate(part, first):
                tell(game, float(total))
        return returns

    def _order(self, rules: Rules, seeds: np.ndarray, params: Tensor, whose: np.ndarray) -> Order:
        return Order(rules, np.asarray(seeds), params, whose, self.digests)

    def _played(self, order: Order) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """The number of each part's first game, and what came of the part."""
        size = self.batch or self._size(order)
        firsts = range(0, len(order), size)
        parts = [order.part(first, size) for first in firsts]
        if self.crew is None:
            for first, part in zip(firsts, parts, strict=True):
                yield first, play_order(part, self.models, _no_games)
            return
        for number, tensors in self.crew.play(parts, self.weights):
            yield firsts[number], tensors

    def _size(self, order: Order) -> int:
        """As many as V and M see at once; fewer where that leaves a worker idle, or where too much would
        come back."""
        workers = max(1, self.crew.workers())
        parts = max(-(-len(order) // CHUNK), min(workers, len(order)))
        size = -(-len(order) // parts)
        if order.rules.keep == "episodes":
            size = min(size, max(1, _MOST_FRAMES // order.rules.horizon))
        return size


def _no_games(*_) -> None:
    raise ValueError("only dreams are played here in parts; a real game needs a crew")
