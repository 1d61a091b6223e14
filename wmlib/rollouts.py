"""Exploration: play many games at once and keep what was seen.

White noise hardly moves the car: its pushes cancel. A *Brownian* policy lets the action wander slowly
and pulls it back to a mean, so that the car drives, turns, skids and leaves the road.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from wmlib.artifacts import ArtifactError
from wmlib.config import CollectConfig, Machine, Task
from wmlib.controller import Controller
from wmlib.envs import EnvPoolGames, Games, open_games
from wmlib.episodes import Episode, EpisodeStore
from wmlib.mdnrnn import MDNRNN
from wmlib.perception import Perception
from wmlib.runlog import RunLog
from wmlib.vae import VAE


class Policy(Protocol):
    """Chooses actions for many lanes; each lane's chance follows from its game's seed alone."""

    def restart(self, lanes: np.ndarray, seeds: list[int], frames: np.ndarray) -> None:
        """New games begin in the chosen lanes (bool)."""

    def act(self, active: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Actions (lanes, A) float32, in the game's units, given frames (lanes, 64, 64, 3)."""


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
        self.centre = np.zeros((lanes, 3))  # of steering, gas and brake
        self.spread = np.zeros((lanes, 3))
        self.keep = np.zeros(lanes)  # how much of the state survives a step

    def restart(self, lanes: np.ndarray, seeds: list[int], frames: np.ndarray) -> None:
        for lane in np.flatnonzero(lanes):
            rng = self.rngs[lane] = np.random.default_rng([seeds[lane], 7])
            # From hardly steering to both ends of the wheel, and up to full gas: what no explorer has
            # tried, M knows nothing of, and that is what C would do in its dream.
            self.centre[lane] = 0.0, rng.uniform(0.0, 1.0), rng.uniform(-0.7, 0.15)
            self.spread[lane] = 10 ** rng.uniform(-1.4, 0.3), 0.3, 0.3
            self.keep[lane] = 1 - 10 ** rng.uniform(-1.5, -0.4)  # 2.5 to 30 steps
            self.begin(lane)

    def act(self, active: np.ndarray, frames: np.ndarray) -> np.ndarray:
        for lane in np.flatnonzero(active):
            self.move(lane)
        # The state has mean 0 and deviation 1 in each element.
        actions = self.centre + self.spread * self.state
        return np.clip(actions, [-1, 0, 0], [1, 1, 1]).astype(np.float32)

    def begin(self, lane: int) -> None:
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
    """An action drawn evenly from -1 to 1 and held for 1 to 10 frames (the paper's way in Doom)."""

    longest = 10

    def longest_of(self, rng: np.random.Generator) -> int:
        """The most frames that a game's actions are held."""
        return self.longest

    def __init__(self, task: Task, lanes: int):
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
            self.actions[lane] = self.rngs[lane].uniform(-1, 1, self.actions.shape[1])
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


class FreshPolicy(UniformPolicy):
    """An action drawn evenly from -1 to 1 at every frame: the chance that scores are compared with."""

    longest = 1


class RunnerPolicy:
    """To and fro, 80 frames to the left and 80 to the right, whatever comes: Doom's blind baseline.

    Hardly a fireball meets who is never where he was. To live longer than this, one has to look.
    """

    def __init__(self, task: Task, lanes: int):
        self.frames = np.zeros((lanes, task.action_size), int)  # since the game began

    def restart(self, lanes: np.ndarray, seeds: list[int], frames: np.ndarray) -> None:
        self.frames[lanes] = 0

    def act(self, active: np.ndarray, frames: np.ndarray) -> np.ndarray:
        actions = np.where(self.frames // 80 % 2, 1.0, -1.0)
        self.frames[active] += 1
        return actions.astype(np.float32)


class NoisyController:
    """A controller that sees the game through V and M, with an explorer's noise on its actions.

    Args:
        noise: 0 for the controller alone, 1 for the task's explorer alone; between, a mixture.
    """

    def __init__(
        self,
        vae: VAE,
        mdnrnn: MDNRNN,
        controller: Controller,
        params: torch.Tensor,
        lanes: int,
        noise: float = 0.0,
    ):
        self.perception = Perception(vae, mdnrnn, lanes)
        self.controller, self.params = controller, params
        self.explorer = POLICIES[mdnrnn.task.explorers[0]](mdnrnn.task, lanes)
        self.noise = noise

    def restart(self, lanes: np.ndarray, seeds: list[int], frames: np.ndarray) -> None:
        self.explorer.restart(lanes, seeds, frames)
        self.perception.restart(lanes, frames)

    def act(self, active: np.ndarray, frames: np.ndarray) -> np.ndarray:
        self.perception.see(active, frames)
        features = self.perception.features()
        params = self.params.expand(len(features), -1)  # a product a lane, as in `play`
        chosen = self.controller.act(params, features[:, None])[:, 0].numpy()
        explored = self.explorer.act(active, frames)
        actions = ((1 - self.noise) * chosen + self.noise * explored).astype(np.float32)
        self.perception.advance(torch.from_numpy(actions))
        return actions


POLICIES: dict[str, Callable[[Task, int], Policy]] = {
    "brownian": BrownianPolicy, "held": HeldPolicy, "white": WhitePolicy, "uniform": UniformPolicy,
    "strafing": StrafingPolicy, "fresh": FreshPolicy, "runner": RunnerPolicy,
}  # fmt: skip


def collect(
    task: Task,
    config: CollectConfig,
    machine: Machine,
    folder: Path,
    log: RunLog,
    make_policy: Callable[[int], Policy] | None = None,
    digest: str = "",
    stage: str = "collect",
) -> EpisodeStore:
    """Record `config.episodes` games into `folder`; those that are there already are kept.

    Args:
        make_policy: makes who plays, for so many lanes; by default the explorer that `config.policy`
            names.
        digest: of the configuration; a folder with episodes of another one is refused.
    """
    store = EpisodeStore(folder)
    if any(row.get("digest") != digest for row in store.rows.values()):
        raise ArtifactError(
            f"{folder} holds episodes of another configuration; choose another --run-dir, or delete it"
        )
    store.forget_missing()
    wanted = range(config.first_seed, config.first_seed + config.episodes)
    missing = [seed for seed in wanted if seed not in store.rows]
    lanes = min(machine.lanes, len(missing))
    if not missing:
        return store
    policy = make_policy(lanes) if make_policy else POLICIES[config.policy](task, lanes)
    about = {"policy": config.policy, "task": task.name, "digest": digest, **game_versions()}
    with (
        open_games(task.name, lanes, machine.worker_count, machine.backend, task.game_options) as games,
        log.bar(len(wanted), stage, "episodes", len(wanted) - len(missing)) as bar,
    ):
        for episode in record(games, policy, missing, config.horizon):
            store.add(episode, about)
            log.event(stage, len(store), seed=episode.seed, length=len(episode))
            bar.update()
    return store


def record(
    games: Games | EnvPoolGames, policy: Policy, seeds: list[int], horizon: int
) -> Iterator[Episode]:
    """Play all seeds, at least as many as there are lanes, and yield each episode as it ends."""
    queue = list(seeds)
    lanes = games.lanes
    seed_of_lane = [queue.pop(0) for _ in range(lanes)]
    active = np.ones(lanes, bool)
    frames = games.reset(seed_of_lane)
    policy.restart(active, seed_of_lane, frames)
    tapes = [_Tape(frames[lane]) for lane in range(lanes)]
    while active.any():
        actions = policy.act(active, frames)
        frames, rewards, terminated = games.step(actions, active)
        ended = np.zeros(lanes, bool)
        for lane in np.flatnonzero(active):
            tapes[lane].add(frames[lane], actions[lane], rewards[lane])
            ended[lane] = terminated[lane] or len(tapes[lane].actions) >= horizon
        if not ended.any():
            continue
        new_seeds: list[int | None] = [None] * lanes
        for lane in np.flatnonzero(ended):
            yield tapes[lane].episode(seed_of_lane[lane], bool(terminated[lane]))
            if queue:
                seed_of_lane[lane] = new_seeds[lane] = queue.pop(0)
            else:
                active[lane] = False
        fresh = np.array([seed is not None for seed in new_seeds])
        if fresh.any():
            frames = games.reset(new_seeds)
            policy.restart(fresh, seed_of_lane, frames)
            for lane in np.flatnonzero(fresh):
                tapes[lane] = _Tape(frames[lane])


class _Tape:
    """What one lane has seen and done so far."""

    def __init__(self, first_frame: np.ndarray):
        self.frames, self.actions, self.rewards = [first_frame.copy()], [], []

    def add(self, frame: np.ndarray, action: np.ndarray, reward: float) -> None:
        self.frames.append(frame.copy())
        self.actions.append(action.copy())
        self.rewards.append(reward)

    def episode(self, seed: int, terminated: bool) -> Episode:
        return Episode(
            seed, np.stack(self.frames), np.stack(self.actions), np.array(self.rewards, np.float32),
            terminated,
        )  # fmt: skip


def game_versions() -> dict[str, str]:
    """The releases that decide what a game looks like and how it behaves."""
    from importlib.metadata import version

    return {name: version(name) for name in ("gymnasium", "Box2D", "pygame-ce", "vizdoom", "wmlib")}
