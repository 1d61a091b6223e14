"""The dream, the environment that it is to others, and the speed of the products that bound it."""

import functools
import importlib.util
from collections.abc import Iterator

import gymnasium
import numpy as np
import torch

from benchmarks.games import Counted, population
from benchmarks.measure import Row, side_by_side
from benchmarks.peers import RolloutPool
from wmlib.agent import Agent
from wmlib.gym import DREAM, DreamEnv
from wmlib.runtime.cores import core_count
from wmlib.runtime.device import processor_kind
from wmlib.runtime.product import Product
from wmlib.worlds import DreamWorld, play


def has_bfloat16() -> bool:
    """Whether the processor has units for it. Where they are emulated, a row takes minutes."""
    return processor_kind() == "avx512_bf16"


def dream_rows(
    agent: Agent, lanes: int, horizon: int, repeats: int, prefix: str = "dream"
) -> Iterator[Row]:
    """Dreamt steps a second while a population is scored, on all cores, beside a peer and beside the
    matrix products alone; and, where the processor has bfloat16, with M's products in that."""
    candidates = population(agent, 64)
    seeds = list(range(lanes // 64))
    world = DreamWorld(agent.mdnrnn, agent.starts, lanes, horizon)

    def dream_steps(world: DreamWorld) -> int:
        counted = Counted(world)
        play(counted, agent.controller, candidates, seeds)
        return counted.steps

    def ours() -> int:
        return dream_steps(world)

    with RolloutPool(agent, horizon) as pool:
        pool.play("dream", candidates[:4], seeds[:1])

        def theirs() -> int:
            return pool.play("dream", candidates[:32], seeds[:1])[1]

        ours()
        what = f"{lanes} dreams at once; one dream after the other, a process a core"
        yield side_by_side(prefix, "dreamt steps/s", what, ours, theirs, repeats)
        alone = products(agent, lanes, torch.float32)
        limit = f"{lanes} dreams at once; their matrix products alone, float32"
        yield side_by_side(f"{prefix}_limit", "dreamt steps/s", limit, ours, alone, repeats)
        if not has_bfloat16():
            return
        half = DreamWorld(agent.mdnrnn, agent.starts, lanes, horizon, dtype=torch.bfloat16)

        def ours_in_bfloat16() -> int:
            return dream_steps(half)

        what = what.replace("at once", "at once, M's products in bfloat16")
        yield side_by_side(f"{prefix}_bf16", "dreamt steps/s", what, ours_in_bfloat16, theirs, repeats)
    yield gemm_row(agent, lanes, repeats, f"{prefix}_gemm")


def has_sb3() -> bool:
    return importlib.util.find_spec("stable_baselines3") is not None


def environment_rows(
    agent: Agent, lanes: int, horizon: int, repeats: int, prefix: str = "make_vec"
) -> Iterator[Row]:
    """Dreamt steps a second of `make_vec`, while C acts in it, on all cores: beside the world itself,
    and beside Stable-Baselines3's way of making many of the single environment, a process a core."""
    seeds, params = list(range(lanes)), agent.params[None]
    world = agent.dream(lanes, horizon)
    envs = gymnasium.make_vec(DREAM, lanes, agent=agent, horizon=horizon)

    def act(seen: np.ndarray) -> np.ndarray:
        return agent.controller.act(params, torch.from_numpy(seen)[None])[0].numpy()

    def ours() -> int:
        seen, _ = envs.reset(seed=0)
        for _ in range(horizon):
            seen, *_ = envs.step(act(seen))
        return lanes * horizon

    def the_world() -> int:
        counted = Counted(world)
        play(counted, agent.controller, params, seeds)
        return counted.steps

    ours()
    what = f"make_vec, {lanes} dreams at once; the world itself"
    yield side_by_side(f"{prefix}_world", "dreamt steps/s", what, ours, the_world, repeats)
    if not has_sb3():
        return
    from stable_baselines3.common.vec_env import SubprocVecEnv

    peer = SubprocVecEnv(
        [functools.partial(_single, agent, horizon)] * core_count(), start_method="spawn"
    )

    def theirs() -> int:
        peer.seed(0)
        seen = peer.reset()
        for _ in range(horizon):
            seen, *_ = peer.step(act(seen))
        return peer.num_envs * horizon

    what = f"make_vec, {lanes} dreams at once; SB3's SubprocVecEnv, a process a core"
    yield side_by_side(prefix, "dreamt steps/s", what, ours, theirs, repeats)
    peer.close()


def _single(agent: Agent, horizon: int) -> DreamEnv:
    """One environment, in a process of its own."""
    torch.set_num_threads(1)
    return DreamEnv(agent=agent, horizon=horizon)


def products(agent: Agent, lanes: int, dtype: torch.dtype):
    """The products of dream steps alone, (lanes, inputs + H) @ (inputs + H, 4 H) and the head's: what
    does ten steps of them, and says so."""
    task = agent.task
    inputs = task.z_size + task.action_size + task.restart_input + task.hidden_size
    gates = Product(torch.randn(inputs, 4 * task.hidden_size, dtype=dtype), lanes)
    heads = Product(torch.randn(task.hidden_size, agent.mdnrnn.head.out_features, dtype=dtype), lanes)
    x, h = (torch.randn(gates.rows, width, dtype=dtype) for width in (inputs, task.hidden_size))

    @torch.inference_mode()
    def work() -> int:
        for _ in range(10):
            gates(x, lanes)
            heads(h, lanes)
        return 10 * lanes

    work()
    return work


def gemm_row(agent: Agent, lanes: int, repeats: int, name: str) -> Row:
    """The products of a dream step alone, in both number formats."""
    return side_by_side(
        name, "dreamt steps/s", "the dream's matrix products alone, bfloat16; float32",
        products(agent, lanes, torch.bfloat16), products(agent, lanes, torch.float32), repeats,
    )  # fmt: skip
