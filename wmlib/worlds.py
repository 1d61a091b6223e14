"""The real game and the dream, as the same kind of thing.

A world yields features [z, h] and takes actions. `RealWorld` gets z from frames through V; `DreamWorld`
gets z from M's own prediction. Both follow Gymnasium's vector API with autoreset disabled, so that who
acts, evolves or evaluates need never ask which one it is in.

The order inside a step: C acts on (z_t, h_t); the world moves; M advances once with (z_t, a_t), which
gives h_{t+1}; and z_{t+1} is there. See `tests/unit/test_worlds.py` for the alignment.
"""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from wmlib.config import End
from wmlib.controller import Controller
from wmlib.envs import GameKind, open_games
from wmlib.mdnrnn import MDNRNN, Imagination
from wmlib.moments import DreamStarts
from wmlib.perception import CHUNK, Perception
from wmlib.vae import VAE, sample_z, to_frames


class World(Protocol):
    """What `RealWorld` and `DreamWorld` have in common: Gymnasium's vector API, in tensors."""

    lanes: int

    def reset(
        self, *, seed: Sequence[int | None], options: dict | None = None
    ) -> tuple[Tensor, dict]: ...

    def step(self, actions: Tensor) -> tuple[Tensor, np.ndarray, np.ndarray, np.ndarray, dict]: ...

    def stop(self, lanes: np.ndarray) -> None: ...

    def pictures(self) -> np.ndarray: ...


class RealWorld:
    """The game itself, seen through V and remembered by M.

    Args:
        lanes: games open at once. workers: processes that share them.
        horizon: frames after which an episode is truncated.
        kind: which implementation of the game.
        chunk: size of the batches of V and M (see `Perception`).
    """

    def __init__(
        self,
        vae: VAE,
        mdnrnn: MDNRNN,
        lanes: int,
        workers: int,
        horizon: int | None = None,
        kind: GameKind = "exact",
        chunk: int = CHUNK,
    ):
        self.task, self.lanes = mdnrnn.task, lanes
        self.horizon = horizon or self.task.horizon
        self.perception = Perception(vae, mdnrnn, lanes, chunk)
        self.games = open_games(self.task.name, lanes, workers, kind, self.task.game_options)
        self.frames: np.ndarray | None = None
        self._over = np.ones(lanes, bool)
        self._t = np.zeros(lanes, int)

    def reset(self, *, seed: Sequence[int | None], options: dict | None = None):
        """Start lanes anew: all, or those in options["reset_mask"] (bool)."""
        mask = _reset_mask(options, self.lanes)
        self.frames = self.games.reset([s if m else None for s, m in zip(seed, mask, strict=True)])
        self.perception.restart(mask, self.frames)
        self._over[mask] = False
        self._t[mask] = 0
        return self.perception.features(), {}

    def step(self, actions: Tensor):
        """One frame. A finished lane stays as it is and earns 0."""
        active = ~self._over
        self.frames, rewards, terminated = self.games.step(actions.numpy(), active)
        self.perception.advance(actions)
        self.perception.see(active, self.frames)
        self._t += active
        truncated = active & ~terminated & (self._t >= self.horizon)
        self._over |= terminated | truncated
        return self.perception.features(), rewards, terminated, truncated, {}

    def stop(self, lanes: np.ndarray) -> None:
        """End the episodes in the chosen lanes (bool) here and now."""
        self._over |= lanes

    def pictures(self) -> np.ndarray:
        """What the agent looks at now, (lanes, 64, 64, 3) uint8."""
        return self.frames.copy()

    def close(self) -> None:
        self.games.close()

    def __enter__(self) -> "RealWorld":
        return self

    def __exit__(self, *_) -> None:
        self.close()


class DreamWorld:
    """M's imagination as a game (section 4).

    All that is random in a dream follows from its seed, so that candidates in dreams of one seed meet
    the same luck.

    Args:
        horizon: steps after which a dream is truncated.
        temperature: tau, for the mixture (see `sample_mixture`).
        end: cutoff ends the dream when M's probability of the end exceeds one half (the paper's way);
            sampled ends it with that probability, as the game would.
        end_weight: how much more the ends weighed than other steps in M's training
            (`MDNRNNConfig.done_positive_weight`). M then gives them odds too high by this factor; where
            the end is sampled, they are put right.
        dtype: in which M's products are computed.
        painter: V, for those who want to look at the dream; the dream itself does without.
    """

    _BLOCK = 50  # steps for which noise is drawn at once

    def __init__(
        self,
        mdnrnn: MDNRNN,
        starts: DreamStarts,
        lanes: int,
        horizon: int | None = None,
        temperature: float = 1.0,
        end: End = "cutoff",
        end_weight: float = 1.0,
        painter: VAE | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        self.task, self.lanes = mdnrnn.task, lanes
        self.painter, self.starts = painter, starts
        self.imagination = Imagination(mdnrnn, lanes, temperature, dtype)
        self.horizon = horizon or self.task.horizon
        self.end, self.end_weight = end, end_weight
        self._z = torch.zeros(lanes, self.task.z_size)
        self._h = torch.zeros(lanes, self.task.hidden_size)
        self._c = torch.zeros(lanes, self.task.hidden_size)
        self._over = np.ones(lanes, bool)
        self._fresh = np.zeros(lanes, bool)  # at a game's beginning, not somewhere amid it
        self._t = np.zeros(lanes, int)
        self._seeds = np.zeros(lanes, int)
        self._noise: dict[tuple[int, int], tuple[Tensor, Tensor, Tensor]] = {}

    @property
    def z(self) -> Tensor:
        return self._z

    @torch.inference_mode()
    def reset(self, *, seed: Sequence[int | None], options: dict | None = None):
        """Start lanes anew: all, or those in options["reset_mask"] (bool)."""
        first: dict[int, tuple[Tensor, int]] = {}
        for lane in np.flatnonzero(_reset_mask(options, self.lanes)):
            s = int(seed[lane])
            if s not in first:
                generator = torch.Generator().manual_seed(s)
                row = int(torch.randint(len(self.starts.mu), (1,), generator=generator))
                first[s] = sample_z(self.starts.mu[row], self.starts.logvar[row], generator), row
            (self._z[lane], row), self._seeds[lane] = first[s], s
            self._h[lane] = 0 if self.starts.h is None else self.starts.h[row]
            self._c[lane] = 0 if self.starts.c is None else self.starts.c[row]
            self._fresh[lane] = not (self._h[lane].any() or self._c[lane].any())
            self._t[lane], self._over[lane] = 0, False
        self._noise.clear()
        return self._features(), {}

    @torch.inference_mode()
    def step(self, actions: Tensor):
        """One step of the dream. A finished lane stays as it is and earns 0."""
        active = ~self._over
        rewards, terminated = np.zeros(self.lanes), np.zeros(self.lanes, bool)
        if not active.any():
            return self._features(), rewards, terminated, terminated, {}
        # Only lanes that go on are computed: near the end of a generation they are few.
        rows = torch.from_numpy(np.flatnonzero(active))
        inputs = [self._z[rows], actions[rows]]
        if self.task.restart_input:
            inputs.append(torch.from_numpy(self._fresh[active]).float()[:, None])
        uniform, normal, luck = self._step_noise(active)
        self._z[rows], self._h[rows], self._c[rows], heads = self.imagination(
            torch.cat(inputs, 1), self._h[rows], self._c[rows], uniform, normal
        )
        rewards[active] = self._reward(heads)
        terminated[active] = self._done(heads, luck)
        self._fresh &= ~active
        self._t += active
        truncated = active & ~terminated & (self._t >= self.horizon)
        self._over |= terminated | truncated
        return self._features(), rewards, terminated, truncated, {}

    def stop(self, lanes: np.ndarray) -> None:
        """End the episodes in the chosen lanes (bool) here and now."""
        self._over |= lanes

    @torch.inference_mode()
    def pictures(self) -> np.ndarray:
        """z as V paints it, (lanes, 64, 64, 3) uint8."""
        if self.painter is None:
            raise ValueError("a dream has pictures only if it was made with painter=vae")
        return to_frames(self.painter.decode(self._z)).numpy()

    def close(self) -> None:
        """Nothing to close; the real game has something."""

    def __enter__(self) -> "DreamWorld":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _features(self) -> Tensor:
        memory = [self._c, self._h] if self.task.sees_cell else [self._h]
        return torch.cat([self._z, *memory], 1)

    def _reward(self, heads: Tensor) -> np.ndarray | float:
        if not self.task.predicts_reward:  # then to survive is what counts
            return 1.0
        return heads[:, 0].double().numpy()

    def _done(self, heads: Tensor, luck: Tensor) -> np.ndarray | bool:
        if not self.task.predicts_done:
            return False
        logit = heads[:, -1]
        if self.end == "cutoff":
            return (logit > 0).numpy()
        return (luck < (logit - math.log(self.end_weight)).sigmoid()).numpy()

    def _step_noise(self, active: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """The luck of this step in the active lanes (n of them), which follows from each lane's seed and
        time: uniform and normal noise (n, Z) for z, uniform (n,) for the end."""
        keys = self._seeds[active] * (2**20) + self._t[active]
        unique, index = np.unique(keys, return_inverse=True)
        rows = [self._noise_row(int(key) >> 20, int(key) & (2**20 - 1)) for key in unique]
        return tuple(torch.stack(kind)[index] for kind in zip(*rows, strict=True))

    def _noise_row(self, seed: int, t: int) -> tuple[Tensor, Tensor, Tensor]:
        block, row = divmod(t, self._BLOCK)
        if (seed, block) not in self._noise:
            # Only blocks in use are kept; lanes move on together, or nearly so.
            self._noise = {k: v for k, v in self._noise.items() if k[0] != seed or k[1] >= block}
            generator = torch.Generator().manual_seed(seed * 1009 + block + 1)
            shape = (self._BLOCK, self.task.z_size)
            uniform = torch.rand(shape, generator=generator)
            normal = torch.randn(shape, generator=generator)
            luck = torch.rand(self._BLOCK, generator=generator)
            self._noise[seed, block] = uniform, normal, luck
        return tuple(kind[row] for kind in self._noise[seed, block])


def _reset_mask(options: dict | None, lanes: int) -> np.ndarray:
    return (options or {}).get("reset_mask", np.ones(lanes, bool))


@torch.inference_mode()
def play(
    world: World,
    controller: Controller,
    params: Tensor,
    seeds: Sequence[int] | np.ndarray,
    patience: int = 0,
    on_finish: Callable[[int, float], None] | None = None,
) -> np.ndarray:
    """Play every controller on every seed.

    A lane that finishes is given the next game, so that no core waits for the longest one.

    Args:
        params: (P, D). seeds: (R,) common to all, or (P, R).
        patience: end an episode after so many steps without a positive reward; 0 never does.
        on_finish: called with (index of the game, its return) as games end.

    Returns:
        returns (P, R), float64.
    """
    seeds = np.broadcast_to(np.asarray(seeds), (len(params), np.shape(seeds)[-1]))
    games = seeds.size  # game g is controller g // R on seed g % R
    returns = np.zeros(games)
    lanes = world.lanes
    game_of = np.arange(lanes)  # the game in each lane; >= games: none
    upcoming = lanes
    idle = game_of >= games

    def controllers() -> Tensor:
        return params[torch.from_numpy(np.where(idle, 0, game_of) // seeds.shape[1])]

    def lane_seeds() -> list[int]:
        return [int(seeds.flat[g if g < games else 0]) for g in game_of]

    features, _ = world.reset(seed=lane_seeds(), options={"reset_mask": ~idle})
    lane_params = controllers()  # (lanes, D)
    waited = np.zeros(lanes, int)
    while not idle.all():
        actions = controller.act(lane_params, features[:, None])[:, 0]  # (lanes, A)
        features, rewards, terminated, truncated, _ = world.step(actions)
        busy = ~idle
        returns[game_of[busy]] += rewards[busy]
        waited = np.where(rewards > 0, 0, waited + 1)
        bored = (waited >= patience) if patience else np.zeros(lanes, bool)
        finished = busy & (terminated | truncated | bored)
        if not finished.any():
            continue
        for lane in np.flatnonzero(finished):
            if on_finish:
                on_finish(int(game_of[lane]), float(returns[game_of[lane]]))
            game_of[lane], upcoming = upcoming, upcoming + 1
        idle = game_of >= games
        world.stop(finished)
        refill = finished & ~idle
        if refill.any():
            features, _ = world.reset(seed=lane_seeds(), options={"reset_mask": refill})
            waited[refill] = 0
            lane_params = controllers()
    return returns.reshape(seeds.shape)
