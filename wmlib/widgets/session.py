"""The game, a dream, or both under the same actions, one step at a time: what the dream player shows."""

import numbers
from collections.abc import Collection, Container
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from wmlib.agent import Agent
from wmlib.config import Machine
from wmlib.runtime.fields import HIGHEST_SEED, HIGHEST_TAU, LOWEST_TAU
from wmlib.vae import to_images
from wmlib.worlds.moments import DreamStarts
from wmlib.worlds.perception import CHUNK
from wmlib.worlds.real import RealWorld
from wmlib.worlds.world import World

Where = Literal["dream", "game", "both"]
Driver = Literal["agent", "you"]

HIGHEST_HORIZON = 10_000
"""Frames that a session shows at most."""

_PARTED_FOR = 10
"""Frames in a row that the dream has to be beside the game before it counts as parted."""


@dataclass(frozen=True)
class _Between:
    """The numbers from low to high; whole ones alone, if these two are."""

    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        kind = numbers.Integral if isinstance(self.low, int) else numbers.Real
        fits = isinstance(value, kind) and not isinstance(value, bool)
        return fits and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{'whole, ' if isinstance(self.low, int) else ''}from {self.low} to {self.high}"


_ALLOWED: dict[str, Container] = {
    "where": get_args(Where), "driver": get_args(Driver), "seed": _Between(0, HIGHEST_SEED),
    "horizon": _Between(1, HIGHEST_HORIZON), "tau": _Between(LOWEST_TAU, HIGHEST_TAU),
}  # fmt: skip


def _allowed(name: str, value: str | float) -> str | float:
    """The value, a number as Python's own: settings go to the browser as JSON."""
    allowed = _ALLOWED[name]
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}, must be {allowed}")
    return type(allowed.low)(value) if isinstance(allowed, _Between) else value


@dataclass(frozen=True)
class Glance:
    """One world after a step.

    frame: (64, 64, 3) uint8, what V saw, or what V paints of a dream. reward: what the step earned, in a
    dream what M promised. foreseen: the reward that M foretold. end: M's probability that the episode
    ends here. total: points so far.
    """

    frame: np.ndarray
    reward: float
    foreseen: float
    end: float
    total: float
    over: bool


@dataclass(frozen=True)
class View:
    """A step of a session.

    worlds: "game", "dream", or both. action: (A,), that led here; None at the beginning. apart: how far
    the dream's picture is from the game's, 1 for as far as a picture of z = 0 (None with one world
    alone). parted: the step at which the dream had left the game; None as long as it has not.
    """

    t: int
    worlds: dict[str, Glance]
    action: np.ndarray | None
    apart: float | None
    parted: int | None

    @property
    def over(self) -> bool:
        return all(glance.over for glance in self.worlds.values())


class Session:
    """An agent or a human who plays the game, a dream, or both under the same actions.

    With both, the dream begins at the game's first frame, and the agent looks at the game.

    game, dream: the two worlds; no game as long as none is open.

    Args:
        seed: of the track, and of the dream's chance.
        horizon: frames after which an episode is cut; by default the task's own number.
        tau: the dream's temperature.
        chunk: size of the batches of V and M in the game (see `Perception`); 1 is quickest here.
    """

    def __init__(
        self,
        agent: Agent,
        where: Where = "dream",
        driver: Driver = "agent",
        seed: int = 1_500_000,
        horizon: int | None = None,
        tau: float = 1.0,
        chunk: int = CHUNK,
    ):
        horizon = agent.task.horizon if horizon is None else horizon
        chosen = {"where": where, "driver": driver, "seed": seed, "horizon": horizon, "tau": tau}
        chosen = {name: _allowed(name, value) for name, value in chosen.items()}
        self.agent, self.chunk = agent, chunk
        self.game: RealWorld | None = None
        self.dream = agent.dream(1)
        for name, value in chosen.items():
            setattr(self, name, value)
        with torch.inference_mode():
            self._nothing = agent.vae.decode(torch.zeros(1, agent.task.z_size))
        self.view = self.reset()

    @property
    def settings(self) -> dict[str, str | float]:
        """What `change` can set, as it is now."""
        return {name: getattr(self, name) for name in ("where", "driver", "seed", "horizon", "tau")}

    @property
    def tau(self) -> float:
        """The dream's temperature."""
        return self.dream.tau.item()

    @tau.setter
    def tau(self, value: float) -> None:
        self.dream.tau.fill_(value)

    def change(self, /, **choices: str | float) -> View:
        """Set where, driver, seed, horizon or tau. The first, the seed and the horizon begin anew.

        Raises:
            ValueError: naming what can't be set; then nothing is.
        """
        for name in choices.keys() - _ALLOWED.keys():
            raise ValueError(f"there is no {name!r} to set; there are: {', '.join(_ALLOWED)}")
        choices = {name: _allowed(name, value) for name, value in choices.items()}
        for name, value in choices.items():
            setattr(self, name, value)
        return self.view if choices.keys() <= {"driver", "tau"} else self.reset()

    def reset(self) -> View:
        """Begin anew."""
        self._features: dict[str, Tensor] = {}
        self._glances: dict[str, Glance] = {}
        self._t, self._beside, self._parted = 0, 0, None
        self._hands = self.agent.task.hands and self.agent.task.hands()
        if self.where in ("game", "both"):
            self._begin("game", self._open_game())
        if self.where in ("dream", "both"):
            self.dream.horizon = self.horizon
            self.dream.starts = self.agent.starts if self.where == "dream" else self._present()
            self._begin("dream", self.dream)
        return self._look(None)

    def step(self, keys: Collection[str] = ()) -> View:
        """One frame; none after the end. `keys`: which of the task's are held (see `Task.keys`)."""
        if self.view.over:
            return self.view
        if not self._whole():
            return self.reset()
        action = self._your_action(keys) if self.driver == "you" else self._agents_action()
        for name, world in self._worlds().items():
            features, rewards, terminated, truncated, _ = world.step(action)
            self._features[name] = features
            before = self._glances[name]
            over = before.over or bool(terminated[0] or truncated[0])
            self._glances[name] = self._glance(name, float(rewards[0]), before.total, over)
        self._t += 1
        return self._look(action[0].numpy())

    def close_eyes(self) -> View:
        """Let the dream go on from what the game shows and M remembers now. With both worlds only."""
        if self.where != "both":
            raise ValueError("there is no game to dream on from: choose where='both'")
        if not self._whole():
            return self.reset()
        self.dream.starts = self._present()
        self.dream.horizon = self.horizon - self._t
        self._begin("dream", self.dream)
        self._beside, self._parted = 0, None
        return self._look(None)

    def close(self) -> None:
        """Let the game's process go. A step or a reset would start it again."""
        if self.game is not None:
            self.game.close()
            self.game = None

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _whole(self) -> bool:
        """Not if a reset was broken off, or the game was closed."""
        wanted = ("game", "dream") if self.where == "both" else (self.where,)
        return tuple(self._glances) == wanted and ("game" not in wanted or self.game is not None)

    def _open_game(self) -> RealWorld:
        if self.game is None:
            self.game = self.agent.real(1, Machine(workers=1), chunk=self.chunk)
        self.game.horizon = self.horizon
        return self.game

    def _worlds(self) -> dict[str, World]:
        both = {"game": self.game, "dream": self.dream}
        return {name: both[name] for name in self._glances}

    def _begin(self, name: str, world: World) -> None:
        self._features[name], _ = world.reset(seed=[self.seed])
        self._glances[name] = Glance(world.pictures()[0], 0.0, 0.0, 0.0, 0.0, over=False)

    def _present(self) -> DreamStarts:
        """Where the game is now, as a dream's beginning without any doubt in z."""
        seen = self.game.perception
        h, c = seen.memory
        return DreamStarts(seen.z.clone(), torch.full_like(seen.z, -torch.inf), h.clone(), c.clone())

    @torch.inference_mode()
    def _glance(self, name: str, reward: float, total: float, over: bool) -> Glance:
        said = self.agent.mdnrnn.predict(self._features[name][0, -self.agent.task.hidden_size :])
        foreseen = 1.0 if said.reward is None else float(said.reward)  # where to survive is what counts
        end = 0.0 if said.done_logit is None else float(said.done_logit.sigmoid())
        frame = self._worlds()[name].pictures()[0]
        return Glance(frame, reward, foreseen, end, total + reward, over)

    def _look(self, action: np.ndarray | None) -> View:
        apart = self._apart() if self.where == "both" else None
        if apart is not None:
            self._beside = self._beside + 1 if apart >= 1 else 0
            if self._parted is None and self._beside == _PARTED_FOR:
                self._parted = self._t - _PARTED_FOR + 1
        self.view = View(self._t, dict(self._glances), action, apart, self._parted)
        return self.view

    @torch.inference_mode()
    def _apart(self) -> float:
        """Squared error of the dream's picture over that of z = 0, both against the game's."""
        game, dream = (
            to_images(torch.from_numpy(self._glances[name].frame[None])) for name in ("game", "dream")
        )
        return float((game - dream).square().sum() / (game - self._nothing).square().sum())

    def _your_action(self, keys: Collection[str]) -> Tensor:
        if self._hands is None:
            raise ValueError(f"the task {self.agent.task.name} has no keys; let the agent play")
        return torch.from_numpy(self._hands(set(keys)))[None]  # (1, A)

    @torch.inference_mode()
    def _agents_action(self) -> Tensor:
        """C looks at the game as long as that goes on."""
        leads = next((n for n, g in self._glances.items() if not g.over), next(iter(self._glances)))
        features = self._features[leads][:, None]  # (1, 1, F)
        return self.agent.controller.act(self.agent.params[None], features)[0]  # (1, A)
