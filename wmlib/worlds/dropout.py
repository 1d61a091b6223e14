"""Dreams in which part of what M knows is missing (after Wellmer and Kwok, 2021, arXiv:2109.08342)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from wmlib.worlds.dream import DreamWorld


def open_dream(*args, dropout: float = 0.0, **options) -> DreamWorld:
    """A dream in which so much is missing; the arguments are those of `DreamWorld`."""
    if dropout:
        return DropoutDream(*args, dropout=dropout, **options)
    return DreamWorld(*args, **options)


class DropoutDream(DreamWorld):
    """A dream whose z and h lack some of their numbers, from its beginning to its end.

    Which ones, follows from the dream's seed; the others are made larger, so that on average nothing
    changes. Each dream is then another variation of M's world. What works only because of an error
    of M's does not work in all of them.

    Args:
        dropout: share of the numbers that are missing. The others are those of `DreamWorld`.
    """

    def __init__(self, *args, dropout: float, **options):
        super().__init__(*args, **options)
        self.dropout = dropout
        self._keep_z, self._keep_h = torch.ones_like(self._z), torch.ones_like(self._h)

    @torch.inference_mode()
    def reset(self, *, seed: Sequence[int | None], options: dict | None = None):
        """Start lanes anew: all, or those in options["reset_mask"] (bool)."""
        super().reset(seed=seed, options=options)
        kept: dict[int, tuple[Tensor, Tensor]] = {}
        for lane in np.flatnonzero(self._chosen(options)):
            number = int(self._seeds[lane])
            if number not in kept:
                kept[number] = self._kept(number)
            self._keep_z[lane], self._keep_h[lane] = kept[number]
            self._z[lane] *= self._keep_z[lane]
            self._h[lane] *= self._keep_h[lane]
        return self.features(), {}

    @torch.inference_mode()
    def step(self, actions: Tensor):
        """One step of the dream. A finished lane stays as it is and earns 0."""
        active = torch.from_numpy(np.flatnonzero(~self._over))
        _, *rest = super().step(actions)
        self._z[active] *= self._keep_z[active]
        self._h[active] *= self._keep_h[active]
        return self.features(), *rest

    def _kept(self, seed: int) -> tuple[Tensor, Tensor]:
        """0 for what is missing in the dream of this seed, else 1 / (1 - dropout): (Z,) and (H,)."""
        generator = torch.Generator().manual_seed(seed * 1009)  # block 0: no noise is drawn from it
        drawn = torch.rand(self.task.z_size + self.task.hidden_size, generator=generator)
        kept = (drawn >= self.dropout).float() / (1 - self.dropout)
        return kept[: self.task.z_size], kept[self.task.z_size :]
