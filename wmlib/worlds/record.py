"""Observers that keep games: as frames, as what V saw of them, or as a film to look at."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wmlib.controller import Controller
from wmlib.data.episodes import Episode
from wmlib.data.sequences import Sequences, join
from wmlib.runtime.log import RunLog
from wmlib.worlds.play import Elsewhere, Hearsay, Listener, Observer, play
from wmlib.worlds.real import FrameWorld, RealWorld
from wmlib.worlds.world import World


class EpisodeRecorder(Observer):
    """Keeps frames, actions and rewards, and hands on each episode as it ends.

    Args:
        seeds: (G,), of the games that are played. keep: is given each episode.
    """

    def __init__(self, world: FrameWorld, seeds: np.ndarray, keep: Callable[[Episode], None]):
        self.world, self.seeds, self.keep = world, seeds, keep
        self.tapes: dict[int, _Tape] = {}

    def begin(self, lanes: np.ndarray, games: np.ndarray) -> None:
        for lane in np.flatnonzero(lanes):
            self.tapes[int(lane)] = _Tape([self.world.frames[lane].copy()])

    def step(
        self, lanes: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        for lane in np.flatnonzero(lanes):
            tape = self.tapes[int(lane)]
            tape.add(self.world.frames[lane].copy(), actions[lane], rewards[lane], terminated[lane])

    def end(self, lane: int, game: int, total: float) -> None:
        tape = self.tapes.pop(lane)
        self.keep(
            Episode(
                int(self.seeds[game]),
                np.stack(tape.seen),
                np.stack(tape.actions),
                np.array(tape.rewards, np.float32),
                tape.terminated,
            )
        )


class SequenceRecorder(Observer):
    """Keeps what V saw of each game, by the game's number."""

    def __init__(self, world: RealWorld):
        self.world = world
        self.tapes: dict[int, _Tape] = {}
        self.games: dict[int, Sequences] = {}

    def begin(self, lanes: np.ndarray, games: np.ndarray) -> None:
        for lane, seen in self._seen(lanes):
            self.tapes[lane] = _Tape([seen])

    def step(
        self, lanes: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        for lane, seen in self._seen(lanes):
            self.tapes[lane].add(seen, actions[lane], rewards[lane], terminated[lane])

    def end(self, lane: int, game: int, total: float) -> None:
        tape = self.tapes.pop(lane)
        mu, logvar = torch.from_numpy(np.stack(tape.seen)).unbind(1)  # (T + 1, Z) each
        dones = torch.zeros(len(tape.actions))
        dones[-1] = float(tape.terminated)
        self.games[game] = Sequences(
            mu,
            logvar,
            torch.from_numpy(np.stack(tape.actions)),
            torch.from_numpy(np.array(tape.rewards, np.float32)),
            dones,
            [len(tape.actions)],
        )

    def _seen(self, lanes: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Of each chosen lane, V's mean and log variance, (2, Z)."""
        both = torch.stack([self.world.perception.z, self.world.perception.logvar], 1).numpy()
        return [(int(lane), both[lane]) for lane in np.flatnonzero(lanes)]


@dataclass(frozen=True)
class Step:
    """A step of one game: frame (64, 64, 3) uint8 (what V saw, or what V paints of a dream), the action
    that was then taken (A,), and what the step earned."""

    frame: np.ndarray
    action: np.ndarray
    reward: float


class Filmer(Observer):
    """Keeps what there is to look at in a world of one lane: the steps of its last game."""

    def __init__(self, world: World):
        self.world = world

    def begin(self, lanes: np.ndarray, games: np.ndarray) -> None:
        self.steps: list[Step] = []
        self._frame = self.world.pictures()[0]

    def step(
        self, lanes: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        self.steps.append(Step(self._frame, actions[0].copy(), float(rewards[0])))
        self._frame = self.world.pictures()[0]


class _Tape:
    """What one lane has seen and done so far."""

    def __init__(self, seen: list[np.ndarray]):
        self.seen, self.actions, self.rewards, self.terminated = seen, [], [], False

    def add(self, seen: np.ndarray, action: np.ndarray, reward: float, terminated: bool) -> None:
        self.seen.append(seen)
        self.actions.append(action.copy())
        self.rewards.append(reward)
        self.terminated = bool(terminated)


def record(
    world: RealWorld | Elsewhere,
    controller: Controller,
    params: Tensor,
    seeds: np.ndarray,
    patience: int = 0,
    log: RunLog | None = None,
) -> Sequences:
    """One game of each controller, kept as what V saw of it.

    Args:
        params: (N, D). seeds: (N,).
        patience: end a game after so many steps without a positive reward; 0 never does.
    """
    log = log or RunLog(quiet=True)
    with log.bar(len(params), "record", "games") as bar:
        counting = Listener(lambda _: bar.update())
        if isinstance(world, Elsewhere):
            return world.record(controller, params, np.asarray(seeds), patience, Hearsay([counting]))
        kept = SequenceRecorder(world)
        observers = kept, counting
        play(world, controller, params, np.asarray(seeds)[:, None], patience, observers)
    return join([kept.games[game] for game in range(len(params))])
