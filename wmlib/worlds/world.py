"""The real game and the dream, as the same kind of thing.

A world yields what a player sees and takes actions. To C, `RealWorld` and `DreamWorld` both show the
features [z, h]: the one gets z from frames through V, the other from M's own prediction. `FrameWorld`
shows bare frames, for players without V and M. All follow Gymnasium's vector API with autoreset
disabled, so that who acts, evolves or evaluates need never ask which one it is in.

The order inside a step: C acts on (z_t, h_t); the world moves; M advances once with (z_t, a_t), which
gives h_{t+1}; and z_{t+1} is there. See `tests/unit/worlds/test_world.py` for the alignment.

A world has *lanes*: places in which an episode runs, side by side. How many there are changes the speed;
in the game never a score, in a dream sometimes (see `DreamWorld`).
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from torch import Tensor


class World(Protocol):
    """What all worlds have in common: Gymnasium's vector API."""

    lanes: int
    left: np.ndarray
    """Steps until the horizon in each lane, (lanes,)."""
    steps_played: int
    """Steps in all lanes, since the world was opened."""

    def reset(
        self, *, seed: Sequence[int | None], options: dict | None = None
    ) -> tuple[Tensor | np.ndarray, dict]:
        """Start lanes anew: all, or those in options["reset_mask"] (bool).

        Args:
            seed: one for each lane, 0 to 2,147,483,647; those of lanes that go on are not looked at.

        Returns:
            what is seen in each lane, features (lanes, F) or frames (lanes, 64, 64, 3); and {}.
        """

    def step(
        self, actions: Tensor
    ) -> tuple[Tensor | np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict]:
        """One step of all lanes. A finished lane stays as it is and earns 0.

        Args:
            actions: (lanes, A), in the game's units.

        Returns:
            what is seen then, as in `reset`; rewards (lanes,) float64; terminated and truncated,
            (lanes,) bool each: ended by itself, cut by the horizon; and {}.
        """

    def stop(self, lanes: np.ndarray) -> None:
        """End the episodes in the chosen lanes (bool) here and now."""

    def pictures(self) -> np.ndarray:
        """What there is to look at now, (lanes, 64, 64, 3) uint8."""

    def close(self) -> None:
        """Let go of what is open."""


class Lanes:
    """What every world keeps of its lanes: which are over, how far each has come, and when it is cut.

    Args:
        horizon: steps after which an episode is truncated.
    """

    def __init__(self, lanes: int, horizon: int):
        self.lanes, self.horizon = lanes, horizon
        self.steps_played = 0  # in all lanes, since the world was opened
        self._over = np.ones(lanes, bool)
        self._t = np.zeros(lanes, int)

    @property
    def left(self) -> np.ndarray:
        """Steps until the horizon in each lane, (lanes,)."""
        return self.horizon - self._t

    def stop(self, lanes: np.ndarray) -> None:
        """End the episodes in the chosen lanes (bool) here and now."""
        self._over |= lanes

    def close(self) -> None:
        """Let go of what is open."""

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _chosen(self, options: dict | None) -> np.ndarray:
        return (options or {}).get("reset_mask", np.ones(self.lanes, bool))

    def _begin(self, lanes: np.ndarray) -> None:
        self._over[lanes] = False
        self._t[lanes] = 0

    def _advance(
        self, active: np.ndarray, terminated: np.ndarray, cut: np.ndarray | bool = False
    ) -> np.ndarray:
        """Count the step of the active lanes. Returns those that are cut, by the horizon or, as `cut`
        says, by the game itself."""
        self._t += active
        self.steps_played += int(active.sum())
        truncated = active & ~terminated & ((self._t >= self.horizon) | cut)
        self._over |= terminated | truncated
        return truncated
