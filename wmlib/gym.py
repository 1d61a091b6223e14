"""The dream and the game as Gymnasium environments, in which any algorithm can learn.

    import gymnasium
    import wmlib.gym  # registers both

    dream = gymnasium.make("wmlib/Dream-v0", agent="data/reference/takecover", temperature=1.15)
    dreams = gymnasium.make_vec("wmlib/Dream-v0", num_envs=1000, agent="data/reference/takecover")
    game = gymnasium.make("wmlib/Real-v0", agent="data/reference/takecover")

What is seen are the features that C is given, or z as V paints it; in the game too, which is seen
through V and M. So the spaces are the same, and who has learned in the one can act in the other.
"""

import multiprocessing
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import gymnasium
import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Discrete, MultiBinary, Space
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from wmlib.agent import Agent, load_agent
from wmlib.config import VALIDATION_SEEDS, End, Machine, Precision
from wmlib.envs.errors import GameError
from wmlib.envs.games import GameKind
from wmlib.runtime.fields import HIGHEST_SEED, check, check_counts, check_taus
from wmlib.task import Task
from wmlib.vae import to_frames
from wmlib.worlds.dream import DreamWorld
from wmlib.worlds.perception import CHUNK
from wmlib.worlds.real import RealWorld

DREAM, REAL = "wmlib/Dream-v0", "wmlib/Real-v0"
"""The names by which Gymnasium makes them."""

Observation = Literal["features", "pictures"]
"""What is seen: all that C is given, (F,) float32; or z as V paints it, (64, 64, 3) uint8."""


class WorldVectorEnv(VectorEnv):
    """The lanes of a world as a vector environment.

    Actions are the game's: numbers (lanes, A), the number of a choice (lanes,), or switches (lanes, A).
    What lies outside of the ranges is taken as their nearest end, so that M is never asked what no game
    could tell. Ends and cuts, and what becomes of lanes that are
    over, are as in Gymnasium's own `SyncVectorEnv`, in all modes of autoreset; with the same seeds,
    lanes go through the same games as there.

    Seeds: a game or a dream begins from the very seed that `reset` is given: 2,000,000 shows what is
    scored elsewhere under this number. All that begin without one draw theirs from those below
    1,000,000, which are there to learn from. (So does a lane whose seed is above 2,147,483,647.)
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(
        self,
        world: DreamWorld | RealWorld,
        agent: Agent,
        observation: Observation = "features",
        render_mode: Literal["rgb_array"] | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    ):
        self.world, self.agent, self.num_envs = world, agent, world.lanes
        self.observation, self.render_mode = observation, render_mode
        check(self, "observation", observation in get_args(Observation), "features or pictures")
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        self.single_action_space = action_space(agent.task)
        if observation == "pictures":
            self.single_observation_space = Box(0, 255, (64, 64, 3), np.uint8)
        else:
            self.single_observation_space = Box(-np.inf, np.inf, (agent.task.feature_size,), np.float32)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self._chance = [np_random() for _ in range(self.num_envs)]  # generator and seed, a lane
        self._unready = np.ones(self.num_envs, bool)  # has to be reset before a step
        self._over = np.zeros(self.num_envs, bool)  # begins anew in the next step

    @property
    def np_random(self) -> tuple[np.random.Generator, ...]:
        """A generator for each lane, from which its seeds are drawn."""
        return tuple(generator for generator, _ in self._chance)

    @property
    def np_random_seed(self) -> tuple[int, ...]:
        """The seed of each lane's generator."""
        return tuple(seed for _, seed in self._chance)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict | None = None
    ) -> tuple[np.ndarray, dict]:
        """Start lanes anew: all, or those in options["reset_mask"] (bool).

        Args:
            seed: the first lane's, the others follow; or one for each lane.

        Returns:
            what is seen, (lanes, ...); and {}.
        """
        chosen = self._chosen(options)
        if seed is None or isinstance(seed, int):
            seed = [None if seed is None else seed + lane for lane in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"there are {len(seed)} seeds for {self.num_envs} lanes; give one for each")
        return self._see(self._begin(chosen, seed)), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict]:
        """One step of all lanes.

        Args:
            actions: (lanes, A), in the game's units; or (lanes,) whole numbers, where it is a choice.

        Returns:
            what is seen then; rewards (lanes,) float64; terminated and truncated, (lanes,) bool each;
            and in the mode SAME_STEP what was last seen of games that ended, as "final_obs".

        Raises:
            ResetNeeded: a lane has to be reset first.
        """
        self._refuse_unready()
        features, rewards, terminated, truncated, _ = self.world.step(self._taken(actions))
        over, infos, anew = terminated | truncated, {}, None
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            anew, self._over = self._over, over  # the world leaves those that are over as they are
        elif self.autoreset_mode is AutoresetMode.DISABLED:
            self._unready = over
        elif over.any():
            anew, infos = over, self._last(over, self._see(features))
        if anew is not None and anew.any():
            features = self._begin(anew, [None] * self.num_envs)
        return self._see(features), rewards, terminated, truncated, infos

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Of each lane what there is to look at, (64, 64, 3) uint8: the frame, or z as V paints it."""
        self._refuse_unready()
        return tuple(self.world.pictures()) if self.render_mode else None

    def close_extras(self) -> None:
        """Let go of what is open: `close` calls it."""
        self.world.close()

    def _begin(self, chosen: np.ndarray, seeds: Sequence[int | None]) -> Tensor:
        """Start the chosen lanes (bool) anew. Returns the features of all lanes."""
        numbers: list[int | None] = [None] * self.num_envs
        for lane in np.flatnonzero(chosen):
            if seeds[lane] is not None:
                self._chance[lane] = np_random(seeds[lane])
            numbers[lane] = seed_of_game(self._chance[lane][0], seeds[lane])
        features, _ = self.world.reset(seed=numbers, options={"reset_mask": chosen})
        self._unready = self._unready & ~chosen
        self._over = self._over & ~chosen
        return features

    def _chosen(self, options: dict | None) -> np.ndarray:
        chosen = (options or {}).get("reset_mask", np.ones(self.num_envs, bool))
        fits = isinstance(chosen, np.ndarray) and chosen.dtype == bool and chosen.any()
        if not fits or chosen.shape != (self.num_envs,):
            raise ValueError(
                f"options['reset_mask'] is {chosen!r}; it must be an array of {self.num_envs} bool, at "
                "least one of them True"
            )
        return chosen

    def _refuse_unready(self) -> None:
        if self._unready.any():
            lanes = ", ".join(map(str, np.flatnonzero(self._unready)[:8]))
            raise ResetNeeded(f"these lanes must be reset before anything else: {lanes}")

    def _taken(self, actions: np.ndarray) -> Tensor:
        """The actions as the world takes them, (lanes, A)."""
        actions, space, task = np.asarray(actions), self.action_space, self.agent.task
        if actions.shape != space.shape:
            raise ValueError(f"actions are of shape {actions.shape}; they must be of {space.shape}")
        if task.kind == "choice":
            if not space.contains(actions):
                raise ValueError(f"a choice is a whole number from 0 to {task.action_size - 1}")
            actions = np.eye(task.action_size)[actions]
        if not np.isfinite(actions).all():
            raise ValueError("an action is not a finite number")
        return torch.from_numpy(task.nearest(actions))

    def _see(self, features: Tensor) -> np.ndarray:
        if self.observation == "features":
            return features.numpy()
        with torch.inference_mode():
            return to_frames(self.agent.vae.decode(self.world.z)).numpy()

    def _lower(self, *limits: int | None) -> int | None:
        """Check the lanes, and the steps after which they are cut. Returns the lower limit, if any."""
        self.horizon = min((limit for limit in limits if limit is not None), default=None)
        check_counts(self, num_envs=1)
        if self.horizon is not None:
            check_counts(self, horizon=1)
        return self.horizon

    def _last(self, over: np.ndarray, seen: np.ndarray) -> dict:
        """What Gymnasium wants to be told of games that ended and begin anew in the same step."""
        final = np.full(self.num_envs, None, object)
        for lane in np.flatnonzero(over):
            final[lane] = seen[lane].copy()
        return {
            "final_obs": final, "_final_obs": over.copy(), "final_info": {}, "_final_info": over.copy(),
        }  # fmt: skip


class DreamVectorEnv(WorldVectorEnv):
    """M's dreams, side by side.

    Args:
        agent: its folder, a run's or one in data/reference; or the agent itself.
        temperature: of the mixture, from 0.05 to 10.
        end: how a dream ends (see `DreamWorld`).
        horizon: steps after which a dream is cut; by default the task's own number.
        max_episode_steps: Gymnasium's name for the same; of both, the lower one counts.
        precision: number format of M's products.
        observation: see `Observation`. render_mode: "rgb_array", to look at it.
        autoreset_mode: what becomes of dreams that are over, in Gymnasium's terms.

    Raises:
        ArtifactError: the folder has no agent. ConfigError: an option is out of bounds.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        agent: str | Path | Agent,
        temperature: float = 1.0,
        end: End = "cutoff",
        horizon: int | None = None,
        max_episode_steps: int | None = None,
        precision: Precision = "float32",
        observation: Observation = "features",
        render_mode: Literal["rgb_array"] | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    ):
        self.num_envs, self.temperature, self.end, self.precision = num_envs, temperature, end, precision
        check_taus(self, "temperature")
        check(self, "end", end in get_args(End), f"one of: {', '.join(get_args(End))}")
        formats = get_args(Precision)
        check(self, "precision", precision in formats, f"one of: {', '.join(formats)}")
        horizon = self._lower(horizon, max_episode_steps)
        agent = _agent(agent)
        world = agent.dream(num_envs, horizon, temperature, end, precision)
        super().__init__(world, agent, observation, render_mode, autoreset_mode)


class RealVectorEnv(WorldVectorEnv):
    """The real game, seen through V and M: many games side by side, over processes of their own.

    Args:
        agent, horizon, max_episode_steps, observation, render_mode, autoreset_mode: as in
            `DreamVectorEnv`.
        workers: processes that share the games; 0 takes one for each core.
        game: "exact", or another kind that the task has.

    Raises:
        ArtifactError: the folder has no agent. ConfigError: an option is out of bounds. GameError: the
            games can't be started.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        agent: str | Path | Agent,
        horizon: int | None = None,
        max_episode_steps: int | None = None,
        workers: int = 0,
        game: GameKind = "exact",
        observation: Observation = "features",
        render_mode: Literal["rgb_array"] | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    ):
        self.num_envs = num_envs
        horizon = self._lower(horizon, max_episode_steps)
        if multiprocessing.current_process().daemon:  # what AsyncVectorEnv and SubprocVecEnv start
            raise GameError(
                "a game needs a process of its own, which a daemonic one can't start; for many games at "
                f'once, leave out the vectorization mode: gymnasium.make_vec("{REAL}", num_envs=8, ...)'
            )
        agent = _agent(agent)
        machine, chunk = Machine(workers, num_envs), min(num_envs, CHUNK)
        world = agent.real(num_envs, machine, horizon, game, chunk)
        super().__init__(world, agent, observation, render_mode, autoreset_mode)


class WorldEnv(gymnasium.Env):
    """One lane of a world as an environment. It begins anew when it is reset, and only then."""

    metadata = WorldVectorEnv.metadata

    def __init__(self, lanes: WorldVectorEnv):
        self.lanes, self.render_mode = lanes, lanes.render_mode
        self.observation_space = lanes.single_observation_space
        self.action_space = lanes.single_action_space

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Start anew. Returns what is seen, (F,) float32 or (64, 64, 3) uint8; and {}."""
        super().reset(seed=seed)
        seen, infos = self.lanes.reset(seed=[seed_of_game(self.np_random, seed)])
        return seen[0], infos

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """One step. action: (A,), in the game's units; or a whole number, where it is a choice.

        Raises:
            ResetNeeded: it is over, or has not begun.
        """
        seen, reward, terminated, truncated, infos = self.lanes.step(np.asarray(action)[None])
        return seen[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), infos

    def render(self) -> np.ndarray | None:
        """What there is to look at, (64, 64, 3) uint8: the frame, or z as V paints it."""
        pictures = self.lanes.render()
        return pictures and pictures[0]

    def close(self) -> None:
        self.lanes.close()


class DreamEnv(WorldEnv):
    """M's dream. Options: those of `DreamVectorEnv`, apart from how many and their autoreset."""

    def __init__(self, **options):
        super().__init__(DreamVectorEnv(1, autoreset_mode=AutoresetMode.DISABLED, **options))


class RealEnv(WorldEnv):
    """The real game, seen through V and M. Options: those of `RealVectorEnv`, as in `DreamEnv`."""

    def __init__(self, **options):
        super().__init__(RealVectorEnv(1, autoreset_mode=AutoresetMode.DISABLED, **options))


def action_space(task: Task) -> Space:
    """The actions of a task's game, in Gymnasium's words."""
    if task.kind == "choice":
        return Discrete(task.action_size)
    if task.kind == "switches":
        return MultiBinary(task.action_size)
    low, high = task.bounds
    return Box(low.astype(np.float32), high.astype(np.float32))


def seed_of_game(chance: np.random.Generator, seed: int | None) -> int:
    """The seed from which a game begins: the one that was asked for, if a game can have it; else one
    that is drawn from those to learn from."""
    return int(chance.integers(VALIDATION_SEEDS)) if seed is None or seed > HIGHEST_SEED else seed


def _agent(agent: str | Path | Agent) -> Agent:
    return agent if isinstance(agent, Agent) else load_agent(Path(agent))


gymnasium.register(DREAM, "wmlib.gym:DreamEnv", vector_entry_point="wmlib.gym:DreamVectorEnv")
gymnasium.register(REAL, "wmlib.gym:RealEnv", vector_entry_point="wmlib.gym:RealVectorEnv")
