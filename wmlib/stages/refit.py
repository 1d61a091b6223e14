"""V and M learn on from what a driver sees, and C is carried over to their new eyes (section 5).

Explorers hardly drive, so V and M know bends at speed from hearsay. But what C weighs are V's and M's
numbers: once these learn on, the same numbers mean something else. C need not be evolved anew for that.
On the recorded games it is known what the old C made of each frame; the new one is the linear map of the
new numbers that comes closest to it.
"""

import functools
from dataclasses import replace

import torch
from torch import Tensor

from wmlib.agent import Agent
from wmlib.config import REFIT_SEEDS, Machine, RefitConfig
from wmlib.controller import Controller
from wmlib.data.episodes import EpisodeStore, learnable
from wmlib.runtime.job import Job
from wmlib.stages.iterate import learn_on
from wmlib.training import encode_store, encoded
from wmlib.worlds.moments import features_of

RIDGE = 1e-3
"""The penalty, as a share of the features' variance."""


def refit(
    config: RefitConfig, agent: Agent, explored: EpisodeStore, machine: Machine, job: Job
) -> tuple[Agent, float]:
    """The agent with V and M that learned on from its own games, and C carried over to them.

    Args:
        explored: the explorers' episodes. job: its digest is of all that the agent depends on.

    Returns:
        the new agent; and which share of the variance of what the old C said the new one says too.
    """
    better, games = learn_on(config, agent, explored, machine, job, REFIT_SEEDS)
    recorded = learnable(EpisodeStore(job.path / "episodes"), agent.task)
    look = functools.partial(encode_store, agent.vae, recorded, job.log)
    before = encoded(look, agent.task, job.part(keep="encoded_before.safetensors"))
    seen = torch.cat(features_of(agent.mdnrnn, before))
    sees = torch.cat(features_of(better.mdnrnn, games))
    params, share = carried_over(agent.controller, agent.params, seen, sees)
    job.log.event(job.name, 0, carried=share)
    return replace(better, params=params), share


def carried_over(
    controller: Controller, params: Tensor, seen: Tensor, sees: Tensor
) -> tuple[Tensor, float]:
    """The linear C that says of the new features what the old one said of the old, by ridge regression.

    Args:
        params: (D,). seen, sees: the old and the new features at the same moments, (n, F).

    Returns:
        (D,); and which share of the variance of the old C's outputs it explains.

    Raises:
        ValueError: C has a hidden layer: then this is no linear regression.
    """
    if controller.config.hidden:
        raise ValueError("a C with a hidden layer can't be carried over by a linear regression")
    (inputs, outputs), *_ = controller.layers
    old, new = (x[:, controller.sees].double() for x in (seen, sees))
    weight, bias = params[: inputs * outputs].double().view(inputs, outputs), params[inputs * outputs :]
    said = old @ weight + (bias.double() if controller.config.bias else 0)
    mean = new.mean(0) if controller.config.bias else torch.zeros(inputs, dtype=torch.float64)
    middle = said.mean(0) if controller.config.bias else torch.zeros(outputs, dtype=torch.float64)
    x, y = new - mean, said - middle
    gram = x.T @ x / len(x)
    # Each feature is held back by a share of its own variance, so that their units don't matter.
    gram += RIDGE * torch.diag(gram.diagonal().clamp(min=1e-12))
    fitted = torch.linalg.solve(gram, x.T @ y / len(x))  # (F, A)
    left = (y - x @ fitted).square().sum() / (said - said.mean(0)).square().sum().clamp(min=1e-12)
    parts = [fitted.flatten()]
    if controller.config.bias:
        parts.append(middle - mean @ fitted)
    return torch.cat(parts).float(), 1 - float(left)
