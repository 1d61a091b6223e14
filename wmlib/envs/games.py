"""Many real games at once, spread over worker processes. Each game has a *lane*."""

import importlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np

from wmlib.envs.errors import GameError
from wmlib.envs.frames import FRAME_SIZE
from wmlib.envs.process import GameProcess
from wmlib.runtime.signals import Stop

_CLOSING_SECONDS = 5.0  # for all processes together, to close their games

GameKind = Literal["exact", "stock", "sketch", "envpool"]
"""exact: the game's own pixels, made fast. stock: the library's own class. Look-alikes, to train on:
sketch, the game drawn coarsely; envpool, another one in C++. Of some, exact and stock are the same."""


@dataclass(frozen=True)
class GameSpec:
    """How a process makes a game, and what it keeps of the picture.

    entry_point: "module:class" of a Gymnasium environment. It is imported where the game is played, so
    a game process loads the one game that it plays and nothing else. options: for the class. kept_rows:
    see `to_frame`. batched: the class makes many games at once, with the calls of `Games`; it is made
    with (lanes, workers, kept_rows, **options).
    """

    entry_point: str
    options: Mapping[str, object] = field(default_factory=dict)
    kept_rows: int | None = None
    batched: bool = False

    def with_options(self, options: Mapping[str, object] | None) -> "GameSpec":
        """The same game, with these options beside its own."""
        return replace(self, options={**self.options, **(options or {})})

    def load(self) -> Callable:
        """The class itself."""
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        module, _, name = self.entry_point.partition(":")
        return getattr(importlib.import_module(module), name)

    def make(self):
        """One game, a Gymnasium environment. Its pictures go through `to_frame`."""
        if self.batched:
            raise GameError(f"{self.entry_point} makes many games at once; open it with open_games")
        return self.load()(**self.options)


class ManyGames(Protocol):
    """Many games, stepped together: what `Games` and EnvPool's look-alike have in common."""

    lanes: int
    cut: np.ndarray
    """(lanes,) bool: games that, in the last step, were cut by a limit of their own."""

    def reset(self, seeds: Sequence[int | None]) -> np.ndarray: ...

    def step(
        self, actions: np.ndarray, active: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...

    def close(self) -> None: ...


def open_games(spec: GameSpec, lanes: int, workers: int) -> ManyGames:
    """`lanes` games, over `workers` processes (or threads, where the class makes many at once)."""
    if spec.batched:
        return spec.load()(lanes, workers, spec.kept_rows, **spec.options)
    return Games(spec, lanes, workers)


class Games:
    """`lanes` games of one kind, over `workers` processes. Frames are (lanes, 64, 64, 3) uint8.

    Use it as a context manager, or call `close`.
    """

    def __init__(self, spec: GameSpec, lanes: int, workers: int):
        self.lanes, self.cut = lanes, np.zeros(lanes, bool)
        share = np.array_split(np.arange(lanes), max(1, min(workers, lanes)))
        self._frames = np.zeros((lanes, FRAME_SIZE, FRAME_SIZE, 3), np.uint8)
        self._workers: list[GameProcess] = []
        try:
            for lane_numbers in share:
                self._workers.append(GameProcess(lane_numbers, spec.make, spec.kept_rows, lanes))
        except BaseException:  # Ctrl-C among them
            self.close()
            raise

    def reset(self, seeds: Sequence[int | None]) -> np.ndarray:
        """Start a new game in every lane whose seed is not None; the others stay as they are."""
        for worker in self._workers:
            chosen = {i: int(seeds[i]) for i in worker.lane_numbers if seeds[i] is not None}
            worker.ask_reset(chosen)
        for worker in self._workers:
            for lane, frame in worker.answer().items():
                self._frames[lane] = frame
        return self._frames.copy()

    def step(self, actions: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance the active lanes by one frame.

        Args:
            actions: (lanes, action_size) float.
            active: (lanes,) bool; the other lanes keep their last frame and earn 0.

        Returns:
            frames (lanes, 64, 64, 3) uint8, rewards (lanes,) float64, terminated (lanes,) bool.
        """
        rewards = np.zeros(self.lanes)
        terminated = np.zeros(self.lanes, bool)
        self.cut = np.zeros(self.lanes, bool)
        for worker in self._workers:
            worker.ask_step({i: actions[i] for i in worker.lane_numbers if active[i]})
        for worker in self._workers:
            for lane, (frame, *came) in worker.answer().items():
                self._frames[lane] = frame
                rewards[lane], terminated[lane], self.cut[lane] = came
        return self._frames.copy(), rewards, terminated

    def describe(self) -> dict:
        """What the first lane's game says of itself (see `wmlib.envs.adapter`)."""
        self._workers[0].ask_about()
        return self._workers[0].answer()[0]

    def close(self) -> None:
        """End all games and their processes, in some seconds at most. Ctrl-C waits until it is done."""
        with Stop(obeys_twice=False):
            for worker in self._workers:
                worker.hang_up()
            end = time.monotonic() + _CLOSING_SECONDS
            for worker in self._workers:
                worker.end(max(0.0, end - time.monotonic()))

    def __enter__(self) -> "Games":
        return self

    def __exit__(self, *_) -> None:
        self.close()
