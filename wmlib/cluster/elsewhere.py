"""Worlds whose games are played elsewhere, as wholes, and come back as what came of them."""

from collections.abc import Iterator, Mapping
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
from wmlib.task import Task
from wmlib.worlds.perception import CHUNK
from wmlib.worlds.play import Elsewhere, Hearsay

_MOST_FRAMES = 5_000
"""In an answer that holds them: 61 MB."""


class Far(Elsewhere):
    """Games that a crew plays: the real game, or dreams.

    Args:
        crew: who plays. None plays them here, one part after the other.
        task: what is played. rules: what is alike in all games; whoever plays adds who that is.
        models: V (vae), M (mdnrnn) and beginnings of dreams (starts), those that are needed.
        batch: how many games make a part; by default as many as suit the crew. Dreams' scores depend on
            it, so they need one.
    """

    def __init__(
        self,
        crew: Crew | None,
        task: Task,
        rules: Rules,
        models: Mapping[str, object],
        batch: int | None = None,
    ):
        self.crew, self.task, self.rules = crew, task, rules
        self.models, self.batch, self.steps_played = dict(models), batch, 0
        packed = {kind: pack_weights(model) for kind, model in self.models.items()} if crew else {}
        self.digests = {kind: digest for kind, (digest, _) in packed.items()}
        self.weights = dict(packed.values())

    def play(
        self,
        controller: Controller,
        params: Tensor,
        seeds: np.ndarray,
        patience: int,
        charge: bool,
        hearsay: Hearsay,
    ) -> np.ndarray:
        rules = replace(
            self.rules,
            controller=controller.config,
            patience=patience,
            charge=charge,
            jerks=bool(hearsay.jerks),
        )
        order = self._order(rules, seeds.ravel(), params, np.arange(seeds.size) // seeds.shape[1])
        return self._returns(order, hearsay).reshape(seeds.shape)

    def record(
        self,
        controller: Controller,
        params: Tensor,
        seeds: np.ndarray,
        patience: int,
        hearsay: Hearsay,
    ) -> Sequences:
        rules = replace(self.rules, keep="sequences", controller=controller.config, patience=patience)
        parts = {}
        for first, tensors in self._played(self._order(rules, seeds, params, np.arange(len(seeds)))):
            parts[first] = unpack_sequences(tensors)
            for game, total in enumerate(parts[first].returns, first):
                hearsay.end(game, float(total))
        return join([parts[first] for first in sorted(parts)])

    def blind_returns(self, seeds: np.ndarray, hearsay: Hearsay) -> np.ndarray:
        """Scores (G,) of the policy that the rules name."""
        order = self._order(self.rules, seeds, torch.zeros(1, 0), np.zeros(len(seeds), int))
        return self._returns(order, hearsay)

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

    def _returns(self, order: Order, hearsay: Hearsay) -> np.ndarray:
        returns = np.empty(len(order))
        for first, tensors in self._played(order):
            part = tensors["returns"]
            returns[first : first + len(part)] = part.numpy()
            jerks = tensors["jerks"] if order.rules.jerks else torch.zeros(len(part))
            for game, (total, jerk) in enumerate(zip(part.tolist(), jerks.tolist(), strict=True), first):
                hearsay.end(game, total, jerk)
        return returns

    def _order(self, rules: Rules, seeds: np.ndarray, params: Tensor, whose: np.ndarray) -> Order:
        return Order(self.task, rules, np.asarray(seeds), params, whose, self.digests)

    def _played(self, order: Order) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """The number of each part's first game, and what came of the part."""
        size = self.batch or self._size(order)
        firsts = range(0, len(order), size)
        parts = [order.part(first, size) for first in firsts]
        for number, tensors in self._each(parts):
            self.steps_played += int(tensors.pop("steps"))
            yield firsts[number], tensors

    def _each(self, parts: list[Order]) -> Iterator[tuple[int, dict[str, Tensor]]]:
        if self.crew:
            yield from self.crew.play(parts, self.weights)
        else:
            for number, part in enumerate(parts):
                yield number, play_order(part, self.models, _no_games)

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
