"""The coordinates in which CMA-ES searches for C."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wmlib.agent import Agent
from wmlib.config import Coordinates, Precision
from wmlib.controller import Controller
from wmlib.data.sequences import Sequences
from wmlib.evolution.advantage import advantages, telling_moments
from wmlib.runtime.device import dream_dtype
from wmlib.runtime.seeds import generator_of
from wmlib.worlds.moments import features_at, features_of

LAG = 10
"""Frames ahead that `SearchSpace.predictive` looks: a fifth of a second, a car's length or two."""
RIDGE = 0.02
"""Of `SearchSpace.advantageous`: the penalty, as a share of the features' variance."""


@dataclass(frozen=True)
class SearchSpace:
    """The coordinates x in which CMA-ES moves the first layer of C.

    CMA-ES steps equally far in every direction, yet features differ a hundredfold in size, the 256 of h
    repeat one another, and the largest tell mostly where the car is on the road, not how fast it goes or
    how the road bends. So x weighs combinations of features chosen for what they foretell. The way back
    is linear: what comes out is an ordinary C on the plain features.

        C's parameters = origin + into(x)

    mean: (F,). basis: (F, n), maps weights on combinations to weights on features.
    """

    controller: Controller
    origin: Tensor
    mean: Tensor
    basis: Tensor

    @classmethod
    def plain(cls, controller: Controller, origin: Tensor) -> "SearchSpace":
        """No change of coordinates: what the paper does. origin: (D,), where the search begins."""
        size = controller.feature_size
        return cls(controller, origin, torch.zeros(size), torch.eye(size))

    @classmethod
    def predictive(
        cls, controller: Controller, origin: Tensor, episodes: Sequence[Tensor], components: int | None
    ) -> "SearchSpace":
        """The `components` (None: all) combinations of features that best foretell the features to come.

        These are the canonical correlations between the features now and LAG frames later, scaled to
        deviation 1: first what can be foretold best.

        Args:
            episodes: features of each, (T, F).
        """
        episodes = [e[:, controller.sees].double() for e in episodes if len(e) > LAG]
        if not episodes:
            raise ValueError(f"predictive needs an episode longer than {LAG} frames")
        every = torch.cat(episodes)
        mean = every.mean(0)
        variance, directions = torch.linalg.eigh((every - mean).T @ (every - mean) / len(every))
        # A direction of next to no size would be blown up to noise; below this it keeps its size.
        whiten = directions / variance.clamp(min=1e-4 * float(variance[-1])).sqrt()
        now = (torch.cat([e[:-LAG] for e in episodes]) - mean) @ whiten
        later = (torch.cat([e[LAG:] for e in episodes]) - mean) @ whiten
        foretelling, _, _ = torch.linalg.svd(now.T @ later / len(now))
        basis = whiten @ foretelling[:, :components]
        return cls._scaled(controller, origin, mean, basis, ((every - mean) @ basis).std(0))

    @classmethod
    def advantageous(
        cls,
        controller: Controller,
        origin: Tensor,
        features: Tensor,
        advantages: Tensor,
        components: int | None,
    ) -> "SearchSpace":
        """The `components` (None: all there are) combinations of features that best tell which action
        is better.

        The advantages are foretold from the features by ridge regression; the combinations are the
        principal components of what it foretells (reduced-rank regression), scaled to deviation 1: first
        what tells most.

        Args:
            features: at some moments, (n, F). advantages: there, (n, k), in any unit (see
                `wmlib.evolution.advantage`). There are at most k combinations.
        """
        x, y = features[:, controller.sees].double(), advantages.double()
        mean, deviation = x.mean(0), x.std(0)
        # A feature that hardly moves would be blown up to noise.
        deviation = deviation.clamp(min=1e-2 * float(deviation.median()) + 1e-12)
        x = (x - mean) / deviation
        y = (y - y.mean(0)) / y.std(0).clamp(min=1e-12)
        gram = x.T @ x / len(x) + RIDGE * torch.eye(x.shape[1], dtype=x.dtype)
        weights = torch.linalg.solve(gram, x.T @ y / len(x))  # (F, k)
        _, _, telling = torch.linalg.svd(x @ weights, full_matrices=False)
        basis = weights @ telling[:components].T
        return cls._scaled(controller, origin, mean, basis / deviation[:, None], (x @ basis).std(0))

    @classmethod
    def _scaled(
        cls, controller: Controller, origin: Tensor, mean: Tensor, basis: Tensor, deviation: Tensor
    ) -> "SearchSpace":
        """Each combination divided by its deviation."""
        basis = basis / deviation
        # The sign of a direction is anybody's choice: make it ours.
        basis = basis * basis.gather(0, basis.abs().argmax(0, keepdim=True)).sign()
        return cls(controller, origin, mean.float(), basis.float())

    @property
    def _rest(self) -> int:
        """Numbers in C after the first layer's weights and bias, searched as they are."""
        inputs, outputs = self.controller.layers[0]
        return self.controller.size - inputs * outputs - self.controller.config.bias * outputs

    @property
    def size(self) -> int:
        """How many coordinates there are."""
        outputs = self.controller.layers[0][1]
        weights = self.basis.shape[1] * outputs
        return weights + self.controller.config.bias * outputs + self._rest

    def params(self, x: np.ndarray) -> Tensor:
        """x (P, size) to C's parameters (P, D) float32."""
        x = torch.as_tensor(np.asarray(x), dtype=torch.float64)
        count, outputs = self.basis.shape[1], self.controller.layers[0][1]
        weight = x[:, : count * outputs].view(-1, count, outputs)  # (P, n, A)
        weight = torch.einsum("fn,pna->pfa", self.basis.double(), weight)  # (P, F, A)
        parts = [weight.flatten(1)]
        start = count * outputs
        if self.controller.config.bias:
            shift = torch.einsum("f,pfa->pa", self.mean.double(), weight)
            parts.append(x[:, start : start + outputs] - shift)
            start += outputs
        parts.append(x[:, start:])
        return (self.origin.double() + torch.cat(parts, 1)).float()


GAMES_SEEN = 512
"""Games to which coordinates are fitted: enough of them, and they fit into memory."""
MOMENTS = 32
"""Moments of each of them about which M is asked. Of fewer games, as often more: there have to be many
times as many moments as features, or the fit is noise."""


def fitted_space(
    coordinates: Coordinates,
    agent: Agent,
    look: Callable[[], Sequences],
    seed: int,
    precision: Precision = "float32",
) -> SearchSpace:
    """The coordinates that are asked for. Those that are combinations are fitted to games.

    Args:
        agent: the search begins at its C. look: gives games such as C will see; called if need be.
        precision: of the dreams in which the agent's M is asked.
    """
    controller, origin, mdnrnn = agent.controller, agent.params, agent.mdnrnn
    if coordinates.kind == "weights":
        return SearchSpace.plain(controller, origin)
    rng = np.random.default_rng(seed)
    seen = look().some(rng, GAMES_SEEN)
    if coordinates.kind == "predictive":
        return SearchSpace.predictive(controller, origin, features_of(mdnrnn, seen), coordinates.count)
    games, steps = len(seen.lengths), sum(seen.lengths)
    # More often than at every other step, the moments of a game would only repeat one another.
    each = max(1, min(MOMENTS * (GAMES_SEEN // games), steps // (2 * games)))
    at = telling_moments(mdnrnn, seen, rng, each)
    # The key's word is an older name of noise; with another the shipped agent would not come out again.
    worth = advantages(mdnrnn, at, generator_of(seed, "luck"), dtype=dream_dtype(precision))
    features = features_at(at, mdnrnn.task)
    return SearchSpace.advantageous(controller, origin, features, worth, coordinates.count)
