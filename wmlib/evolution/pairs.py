"""A search by mirrored pairs: a step this way and the same step back, on the same tracks.

What a pair tells is which way is up. The luck of its tracks falls away in the difference, so each pair
may drive tracks of its own, and a generation sees many of them. (The idea is that of evolution
strategies with antithetic noise: Salimans et al., 2017, and Mania et al., 2018, who call it augmented
random search; the step of fixed length follows Toklu et al., 2020, ClipUp.)
"""

import numpy as np

_MOMENTUM = 0.9
_PACE = 1 / 15  # the largest step of the mean, as a share of a candidate's mean distance from it


class MirroredPairs:
    """Asks and is told like pycma's strategies, which are told costs: less is better.

    Args:
        size: numbers in a candidate. population: candidates, an even number. sigma: the deviation of
            each of their numbers; it stays as it is. rng: draws them.
    """

    def __init__(self, size: int, population: int, sigma: float, rng: np.random.Generator):
        self.sigma, self.rng = sigma, rng
        self.mean, self._velocity = np.zeros(size), np.zeros(size)
        self._pairs = population // 2
        self._longest = _PACE * sigma * np.sqrt(size)

    def ask(self) -> np.ndarray:
        """Candidates (population, size): 0 and 1 are a pair, 2 and 3, and so on."""
        step = self.sigma * self.rng.standard_normal((self._pairs, len(self.mean)))
        return self.mean + np.stack([step, -step], 1).reshape(2 * self._pairs, -1)

    def tell(self, candidates: np.ndarray, costs: list[float]) -> None:
        """Move the mean. costs: (population,)."""
        this, other = np.reshape(costs, (-1, 2)).T
        better = other - this
        # By rank, so that one lucky pair does not weigh as much as ten others.
        rank = np.empty(self._pairs)
        rank[np.argsort(np.abs(better), kind="stable")] = np.arange(1, self._pairs + 1)
        steps = np.asarray(candidates)[::2] - self.mean
        uphill = (np.sign(better) * rank) @ steps
        length = np.linalg.norm(uphill)
        if length > 0:
            uphill *= self._longest / 2 / length
        self._velocity = _MOMENTUM * self._velocity + uphill
        length = np.linalg.norm(self._velocity)
        if length > self._longest:
            self._velocity *= self._longest / length
        self.mean = self.mean + self._velocity
