"""Training V and M, and steps of the dream, on a GPU beside this machine's CPU.

Nothing in a run needs a GPU. Training takes one where there is one; dreams run on the CPU, so that the
same command gives the same numbers. What a GPU would make of their steps is measured all the same.
"""

import copy
from collections.abc import Callable, Iterator, Mapping

import torch

from benchmarks.measure import Row, side_by_side
from benchmarks.training import CPU
from wmlib.agent import Agent
from wmlib.config import MDNRNNConfig, VAEConfig
from wmlib.data import EpisodeStore
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog
from wmlib.training import encode_store, train_mdnrnn, train_vae
from wmlib.worlds.imagination import Imagination

LANES = (1024, 16_384)
"""Dreams at once: a generation of the course's, and what a GPU is for."""


def gpu_name() -> str | None:
    """What torch says of the GPU; None where it has none."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def gpu_rows(
    store: EpisodeStore, agents: Mapping[str, Agent], steps: int, repeats: int, device: torch.device
) -> Iterator[Row]:
    """Frames a second in training, and dreamt steps a second, there and on the CPU.

    Args:
        store: episodes to train on. agents: by the name of their row; the first trains.
        steps: batches in a training of V.
    """
    agent = next(iter(agents.values()))
    data, task = encode_store(agent.vae, store, RunLog(quiet=True)), agent.task
    v = VAEConfig(steps=steps)
    m = MDNRNNConfig(steps=max(3, steps // 3))

    def train_v(device: torch.device) -> int:
        train_vae(store, task, v, Job("vae"), device=device)
        return v.steps * v.batch_size

    def train_m(device: torch.device) -> int:
        train_mdnrnn(data, task, m, Job("mdnrnn"), device=device)
        return m.steps * m.batch_size * m.sequence_length

    for name, train in (("train_v", train_v), ("train_m", train_m)):
        yield _row(f"{name}_gpu", "frames/s", "our fit loop", train, device, repeats)
    for name, dreamer in agents.items():
        for lanes in LANES:
            on_cpu, there = (dream_steps(dreamer, lanes, where) for where in (CPU, device))

            def dream(where: torch.device, on_cpu=on_cpu, there=there) -> int:
                return (on_cpu if where == CPU else there)()

            what = f"{lanes:,} dreams at once: M, its mixtures and C"
            yield _row(f"{name}_gpu_{lanes}", "dreamt steps/s", what, dream, device, repeats)


def _row(
    name: str, unit: str, what: str, work: Callable[[torch.device], int], device: torch.device, n: int
) -> Row:
    work(device)  # what is loaded and chosen at the first time is no part of it
    what = f"{what}; the same on the CPU"
    return side_by_side(name, unit, what, lambda: work(device), lambda: work(CPU), n)


def dream_steps(agent: Agent, lanes: int, device: torch.device, steps: int = 50) -> Callable[[], int]:
    """Work that dreams so many steps in all lanes, all of it on the device, and returns how many."""
    task, C = agent.task, agent.controller
    mdnrnn = copy.deepcopy(agent.mdnrnn).to(device)
    imagination = Imagination(mdnrnn, lanes)
    params = agent.params.to(device)[None]
    first = agent.starts.mu[torch.arange(lanes) % len(agent.starts.mu)].to(device)
    fresh = torch.zeros(lanes, dtype=torch.bool, device=device)

    @torch.inference_mode()
    def work() -> int:
        z, h = first, torch.zeros(lanes, task.hidden_size, device=device)
        c = h
        for _ in range(steps):
            action = C.act(params, task.features(z, h, c)[None])[0]
            noise = (draw(lanes, task.z_size, device=device) for draw in (torch.rand, torch.randn))
            z, h, c, _ = imagination(mdnrnn.inputs(z, action, fresh), h, c, *noise)
        z.sum().item()  # a GPU is asked, and goes on: wait until it is done
        return steps * lanes

    return work
