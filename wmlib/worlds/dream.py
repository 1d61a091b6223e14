"""The dream: M's imagination, as a world like the game."""

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from wmlib.config import End
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.fields import ConfigError, as_seed
from wmlib.vae import VAE, sample_z, to_frames
from wmlib.worlds.imagination import Imagination
from wmlib.worlds.moments import DreamStarts
from wmlib.worlds.painting import Painter
from wmlib.worlds.world import Lanes

SIDE_BY_SIDE = 32
"""Lanes of the dreams in which an agent is scored. No machine has a say in it: another number rounds
otherwise, and a dream's score may then be another (see `DreamWorld`)."""


class DreamWorld(Lanes):
    """M's imagination as a game (section 4).

    All that is random in a dream follows from its seed, so that candidates in dreams of one seed meet
    the same noise. Dreams of different seeds never meet the same noise at the same time.

    Only dreams that go on are computed, all in one product, and how a product rounds may depend on how
    many rows it has. So how a dream ends may depend on how many lanes there are, and on when the others
    end: the same dreams in as many lanes give the same scores, but one of them alone may end otherwise.
    (A real game does not, see `CHUNK` in `wmlib.worlds.perception`. A generation of dreams in batches of
    that size would take twice as long.)

    Args:
        lanes: dreams that run side by side.
        horizon: steps after which a dream is truncated; by default the task's own number.
        tau: temperature of the mixture (see `sample_mixture`): a number, or one for each lane.
        end: cutoff ends the dream when M's probability of the end exceeds one half (the paper's way);
            sampled ends it with that probability, as the game would. Ends weighed more than other
            steps in M's training (`MDNRNN.done_positive_weight`), so M gives them odds too high by this
            factor; where the end is sampled, they are put right.
        painter: V, for those who want to look at the dream; the dream itself does without.
        dtype: in which M's products are computed.

    Raises:
        ConfigError: there are more or fewer temperatures than lanes.
    """

    _BLOCK = 50  # steps for which noise is drawn at once

    def __init__(
        self,
        mdnrnn: MDNRNN,
        starts: DreamStarts,
        lanes: int,
        horizon: int | None = None,
        tau: float | Sequence[float] = 1.0,
        end: End = "cutoff",
        painter: VAE | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        self.task = task = mdnrnn.task
        super().__init__(lanes, horizon or task.horizon)
        self.mdnrnn, self.painter, self.starts, self.end = mdnrnn, painter, starts, end
        self.imagination = Imagination(mdnrnn, lanes, dtype)
        self.tau = _for_each(tau, lanes)
        self._z = torch.zeros(lanes, task.z_size)
        self._h = torch.zeros(lanes, task.hidden_size)
        self._c = torch.zeros(lanes, task.hidden_size)
        self._fresh = np.zeros(lanes, bool)  # at a game's beginning, not somewhere amid it
        self._seeds = np.zeros(lanes, int)
        # Blocks of noise lie one behind the other, as many as there are lanes at most; lanes of one seed
        # and one time share theirs.
        self._uniform, self._normal = torch.empty(2, lanes * self._BLOCK, task.z_size)
        self._of_end = torch.empty(lanes * self._BLOCK)
        self._place_of: dict[tuple[int, int], int] = {}  # seed and number of the block, to its place
        self._place = np.full(lanes, -1)  # of each lane's block

    @property
    def z(self) -> Tensor:
        return self._z

    @torch.inference_mode()
    def reset(self, *, seed: Sequence[int | None], options: dict | None = None):
        """Start lanes anew: all, or those in options["reset_mask"] (bool)."""
        chosen = self._chosen(options)
        begun: dict[int, tuple[Tensor, Tensor, Tensor]] = {}  # lanes of one seed begin alike
        for lane in np.flatnonzero(chosen):
            self._seeds[lane] = number = as_seed(seed[lane])
            if number not in begun:
                begun[number] = self._first(number)
            self._z[lane], self._h[lane], self._c[lane] = begun[number]
            self._fresh[lane] = not (self._h[lane].any() or self._c[lane].any())
        self._begin(chosen)
        return self.features(), {}

    def _first(self, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Where the dream of this seed begins: z (Z,), h and c (H,)."""
        generator = torch.Generator().manual_seed(seed)
        row = int(torch.randint(len(self.starts.mu), (1,), generator=generator))
        z = sample_z(self.starts.mu[row], self.starts.logvar[row], generator)
        nothing = torch.zeros(self.task.hidden_size)
        h = nothing if self.starts.h is None else self.starts.h[row]
        c = nothing if self.starts.c is None else self.starts.c[row]
        return z, h, c

    @torch.inference_mode()
    def step(self, actions: Tensor):
        """One step of the dream. A finished lane stays as it is and earns 0."""
        active = ~self._over
        rewards, terminated = np.zeros(self.lanes), np.zeros(self.lanes, bool)
        if not active.any():
            return self.features(), rewards, terminated, terminated, {}
        # Only lanes that go on are computed: near the end of a generation they are few. As long as all
        # do, nothing is gathered.
        rows = slice(None) if active.all() else torch.from_numpy(np.flatnonzero(active))
        inputs = self.mdnrnn.inputs(self._z[rows], actions[rows], torch.from_numpy(self._fresh[active]))
        uniform, normal, of_end = self._step_noise(active)
        self._z[rows], self._h[rows], self._c[rows], heads = self.imagination(
            inputs, self._h[rows], self._c[rows], uniform, normal, self.tau[rows]
        )
        rewards[active] = self._reward(heads)
        terminated[active] = self._done(heads, of_end)
        self._fresh &= ~active
        truncated = self._advance(active, terminated)
        return self.features(), rewards, terminated, truncated, {}

    @torch.inference_mode()
    def pictures(self) -> np.ndarray:
        """z as V paints it, (lanes, 64, 64, 3) uint8."""
        if self.painter is None:
            raise ValueError("a dream has pictures only if it was made with painter=vae")
        return to_frames(self._hand.decode(self._z)).numpy()

    @cached_property
    def _hand(self) -> Painter:
        return Painter(self.painter)  # not before: most dreams are never looked at

    def features(self) -> Tensor:
        """What C is given now, (lanes, F)."""
        return self.task.features(self._z, self._h, self._c)

    def _reward(self, heads: Tensor) -> np.ndarray | float:
        if not self.task.predicts_reward:  # then to survive is what counts
            return 1.0
        return heads[:, 0].double().numpy()

    def _done(self, heads: Tensor, uniform: Tensor) -> np.ndarray | bool:
        if not self.task.predicts_done:
            return False
        logit = heads[:, -1]
        if self.end == "cutoff":
            return (logit > 0).numpy()
        return (uniform < (logit - math.log(self.mdnrnn.done_positive_weight)).sigmoid()).numpy()

    def _step_noise(self, active: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """The noise of this step in the active lanes (n of them), which follows from each lane's seed
        and time: uniform and normal (n, Z) for z, uniform (n,) for the end."""
        entering = np.flatnonzero(active & (self._t % self._BLOCK == 0))
        if len(entering):
            self._enter(entering, active)
        rows = torch.from_numpy(self._place[active] * self._BLOCK + self._t[active] % self._BLOCK)
        return self._uniform[rows], self._normal[rows], self._of_end[rows]

    def _enter(self, entering: np.ndarray, active: np.ndarray) -> None:
        """Give lanes that come to a new block theirs, in place of such as no lane is in any more."""
        self._place[entering] = -1
        taken = set(self._place[active].tolist())
        self._place_of = {key: place for key, place in self._place_of.items() if place in taken}
        free = (place for place in range(self.lanes) if place not in taken)
        for lane in entering:
            key = int(self._seeds[lane]), int(self._t[lane]) // self._BLOCK
            if key not in self._place_of:
                self._place_of[key] = next(free)
                self._draw(self._place_of[key], *key)
            self._place[lane] = self._place_of[key]

    def _draw(self, place: int, seed: int, block: int) -> None:
        """Fill a place with a block of noise."""
        # torch takes 32 bits of this. 1009 is odd, so of one block no two seeds have the same.
        generator = torch.Generator().manual_seed(seed * 1009 + block + 1)
        rows = slice(place * self._BLOCK, (place + 1) * self._BLOCK)
        shape = (self._BLOCK, self.task.z_size)
        self._uniform[rows] = torch.rand(shape, generator=generator)
        self._normal[rows] = torch.randn(shape, generator=generator)
        self._of_end[rows] = torch.rand(self._BLOCK, generator=generator)


def _for_each(tau: float | Sequence[float], lanes: int) -> Tensor:
    """The temperature of each lane, (lanes,)."""
    taus = torch.as_tensor(tau, dtype=torch.float64)
    if taus.dim() and len(taus) != lanes:
        raise ConfigError(f"tau has {len(taus)} values; it must have one for each of the {lanes} lanes")
    return taus.expand(lanes).clone()
