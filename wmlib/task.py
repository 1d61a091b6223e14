"""A task: all that is known of a game, and the sizes of V, M and C for it.

Each game lives in a module of its own, in the folder `tasks`: there its `TASK` says how the game is
made, seen and played, who explores it, and what its profiles are. Elsewhere games are
named as defaults only.
"""

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from wmlib.envs.games import GameKind, GameSpec
from wmlib.runtime.fields import ConfigError, check_counts

_HOME = "wmlib.tasks"


class Policy(Protocol):
    """Chooses actions for many lanes; each lane's chance follows from its game's seed alone."""

    def restart(self, lanes: np.ndarray, seeds: list[int], frames: np.ndarray) -> None:
        """New games begin in the chosen lanes, (lanes,) bool, of these seeds and with these frames."""

    def act(self, active: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Actions (lanes, A) float32, in the game's units, given frames (lanes, 64, 64, 3)."""


class Hands(Protocol):
    """Turns the keys that a human holds into actions, for the length of an episode."""

    def __call__(self, keys: Collection[str]) -> np.ndarray:
        """The action (A,) float32 of this frame. keys: some of the task's."""


def any_temper(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Centre and spread of an explorer's actions, where nothing is known of the game."""
    return np.zeros(size), 10 ** rng.uniform(-1.4, 0.3, size)


@dataclass(frozen=True)
class Task:
    """A game, how it is seen and played, and the sizes of V, M and C (paper, sections 3 and 4)."""

    name: str
    actions: Mapping[str, tuple[float, float]]
    """The numbers of an action: what each is called, and the least and the most that the game takes."""
    z_size: int
    """Length of z, V's summary of a frame."""
    hidden_size: int
    """Length of h, M's memory."""
    mixtures: int = 5
    """Gaussians in M's mixture, for each element of z."""
    horizon: int = 1000
    """Frames after which an episode is cut."""
    sees_cell: bool = False
    """Whether C is given the LSTM's cell c too: [z, c, h] in place of [z, h]."""
    predicts_reward: bool = True
    """Whether M has a head for the reward of the step. Without it each step counts as 1: to survive."""
    predicts_done: bool = True
    """Whether M has a head for the end of the episode."""
    restart_input: bool = False
    """Whether M is told that an episode has just begun."""
    symmetric: bool = False
    """Whether a mirror shows the same game, with the actions' signs turned. V and M then learn from each
    recorded game twice: as it was, and in the mirror."""
    games: Mapping[GameKind, GameSpec] = field(default_factory=dict)
    """How the game is made, by kind."""
    to_action: Callable[[Tensor], Tensor] = torch.tanh
    """C's raw outputs (..., A) to the game's ranges."""
    temper: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]] = any_temper
    """How an explorer plays a game: draws the centre and the spread of each number of its actions."""
    explorers: Mapping[str, Callable[["Task", int], Policy]] = field(default_factory=dict)
    """Policies that can explore it, by name, each made for so many lanes; the first is what noise is
    made of. See `wmlib.data.explorers`."""
    blind: Mapping[str, Callable[["Task", int], Policy]] = field(default_factory=dict)
    """Players that look at nothing and don't explore: scores are compared with theirs."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """The keys with which a human plays (left, up, down, right), and what each does."""
    hands: Callable[[], Hands] | None = None
    """Makes what turns held keys into actions; anew for each episode."""
    profiles: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    """By name, what makes the `RunConfig` of a profile."""

    def __post_init__(self):
        check_counts(self, action_size=1, z_size=1, hidden_size=1, mixtures=1, horizon=1)

    @property
    def action_size(self) -> int:
        """Numbers that the game takes at each step."""
        return len(self.actions)

    @property
    def feature_size(self) -> int:
        """Length of what C is given."""
        return self.z_size + self.hidden_size * (2 if self.sees_cell else 1)

    def features(self, z: Tensor, h: Tensor, c: Tensor) -> Tensor:
        """What C is given: [z, h], or [z, c, h] where the task says so.

        Args:
            z: (N, Z). h, c: M's memory, (N, H) each.

        Returns:
            (N, F)
        """
        return torch.cat([z, c, h] if self.sees_cell else [z, h], 1)

    def game(self, kind: GameKind = "exact") -> GameSpec:
        """How a game of this kind is made.

        Raises:
            ConfigError: there is none.
        """
        if kind not in self.games:
            raise ConfigError(f"{self.name} has no {kind!r} game; it has: {', '.join(self.games)}")
        return self.games[kind]

    def policies(self) -> dict[str, Callable[["Task", int], Policy]]:
        """All players that see nothing, by name: explorers and the blind."""
        return {**self.explorers, **self.blind}

    def explorer(self, name: str, lanes: int) -> Policy:
        """One of the explorers, for so many lanes.

        Raises:
            ConfigError: there is none of this name.
        """
        if name not in self.explorers:
            raise ConfigError(
                f"{self.name} has no explorer {name!r}; it has: {', '.join(self.explorers)}"
            )
        return self.explorers[name](self, lanes)

    def as_dict(self) -> dict[str, object]:
        """What the outcome of a run depends on: sizes, heads, inputs, and the game's own options."""
        plain = {
            f.name: value
            for f in dataclasses.fields(self)
            if isinstance(value := getattr(self, f.name), str | int)
        }
        games = {
            kind: [game.entry_point, dict(game.options), game.kept_rows]
            for kind, game in self.games.items()
        }
        return plain | {"actions": dict(self.actions), "games": games, "explorers": list(self.explorers)}


def task_names() -> list[str]:
    """The games that come with the package."""
    return sorted(
        module.name for module in pkgutil.iter_modules(importlib.import_module(_HOME).__path__)
    )


def find_task(name: str) -> Task:
    """The task of this name.

    Raises:
        ConfigError: there is none.
    """
    if name not in task_names():
        raise ConfigError(f"there is no task {name!r}; the tasks are: {', '.join(task_names())}")
    return importlib.import_module(f"{_HOME}.{name}").TASK


def find_profile(name: str, task: str = "carracing"):
    """The `RunConfig` that a profile of the task fixes.

    Raises:
        ConfigError: there is no such task, or no such profile of it.
    """
    profiles = find_task(task).profiles
    if name not in profiles:
        raise ConfigError(f"there is no profile {name!r}; the profiles are: {', '.join(profiles)}")
    return profiles[name]()


def make_game(task: str, kind: GameKind = "exact"):
    """One real game of the task, a Gymnasium environment. Its pictures go through `to_frame`.

    Raises:
        ConfigError: there is no such task, or no such kind of its game.
    """
    return find_task(task).game(kind).make()
