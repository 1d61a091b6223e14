"""Explorers: players that look at nothing, and act by chance, so that there is something to learn from.

White noise hardly moves the car: its pushes cancel. A *Brownian* policy lets the action wander slowly
and pulls it back to a mean, so that the car drives, turns, skids and leaves the road.

Each is a `Policy`, made for so many lanes: `restart` when games begin, `act` at every frame.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from wmlib.task import Task


class NoisePolicy(ABC):
    """Policies that see nothing: each lane draws from a generator of its own.

    Every game also draws a temper: how sharply it steers, how much gas it gives, how often it brakes,
    how long it keeps to one thing. Drivers that are all alike would leave M with nothing to compare: it
    would believe that the points come by themselves, and C would learn in its dream to stand still.
    """

    def __init__(self, task: Task, lanes: int):
        self.task = task
        self.rngs: list[np.random.Generator] = [np.random.default_rng(0)] * lanes
        self.state = np.zeros((lanes, task.action_size))
        self.centre = np.zeros((lanes, task.action_size))
        self.spread = np.zeros((lanes, task.action_size))
        self.keep = np.zeros(lanes)  # how much of the state survives a step

    def restart(self, lanes: np.ndarray, seeds: list[int], frames: np.ndarray) -> None:
        """New games begin in the chosen lanes (bool)."""
        for lane in np.flatnonzero(lanes):
            rng = self.rngs[lane] = np.random.default_rng([seeds[lane], 7])
            # What a temper is, the game's task says.
            self.centre[lane], self.spread[lane] = self.task.temper(rng, self.task.action_size)
            self.keep[lane] = 1 - 10 ** rng.uniform(-1.5, -0.4)  # 2.5 to 30 steps
            self.begin(lane)

    def act(self, active: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Actions (lanes, A) float32, in the game's units."""
        for lane in np.flatnonzero(active):
            self.move(lane)
        # The state has mean 0 and deviation 1 in each element.
        actions = self.centre + self.spread * self.state
        return self.task.nearest(actions)

    def begin(self, lane: int) -> None:
        """Draw a lane's first state."""
        self.state[lane] = self.rngs[lane].normal(size=self.task.action_size)

    @abstractmethod
    def move(self, lane: int) -> None:
        """Let a lane's state take its next step."""


class BrownianPolicy(NoisePolicy):
    """A mean-reverting walk (Ornstein-Uhlenbeck)."""

    def move(self, lane: int) -> None:
        noise, keep = self.rngs[lane].normal(size=self.task.action_size), self.keep[lane]
        self.state[lane] = keep * self.state[lane] + np.sqrt(1 - keep**2) * noise


class HeldPolicy(NoisePolicy):
    """A random action, held for a while, then another (what the paper did for Doom)."""

    def move(self, lane: int) -> None:
        if self.rngs[lane].random() > self.keep[lane]:
            self.begin(lane)


class WhitePolicy(NoisePolicy):
    """A fresh random action at every step: here to show that it does not work."""

    def move(self, lane: int) -> None:
        self.begin(lane)


class UniformPolicy:
    """An action drawn evenly from all and held for 1 to 10 frames (the paper's way in Doom)."""

    longest = 10

    def longest_of(self, rng: np.random.Generator) -> int:
        """The most frames that a game's actions are held."""
        return self.longest

    def __init__(self, task: Task, lanes: int):
        self.task = task
        self.rngs: list[np.random.Generator] = [np.random.default_rng(0)] * lanes
        self.actions = np.zeros((lanes, task.action_size), np.float32)
        self.left = np.zeros(lanes, int)  # frames that the action still holds
        self.most = np.zeros(lanes, int)  # frames that an action of this game holds at most

    def restart(self, lanes: np.ndarray, seeds: list[int], frames: np.ndarray) -> None:
        for lane in np.flatnonzero(lanes):
            self.rngs[lane] = np.random.default_rng([seeds[lane], 7])
            self.most[lane] = self.longest_of(self.rngs[lane])
            self.left[lane] = 0

    def act(self, active: np.ndarray, frames: np.ndarray) -> np.ndarray:
        for lane in np.flatnonzero(active & (self.left == 0)):
            self.actions[lane] = self.task.nearest(self.rngs[lane].uniform(*self.task.bounds))
            self.left[lane] = self.rngs[lane].integers(1, self.most[lane] + 1)
        self.left -= active
        return self.actions.copy()


class StrafingPolicy(UniformPolicy):
    """As uniform, but some games hold an action far longer: at most 10 to 160 frames, each game its own.

    Ten frames are a third of a second. Who has never run for longer does not know that the room has
    walls: in its dream one could run on for ever, and nothing would ever hit.
    """

    def longest_of(self, rng: np.random.Generator) -> int:
        return round(10 * 16 ** rng.random())


class ConstantPolicy:
    """One action (A,) at every frame, whatever comes: a blind player that scores are compared with."""

    def __init__(self, task: Task, lanes: int, action: Sequence[float]):
        self.actions = np.tile(task.nearest(np.asarray(action, float)), (lanes, 1))

    def restart(self, lanes: np.ndarray, seeds: list[int], frames: np.ndarray) -> None:
        """It goes on as before."""

    def act(self, active: np.ndarray, frames: np.ndarray) -> np.ndarray:
        return self.actions.copy()


class FreshPolicy(UniformPolicy):
    """An action drawn evenly from all at every frame: the chance that scores are compared with."""

    longest = 1
