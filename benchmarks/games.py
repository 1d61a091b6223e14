"""The real game: one core, many games at once, and scoring a population."""

from collections.abc import Iterator

import gymnasium
import numpy as np
import torch

from benchmarks.measure import Row, side_by_side
from benchmarks.peers import RolloutPool
from wmlib.agent import Agent
from wmlib.config import Machine
from wmlib.envs import Games, open_games
from wmlib.task import find_task, make_game
from wmlib.worlds import RealWorld, World, play


def actions_for(steps: int) -> np.ndarray:
    """A car that drives on and sways: (steps, 3)."""
    t = np.arange(steps)
    return np.stack([0.3 * np.sin(t / 15), np.full(steps, 0.3), np.zeros(steps)], 1)


class OneGame:
    """One game, stepped by the same actions in every repeat."""

    def __init__(self, kind: str, steps: int):
        self.game, self.actions = make_game("carracing", kind), actions_for(steps)

    def __call__(self) -> int:
        for action in self.actions:
            self.game.step(action)
        return len(self.actions)

    def begin(self) -> "OneGame":
        self.game.reset(seed=1)
        return self


def env_rows(steps: int, repeats: int, with_envpool: bool) -> Iterator[Row]:
    """Steps a second of the game itself: on one core, and on all of them."""
    ours, stock = OneGame("exact", steps).begin(), OneGame("stock", steps).begin()
    ours(), stock()  # over the zoom at the start
    yield side_by_side(
        "env", "steps/s, one core", "our exact CarRacing; Gymnasium's", ours, stock, repeats
    )
    workers, lanes = Machine().worker_count, 8
    vector = gymnasium.make_vec(
        "CarRacing-v3", num_envs=lanes, vectorization_mode="async",
        vector_kwargs={"shared_memory": True, "context": "spawn"},
    )  # fmt: skip
    actions = np.repeat(actions_for(steps // 4)[:, None], lanes, 1)  # (steps, lanes, 3)
    with Games(find_task("carracing").game(), lanes, workers) as games:
        active = np.ones(lanes, bool)
        games.reset(list(range(1, lanes + 1)))
        vector.reset(seed=1)

        def ours_at_once() -> int:
            for action in actions:
                games.step(action, active)
            return actions[:, :, 0].size

        def theirs_at_once() -> int:
            for action in actions.astype(np.float32):
                vector.step(action)
            return actions[:, :, 0].size

        yield side_by_side(
            "env_vector", "steps/s, all cores",
            f"Games, {lanes} games in {workers} processes; AsyncVectorEnv, {lanes} processes",
            ours_at_once, theirs_at_once, repeats,
        )  # fmt: skip
    vector.close()
    if with_envpool:
        with open_games(find_task("carracing").game("envpool"), 1, 1) as pool:
            pool.reset([1])
            one = np.ones(1, bool)

            def theirs_in_cpp() -> int:
                for action in ours.actions:
                    pool.step(action[None], one)
                return steps

            yield side_by_side(
                "env_envpool", "steps/s, one core", "our exact CarRacing; EnvPool's look-alike in C++",
                ours.begin(), theirs_in_cpp, repeats,
            )  # fmt: skip


class Counted:
    """A world that counts the steps its lanes really play."""

    def __init__(self, world: World):
        self.world, self.steps, self._over = world, 0, np.ones(world.lanes, bool)

    def __getattr__(self, name: str):
        return getattr(self.world, name)

    def reset(self, *, seed, options=None):
        self._over[(options or {}).get("reset_mask", np.ones(self.world.lanes, bool))] = False
        return self.world.reset(seed=seed, options=options)

    def step(self, actions):
        self.steps += int((~self._over).sum())
        result = self.world.step(actions)
        self._over |= result[2] | result[3]
        return result


def population(agent: Agent, size: int) -> torch.Tensor:
    """The shipped C with a little noise, (size, D): candidates that drive, as in a real generation."""
    noise = torch.randn(size, len(agent.params), generator=torch.Generator().manual_seed(0))
    return agent.params + 0.01 * noise


def evaluation_rows(
    agent: Agent, candidates: int, horizon: int, repeats: int, with_envpool: bool
) -> Iterator[Row]:
    """Game steps a second while a population is scored, on all cores."""
    machine, params, seeds = Machine(), population(agent, candidates), [1, 2, 3, 4]
    kinds = {"evaluation": "exact"} | ({"evaluation_envpool": "envpool"} if with_envpool else {})
    lanes = candidates * len(seeds)
    with RolloutPool(agent, horizon) as pool:
        pool.play("real", params[:2], seeds[:1])  # every process has its game and models
        for name, kind in kinds.items():
            with RealWorld(agent.vae, agent.mdnrnn, lanes, machine.worker_count, horizon, kind) as world:

                def ours(world=world) -> int:
                    counted = Counted(world)
                    play(counted, agent.controller, params, seeds)
                    return counted.steps

                def theirs() -> int:  # its rate does not depend on how many games there are
                    return pool.play("real", params[: max(2, candidates // 4)], seeds[:2])[1]

                what = (
                    f"{candidates} candidates x {len(seeds)} tracks x {horizon} frames, {kind} game,"
                    " batched; one rollout after the other in the stock game, a process a core"
                )
                yield side_by_side(name, "game steps/s", what, ours, theirs, repeats)
