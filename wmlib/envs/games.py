"""Many real games at once, spread over worker processes.

Each game has a *lane*. A worker that dies (killed, out of memory, crashed) is noticed at once and
replaced: a game is determined by its seed and its actions, so the new worker plays them again, without
drawing, and the result is the same as if nothing had happened. A worker that keeps dying is an error.
"""

import contextlib
import importlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Literal, Protocol

import numpy as np

from wmlib.envs.errors import GameDied, GameError
from wmlib.envs.frames import FRAME_SIZE, to_frame
from wmlib.runtime.signals import Stop, deaf_to_ctrl_c

_PATIENCE_SECONDS = 120.0  # for an answer; replaying a long game takes seconds, drawing milliseconds
_MOST_REPLACEMENTS = 3  # of one worker, between two answers


GameKind = Literal["exact", "stock", "envpool"]
"""exact: the game's own pixels, made fast. stock: the library's own class. envpool: a C++ look-alike, to
train on. Of some games exact and stock are the same."""


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
        self.lanes = lanes
        share = np.array_split(np.arange(lanes), max(1, min(workers, lanes)))
        self._frames = np.zeros((lanes, FRAME_SIZE, FRAME_SIZE, 3), np.uint8)
        self._workers = [_Worker(lane_numbers, spec) for lane_numbers in share]

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
        for worker in self._workers:
            worker.ask_step({i: actions[i] for i in worker.lane_numbers if active[i]})
        for worker in self._workers:
            for lane, (frame, reward, ended) in worker.answer().items():
                self._frames[lane], rewards[lane], terminated[lane] = frame, reward, ended
        return self._frames.copy(), rewards, terminated

    def close(self) -> None:
        for worker in self._workers:
            worker.close()

    def __enter__(self) -> "Games":
        return self

    def __exit__(self, *_) -> None:
        self.close()


class _Worker:
    """This side of one worker process: what it was asked, and the history that can rebuild it."""

    def __init__(self, lane_numbers: np.ndarray, spec: GameSpec):
        self.spec = spec
        self.lane_numbers = [int(i) for i in lane_numbers]
        self.history: dict[int, tuple[int, list[np.ndarray]]] = {}  # lane -> seed, actions so far
        self.request: tuple[str, dict] = ("idle", {})
        self._start()

    def ask_reset(self, seeds: dict[int, int]) -> None:
        self._ask(("reset", seeds))

    def ask_step(self, actions: dict[int, np.ndarray]) -> None:
        self._ask(("step", actions))

    def answer(self) -> dict:
        """The worker's answer to the last request; a dead worker is replaced until it gives one."""
        for _ in range(_MOST_REPLACEMENTS + 1):
            try:
                if self.pipe.poll(_PATIENCE_SECONDS):
                    kind, content = self.pipe.recv()
                    if kind == "error":
                        raise GameError(f"the game failed: {content}")
                    self._remember()
                    return content
            except (EOFError, OSError):
                pass  # the process has ended: the pipe says so at once
            self._replace()
        raise GameError(
            f"a game process died {_MOST_REPLACEMENTS + 1} times in a row (exit code "
            f"{self.process.exitcode}). Is there enough memory? Try fewer lanes: --machine.lanes 8"
        )

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.pipe.send(("close", {}))
        self.process.join(2)
        self._stop()

    def _ask(self, request: tuple[str, dict]) -> None:
        self.request = request
        with contextlib.suppress(OSError):  # dead: answer() will see it and replace the process
            self.pipe.send(request)

    def _remember(self) -> None:
        kind, content = self.request
        for lane, value in content.items():
            if kind == "reset":
                self.history[lane] = (value, [])
            else:
                self.history[lane][1].append(value)

    def _start(self) -> None:
        # Not fork: a forked copy of a process that runs torch's threads may hang.
        context = multiprocessing.get_context("spawn")
        self.pipe, other_end = context.Pipe()
        self.process = context.Process(target=_serve, args=(other_end, self.spec), daemon=True)
        with Stop(), deaf_to_ctrl_c():  # it is the parent's to handle, from the process's first breath
            self.process.start()
        other_end.close()  # so that the death of the process closes the pipe

    def _stop(self) -> None:
        self.process.kill()
        if hasattr(os, "killpg"):  # and what it has started: Doom's engine would outlive it
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.join()
        self.pipe.close()

    def _replace(self) -> None:
        self._stop()
        self._start()
        with contextlib.suppress(OSError):
            self.pipe.send(("replay", self.history))
            self.pipe.send(self.request)


def _serve(pipe: Connection, spec: GameSpec) -> None:
    """What a worker process does: hold some games, and do to them what it is told."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setsid"):
        os.setsid()  # a group of our own, which `_Worker._stop` ends as a whole
    # What a game starts must not hold our end of the pipe: our death would then close nothing.
    if os.name == "posix":
        os.set_inheritable(pipe.fileno(), False)
    games: dict[int, object] = {}

    def begin(lane: int, seed: int) -> np.ndarray:
        # A new game, not a used one: nothing of the lane's last episode can linger.
        if not getattr(games.get(lane), "renews_itself", False):
            games[lane] = spec.make()
        return games[lane].reset(seed=seed)[0]

    try:
        while True:
            request, content = pipe.recv()
            if request == "close":
                return
            if request == "replay":
                for lane, (seed, actions) in content.items():
                    begin(lane, seed)
                    _replay(games[lane], actions)
                continue
            answers = {}
            for lane, value in content.items():
                if request == "reset":
                    answers[lane] = to_frame(begin(lane, value), spec.kept_rows)
                else:
                    picture, reward, ended, _, _ = games[lane].step(value)
                    answers[lane] = (to_frame(picture, spec.kept_rows), float(reward), bool(ended))
            pipe.send(("answer", answers))
    except (EOFError, OSError, KeyboardInterrupt):
        return  # the parent is gone
    except GameDied:
        return  # the parent sees that we are gone, and has all our games played again
    except Exception as error:  # a bug in the game: tell the parent rather than die in silence
        pipe.send(("error", f"{type(error).__name__}: {error}"))
    finally:
        for game in games.values():
            game.close()


def _replay(game, actions: list[np.ndarray]) -> None:
    """Bring a game back to where it was."""
    game.draws = False
    for action in actions:
        game.step(action)
    game.draws = True
