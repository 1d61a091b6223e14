"""How an agent sees the real game: frames through V, and what M remembers of them."""

import numpy as np
import torch
from torch import Tensor

from wmlib.mdnrnn import MDNRNN
from wmlib.vae import VAE, to_images
from wmlib.worlds.imagination import Stepper

CHUNK = 32
"""V and M run on batches of exactly so many, filled up if need be. A product's rounding may depend on
the size of its batch; with one size, scores do not depend on how many games are open."""


class Perception:
    """V and M as an agent carries them: z of the last frame, and the memory h, c of all before it.

    Args:
        chunk: size of the batches. Another one than `CHUNK` is for those who look on, not for scores.
    """

    def __init__(self, vae: VAE, mdnrnn: MDNRNN, lanes: int, chunk: int = CHUNK):
        self.task, self.vae, self.mdnrnn, self.chunk = mdnrnn.task, vae.eval(), mdnrnn, chunk
        self.cell = Stepper(mdnrnn)
        self.lanes = lanes
        padded = -(-lanes // chunk) * chunk
        self._z = torch.zeros(padded, self.task.z_size)
        self._logvar = torch.zeros(padded, self.task.z_size)
        self._h = torch.zeros(padded, self.task.hidden_size)
        self._c = torch.zeros(padded, self.task.hidden_size)
        self._fresh = torch.zeros(padded, dtype=torch.bool)

    @property
    def z(self) -> Tensor:
        return self._z[: self.lanes]

    @property
    def logvar(self) -> Tensor:
        """How unsure V is of z: the logarithm of its variance, (lanes, Z)."""
        return self._logvar[: self.lanes]

    @property
    def memory(self) -> tuple[Tensor, Tensor]:
        """M's memory of all before the last frame: h and c, (lanes, H) each."""
        return self._h[: self.lanes], self._c[: self.lanes]

    @torch.inference_mode()
    def restart(self, lanes: np.ndarray, frames: np.ndarray) -> None:
        """Empty the memory of the chosen lanes (bool) and look at their first frames."""
        chosen = torch.from_numpy(np.flatnonzero(lanes))
        self._h[chosen] = 0
        self._c[chosen] = 0
        self._fresh[chosen] = True
        self.see(lanes, frames)

    @torch.inference_mode()
    def see(self, lanes: np.ndarray, frames: np.ndarray) -> None:
        """Encode the chosen lanes' frames; z is V's mean, without noise."""
        chosen = np.flatnonzero(lanes)
        for start in range(0, len(chosen), self.chunk):
            part = chosen[start : start + self.chunk]
            batch = np.zeros((self.chunk, *frames.shape[1:]), np.uint8)
            batch[: len(part)] = frames[part]
            mu, logvar = self.vae.encode(to_images(torch.from_numpy(batch)))
            self._z[torch.from_numpy(part)] = mu[: len(part)]
            self._logvar[torch.from_numpy(part)] = logvar[: len(part)]

    @torch.inference_mode()
    def advance(self, actions: Tensor) -> None:
        """M's one step, with (z_t, a_t)."""
        padded = torch.zeros(len(self._z), self.task.action_size)
        padded[: self.lanes] = actions
        inputs = self.mdnrnn.inputs(self._z, padded, self._fresh)
        for start in range(0, len(inputs), self.chunk):
            rows = slice(start, start + self.chunk)
            self._h[rows], self._c[rows] = self.cell(inputs[rows], self._h[rows], self._c[rows])
        self._fresh[:] = False

    def features(self) -> Tensor:
        """What C is given, (lanes, F)."""
        return self.task.features(self._z, self._h, self._c)[: self.lanes]
