"""The real game: as bare frames, and as an agent sees it, through V and remembered by M."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from wmlib.envs.errors import GameError
from wmlib.envs.games import GameKind, GameSpec, ManyGames, open_games
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.fields import as_seed
from wmlib.vae import VAE
from wmlib.worlds.perception import CHUNK, Perception
from wmlib.worlds.world import Lanes


class FrameWorld(Lanes):
    """The game itself: what a player sees are frames, (lanes, 64, 64, 3) uint8.

    Args:
        game: how it is made; or games, as many as lanes, that are open already.
        lanes: games open at once. workers: processes that share them.
        horizon: frames after which an episode is truncated.
    """

    def __init__(self, game: GameSpec | ManyGames, lanes: int, workers: int, horizon: int):
        super().__init__(lanes, horizon)
        self.games = open_games(game, lanes, workers) if isinstance(game, GameSpec) else game
        self.frames: np.ndarray | None = None

    def reset(self, *, seed: Sequence[int | None], options: dict | None = None):
        """Start lanes anew: all, or those in options["reset_mask"] (bool)."""
        chosen = self._chosen(options)
        seeds = [as_seed(s) if c else None for s, c in zip(seed, chosen, strict=True)]
        self.frames = self.games.reset(seeds)
        self._begin(chosen)
        return self.frames, {}

    def step(self, actions: Tensor | np.ndarray):
        """One frame. A finished lane stays as it is and earns 0.

        Raises:
            GameError: an action is NaN or infinite. Games would take it, each in a way of its own.
        """
        active, actions = ~self._over, np.asarray(actions)
        if not np.isfinite(actions[active]).all():
            raise GameError(
                "an action is not a finite number: the weights of V, M or C have diverged or are damaged"
            )
        self.frames, rewards, terminated = self.games.step(actions, active)
        truncated = self._advance(active, terminated, self.games.cut)
        return self.frames, rewards, terminated, truncated, {}

    def pictures(self) -> np.ndarray:
        """The frames, to keep."""
        return self.frames.copy()

    def close(self) -> None:
        self.games.close()


class RealWorld(FrameWorld):
    """The game as an agent sees it: features (lanes, F), made by V and M.

    Args:
        lanes: games open at once. workers: processes that share them.
        horizon: frames after which an episode is truncated; by default the task's own number.
        kind: which implementation of the game; or games, as many as lanes, that are open already.
        chunk: size of the batches of V and M (see `Perception`).
        options: of the game, beside those that its task fixes. Games that are open have theirs.
    """

    def __init__(
        self,
        vae: VAE,
        mdnrnn: MDNRNN,
        lanes: int,
        workers: int,
        horizon: int | None = None,
        kind: GameKind | ManyGames = "exact",
        chunk: int = CHUNK,
        options: Mapping[str, object] | None = None,
    ):
        self.task = mdnrnn.task
        game = self.task.game(kind).with_options(options) if isinstance(kind, str) else kind
        super().__init__(game, lanes, workers, horizon or self.task.horizon)
        self.perception = Perception(vae, mdnrnn, lanes, chunk)

    @property
    def z(self) -> Tensor:
        """What V sees in each lane, (lanes, Z)."""
        return self.perception.z

    def reset(self, *, seed: Sequence[int | None], options: dict | None = None):
        """Start lanes anew: all, or those in options["reset_mask"] (bool)."""
        frames, _ = super().reset(seed=seed, options=options)
        self.perception.restart(self._chosen(options), frames)
        return self.perception.features(), {}

    def step(self, actions: Tensor):
        """One frame. A finished lane stays as it is and earns 0."""
        active = ~self._over
        frames, *rest = super().step(actions)
        self.perception.advance(torch.as_tensor(actions))
        self.perception.see(active, frames)
        return self.perception.features(), *rest
