"""A task: all that is known of a game, and the sizes of V, M and C for it.

Each game lives in a module of its own, in the folder `tasks`: there its `TASK` says how the game is
made, seen and played, who explores it, and what its profiles are. Elsewhere games are
named as defaults only.

A game of your own lives in a file of yours. Its `TASK` names a Gymnasium environment; what it does not
say is derived from that.
"""

from __future__ import annotations  # torch is not loaded: game processes read files that import this

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from wmlib.envs.games import GameKind, GameSpec
from wmlib.runtime.fields import ConfigError, check, check_counts
from wmlib.runtime.source import address_of, is_address

if TYPE_CHECKING:
    from torch import Tensor

_HOME = "wmlib.tasks"
_OWN = "wmlib.own"

ActionKind = Literal["free", "choice", "switches"]
"""What the numbers of an action are: free between their bounds; a choice, of which the largest is 1 and
all others are 0; or switches, each 0 or 1."""


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


def tanh(raw: Tensor) -> Tensor:
    """C's raw outputs to numbers from -1 to 1."""
    return raw.tanh()


@dataclass(frozen=True)
class Task:
    """A game, how it is seen and played, and the sizes of V, M and C (paper, sections 3 and 4).

    For a game of your own, `env` is enough: `find_task` derives from it what is None here, and names
    `source` and `digest`.
    """

    name: str
    actions: Mapping[str, tuple[float, float]] | None = None
    """The numbers of an action: what each is called, and the least and the most that the game takes. Of
    a game of your own, their names alone will do."""
    z_size: int = 16
    """Length of z, V's summary of a frame."""
    hidden_size: int = 128
    """Length of h, M's memory."""
    mixtures: int = 5
    """Gaussians in M's mixture, for each element of z."""
    horizon: int | None = None
    """Frames after which an episode is cut: by default the environment's own limit, else 1000."""
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
    kind: ActionKind | None = None
    """What the numbers of an action are; by default free."""
    to_action: Callable[[Tensor], Tensor] | None = None
    """C's raw outputs (..., A) to the game's ranges; by default tanh."""
    temper: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]] | None = None
    """How an explorer plays a game: draws the centre and the spread of each number of its actions."""
    explorers: Mapping[str, Callable[[Task, int], Policy]] = field(default_factory=dict)
    """Policies that can explore it, by name, each made for so many lanes; the first is what noise is
    made of. See `wmlib.data.explorers`."""
    blind: Mapping[str, Callable[[Task, int], Policy]] = field(default_factory=dict)
    """Players that look at nothing and don't explore: scores are compared with theirs."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """The keys with which a human plays (left, up, down, right), and what each does."""
    hands: Callable[[], Hands] | None = None
    """Makes what turns held keys into actions; anew for each episode."""
    profiles: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    """By name, what makes the `RunConfig` of a profile."""
    env: str | Callable[..., object] | None = None
    """Of a game of your own: a Gymnasium id, or what makes the environment."""
    options: Mapping[str, object] = field(default_factory=dict)
    """What `env` is made with."""
    picture: Literal["observation", "render"] | None = None
    """Where its pictures come from: by default from its observations if they are pictures, else from
    render(), in the mode rgb_array."""
    region: tuple[int, int, int, int] | None = None
    """The part of the picture that V sees: top, bottom, left, right. By default all of it."""
    frame_skip: int = 1
    """Steps of the environment for which an action is held; they make one frame."""
    packages: tuple[str, ...] = ()
    """Packages behind the game, whose releases are noted beside what is recorded and scored."""
    source: str = ""
    """Where it stands, if in a file of yours."""
    digest: str = ""
    """Of that file, but for its profiles."""

    def __post_init__(self):
        check_counts(self, z_size=1, hidden_size=1, mixtures=1, frame_skip=1)
        if self.horizon is not None:
            check_counts(self, horizon=1)
        if self.env is not None:
            self._check_own()
        if self.env is None or self.digest:  # whatever is not said by now is as in the paper
            plain = {"actions": {}, "horizon": 1000, "kind": "free", "to_action": tanh}
            for name, value in (plain | {"temper": any_temper}).items():
                if getattr(self, name) is None:
                    object.__setattr__(self, name, value)
            check_counts(self, action_size=1)
        turns = self.kind not in ("choice", "switches")
        rule = "False: a mirror can't turn the sign of a choice, or of a switch"
        check(self, "symmetric", turns or not self.symmetric, rule)

    def _check_own(self) -> None:
        makes = isinstance(self.env, str) or callable(self.env)
        check(self, "env", makes, "a Gymnasium id, or what makes the environment")
        fits = self.region is None or _is_region(self.region)
        rule = "four whole numbers from 0 on: top, bottom below it, left, right of it"
        check(self, "region", fits, rule)
        known = set(self.keys) <= {"left", "up", "right", "down"}
        check(self, "keys", known, "for left, up, right and down, or some of them")
        fits = isinstance(self.name, str) and re.fullmatch(r"[\w-]+", self.name)
        check(self, "name", bool(fits), "letters, digits, - and _ alone: folders are named after it")
        check(self, "name", self.name not in task_names(), "another: that game comes with wmlib")

    @property
    def action_size(self) -> int:
        """Numbers that the game takes at each step.

        Raises:
            ConfigError: they were not derived yet.
        """
        if self.actions is None:
            raise ConfigError(f"the task {self.name} is as you wrote it; take find_task's: it is whole")
        return len(self.actions)

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the most of each number of an action, (A,) each."""
        low, high = zip(*self.actions.values(), strict=True)
        return np.array(low, float), np.array(high, float)

    def nearest(self, actions: np.ndarray) -> np.ndarray:
        """The actions nearest to these that the game takes: (..., A), to float32."""
        low, high = self.bounds
        if self.kind == "choice":
            actions = np.arange(len(low)) == np.argmax(actions, -1)[..., None]
        elif self.kind == "switches":
            actions = np.asarray(actions) > (low + high) / 2
        return np.clip(actions, low, high).astype(np.float32)

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
        import torch

        return torch.cat([z, c, h] if self.sees_cell else [z, h], 1)

    def game(self, kind: GameKind = "exact") -> GameSpec:
        """How a game of this kind is made.

        Raises:
            ConfigError: there is none.
        """
        if kind not in self.games:
            raise ConfigError(f"{self.name} has no {kind!r} game; it has: {', '.join(self.games)}")
        return self.games[kind]

    def policies(self) -> dict[str, Callable[[Task, int], Policy]]:
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
        """What the outcome of a run depends on: sizes, heads, inputs, and the game's own options; of a
        game of your own, all that its file says."""
        plain = {
            f.name: value
            for f in dataclasses.fields(self)
            if isinstance(value := getattr(self, f.name), str | int) and f.name not in _OF_OWN_GAMES
        }
        if self.digest:
            facts = plain | {"actions": dict(self.actions), "kind": self.kind, "digest": self.digest}
            return facts | {"explorers": list(self.explorers)}
        games = {
            kind: [game.entry_point, dict(game.options), game.kept_rows]
            for kind, game in self.games.items()
        }
        return plain | {"actions": dict(self.actions), "games": games, "explorers": list(self.explorers)}


def _is_region(region: object) -> bool:
    if not isinstance(region, tuple) or not all(isinstance(edge, int) for edge in region):
        return False
    return len(region) == 4 and 0 <= region[0] < region[1] and 0 <= region[2] < region[3]


_OF_OWN_GAMES = ("kind", "env", "picture", "frame_skip", "source", "digest")
"""Facts of games of your own: all but the first stand in the file, whose digest counts."""


def task_names() -> list[str]:
    """The games that come with the package."""
    return sorted(
        module.name for module in pkgutil.iter_modules(importlib.import_module(_HOME).__path__)
    )


def find_task(task: str | Path | Task) -> Task:
    """A task by its name, or by the file that it stands in; or one as it stands in a file of yours.

    What a task of yours does not say is derived from its environment, which is made for that once, in a
    process of its own.

    Args:
        task: such as carracing, or path/to/my_game.py, or path/to/my_game.py:NAME where it is not
            called TASK.

    Raises:
        ConfigError: there is none, or its file can't be run: the message names your file and line.
        GameError: its environment can't be made, or is of no use.
    """
    if isinstance(task, Task):
        if not task.env or task.source:
            return task
        task = address_of(task)
    task = str(task)
    if is_address(task):
        return importlib.import_module(_OWN).load_task(task)
    if task not in task_names():
        names = ", ".join(task_names())
        raise ConfigError(
            f"there is no task {task!r}; the tasks are: {names}, and of yours path/to/my_game.py"
        )
    return importlib.import_module(f"{_HOME}.{task}").TASK


def find_profile(name: str, task: str | Path | Task = "carracing"):
    """The `RunConfig` that a profile of the task fixes. A task of yours has laptop and smoke, whatever
    else it names.

    Raises:
        ConfigError: there is no such task, or no such profile of it.
    """
    profiles = find_task(task).profiles
    if name not in profiles:
        raise ConfigError(f"there is no profile {name!r}; the profiles are: {', '.join(profiles)}")
    return profiles[name]()


def make_game(task: str | Path | Task, kind: GameKind = "exact"):
    """One real game of the task, a Gymnasium environment. Its pictures go through `to_frame`.

    Raises:
        ConfigError: there is no such task, or no such kind of its game.
    """
    return find_task(task).game(kind).make()
