"""Any Gymnasium environment as one of our games: a task of yours names it, in a file of yours.

Pictures come from its observations if they are pictures, else from `render()`. An action arrives as the
numbers that C and M know, and becomes what the action space wants. Whatever is wrong with the
environment is said here, before it can spoil a recording.
"""

import math
import os
from collections.abc import Sequence

import gymnasium
import numpy as np
from gymnasium import spaces

from wmlib.runtime.source import load, parts_of

LEAST_SIDE = 16
"""Pixels: an array of bytes that is smaller, such as a map of a grid, is not taken for a picture."""


class Adapted:
    """One game, with the calls of a Gymnasium environment.

    Each `reset` makes a new environment, so that nothing of the last game can linger.

    Args:
        source: the task, as an address (see `wmlib.runtime.source`). sha256: of its file.
    """

    renews_itself = True

    def __init__(self, source: str, sha256: str):
        self.draws = True
        self._file = parts_of(source)[0]
        self._task = load(source, sha256)
        self._env: gymnasium.Env | None = None
        self._picture = np.zeros((1, 1, 3), np.uint8)
        self._seed = self._step = 0

    def reset(self, seed: int, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """A new game."""
        self.close()
        self._seed, self._step = seed, 0
        self._env = self._make()
        self._key = self._where_pictures_are()
        self._kind = action_kind(self._env.action_space)
        observation, info = self._expect("reset()", self._env.reset(seed=seed), "observation, info")
        return self._look(observation), info

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """One frame: as many steps of the environment as the task says, and all that they paid."""
        move, paid = to_move(np.asarray(action), self._env.action_space, self._kind), 0.0
        for _ in range(self._task.frame_skip):
            self._step += 1
            came = self._expect("step()", self._env.step(move), "observation, reward, terminated, "
                                "truncated, info")  # fmt: skip
            observation, reward, terminated, truncated, info = came
            paid += self._checked(reward)
            if terminated or truncated:
                break
        return self._look(observation), paid, bool(terminated), bool(truncated), info

    def close(self) -> None:
        env, self._env = self._env, None
        if env is not None and hasattr(env, "close"):
            env.close()

    def describe(self) -> dict:
        """What a task has to know of the environment, and does not say itself."""
        picture, _ = self.reset(0)
        space, limit = self._env.action_space, self._limit()
        return {
            "kind": self._kind,
            "bounds": bounds_of(space, self._kind),
            "names": self._names(),
            "limit": limit and math.ceil(limit / self._task.frame_skip),
            "picture": "render()" if self._key is None else "its observations",
            "shape": picture.shape,
            "modules": sorted({each.__module__.split(".")[0] for each in self._layers()}),
        }

    def _make(self) -> gymnasium.Env:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        make, options = self._task.env, dict(self._task.options)
        if callable(make):
            return make(**options)
        # When to cut a game is the world's business, by the task's horizon.
        ours = {"render_mode": "rgb_array", "max_episode_steps": -1, "disable_env_checker": True}
        return gymnasium.make(make, **ours | options)

    def _limit(self) -> int | None:
        """Steps after which the environment itself is cut, where it says so."""
        if isinstance(self._task.env, str):
            known_as = self._task.env.rpartition(":")[2]  # before it stands the module that has it
            return gymnasium.spec(known_as).max_episode_steps
        return getattr(getattr(self._env, "spec", None), "max_episode_steps", None)

    def _where_pictures_are(self) -> str | None:
        """None: in render(). "": the observation. Else the observation's entry of this name."""
        chosen = self._task.picture
        space = getattr(self._env, "observation_space", None)
        entries = dict(space.spaces) if isinstance(space, spaces.Dict) else {"": space}
        found = [key for key, each in entries.items() if _is_picture(each)]
        if chosen == "render" or (chosen is None and len(found) != 1):
            return None
        if len(found) != 1:
            raise ValueError(f"{self._file}: {len(found)} of the observations are pictures, in {space}; "
                             "say picture=\"render\" in the task")  # fmt: skip
        return found[0]

    def _look(self, observation: object) -> np.ndarray:
        """The picture now, (height, width, 3) uint8; a game that does not draw keeps its last one."""
        if not self.draws:
            return self._picture
        if self._key is None:
            seen, whose = self._env.render(), "render() gave"
        else:
            seen = observation[self._key] if self._key else observation
            whose = "the observation is"
        self._picture = self._cropped(self._checked_picture(seen, whose))
        return self._picture

    def _checked_picture(self, seen: object, whose: str) -> np.ndarray:
        shape, kind = getattr(seen, "shape", ()), getattr(seen, "dtype", type(seen).__name__)
        fits = len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))
        if not fits or kind != np.uint8 or 0 in shape:
            found = f"{shape} {kind}" if shape else kind
            help = '; make it with render_mode="rgb_array"' if seen is None else ""
            raise ValueError(f"{self._file}: {whose} {found}; a picture is (height, width, 3) or "
                             f"(height, width) uint8{help}")  # fmt: skip
        return np.broadcast_to(seen.reshape(*shape[:2], -1), (*shape[:2], 3))

    def _cropped(self, picture: np.ndarray) -> np.ndarray:
        if self._task.region is not None:
            top, bottom, left, right = self._task.region
            whole, picture = picture.shape[:2], picture[top:bottom, left:right]
            if 0 in picture.shape:
                raise ValueError(f"{self._file}: region is {self._task.region} (top, bottom, left, "
                                 f"right), and the picture is {whole}: nothing is left")  # fmt: skip
        return np.ascontiguousarray(picture)

    def _checked(self, reward: object) -> float:
        try:
            paid = float(reward)
        except (TypeError, ValueError):
            paid = math.nan
        if not math.isfinite(paid):
            raise ValueError(f"{self._file}: the reward is {reward!r} in step {self._step} of the game "
                             f"of seed {self._seed}; it must be a finite number")  # fmt: skip
        return paid

    def _expect(self, call: str, came: object, wanted: str) -> Sequence:
        count = wanted.count(",") + 1
        if not isinstance(came, tuple) or len(came) != count:
            given = f"{len(came)} values" if isinstance(came, tuple) else type(came).__name__
            raise ValueError(f"{self._file}: {call} gave {given}; it must give {wanted}")
        return came

    def _names(self) -> list[str] | None:
        """What the environment calls its actions, where it does."""
        inner = getattr(self._env, "unwrapped", self._env)
        if hasattr(inner, "get_action_meanings"):
            return [str(name).lower() for name in inner.get_action_meanings()]
        named = getattr(getattr(inner, "actions", None), "__members__", None)  # an Enum
        return list(named) if named else None

    def _layers(self) -> list[type]:
        """The classes of the environment and of what is wrapped around it."""
        found, env = [], self._env
        while env is not None:
            found += [each for each in type(env).__mro__ if each is not object]
            env = vars(env).get("env")
        return found


def _is_picture(space: object) -> bool:
    return (
        isinstance(space, spaces.Box)
        and space.dtype == np.uint8
        and len(space.shape) in (2, 3)
        and min(space.shape[:2]) >= LEAST_SIDE
    )


def action_kind(space: object) -> str:
    """What the numbers of an action are (see `wmlib.task.ActionKind`), for a Gymnasium space.

    Raises:
        ValueError: there are no such actions here.
    """
    for kind, ours in (("choice", spaces.Discrete), ("switches", spaces.MultiBinary)):
        if isinstance(space, ours):
            return kind
    if not isinstance(space, spaces.Box):
        raise ValueError(
            f"the action space is {space}; it must be Box, Discrete or MultiBinary: wrap the "
            "environment, as by gymnasium.wrappers.TransformAction"
        )
    return "free"


def bounds_of(space: spaces.Space, kind: str) -> list[tuple[float, float]]:
    """The least and the most of each number of an action."""
    if kind == "free":
        ends = zip(space.low.ravel(), space.high.ravel(), strict=True)
        return [(float(low), float(high)) for low, high in ends]
    count = space.n if kind == "choice" else math.prod(space.shape)
    return [(0.0, 1.0)] * int(count)


def to_move(action: np.ndarray, space: spaces.Space, kind: str) -> object:
    """The numbers of an action, (A,), as the environment takes them."""
    if kind == "choice":
        return int(space.start + np.argmax(action))
    if kind == "switches":
        return (action > 0.5).astype(space.dtype).reshape(space.shape)
    within = np.clip(action.reshape(space.shape), space.low, space.high)
    return (np.round(within) if space.dtype.kind in "iu" else within).astype(space.dtype)
