"""Which action is better, seen from a recorded moment: M dreams on once with each of them.

Most of what C sees has nothing to do with what it should do. CMA-ES would have to find that out by
playing, from scores in which luck weighs more than any single weight of C. M can simply be asked.
"""

import math

import numpy as np
import torch
from torch import Tensor

from wmlib.data.sequences import Sequences
from wmlib.mdnrnn import MDNRNN
from wmlib.task import Task
from wmlib.worlds.imagination import Imagination
from wmlib.worlds.moments import DreamStarts, moments

LOOK = 40
"""Steps that are dreamt: in Doom, a little more than a second."""
SPAN = 8
"""Steps whose rewards are added up. What is good at once and what is good later are told apart."""
NEAR_END = 40
"""Steps before an end in which most can still be won or lost."""
_CHOICES = (-1.0, 0.0, 1.0)


def telling_moments(mdnrnn: MDNRNN, data: Sequences, rng: np.random.Generator, each: int) -> DreamStarts:
    """`each` moments of every game; a quarter of them lie just before its end, if it had one."""
    ends = np.cumsum(data.lengths) - 1
    chosen = []
    for length, ended in zip(data.lengths, data.dones[ends] > 0.5, strict=True):
        anywhere = rng.integers(0, length, each)
        near = length - 1 - rng.integers(0, min(NEAR_END, length), each // 4)
        chosen.append(np.concatenate([near, anywhere[len(near) :]]) if ended else anywhere)
    return moments(mdnrnn, data, chosen)


@torch.inference_mode()
def advantages(
    mdnrnn: MDNRNN,
    at: DreamStarts,
    generator: torch.Generator,
    repeats: int = 2,
    dtype: torch.dtype = torch.float32,
    lanes: int = 4096,
) -> Tensor:
    """What the choice of an action is worth at each moment, in M's dream at temperature 1.

    Each choice is held for LOOK steps, in several dreams; the choices share their noise. A step is worth
    the reward that M foretells; where M foretells none, minus its probability of the end (put right by
    `MDNRNN.done_positive_weight`). The dream goes on beyond a probable end, so that what is counted is
    smooth.

    Args:
        repeats: dreams of each choice. lanes: dreams at once.

    Returns:
        (n, action_size * LOOK / SPAN * 2): for each number of the action, and each span of time, what 1
        is worth more than -1, and what 0 is worth more than the average of both.
    """
    task = mdnrnn.task
    imagination = Imagination(mdnrnn, lanes, dtype)
    parts = []
    for rows in torch.arange(len(at.mu)).split(lanes // repeats):
        z, h, c = (x[rows].repeat_interleave(repeats, 0) for x in (at.mu, at.h, at.c))
        noise_seed = int(torch.randint(2**31, (1,), generator=generator))
        columns = []
        for k in range(task.action_size):
            low, middle, high = (
                _worth(mdnrnn, imagination, (z, h, c), _held(task, len(z), k, choice), noise_seed)
                for choice in _CHOICES
            )
            columns += [high - low, middle - (low + high) / 2]  # (repeats n, spans) each
        parts.append(torch.cat(columns, 1).unflatten(0, (-1, repeats)).mean(1))
    return torch.cat(parts)


def _held(task: Task, count: int, k: int, choice: float) -> Tensor:
    """`choice` for number k of the action, the others at 0: (count, A)."""
    action = torch.zeros(count, task.action_size)
    action[:, k] = choice
    return action


def _worth(
    mdnrnn: MDNRNN,
    imagination: Imagination,
    now: tuple[Tensor, Tensor, Tensor],
    action: Tensor,
    noise_seed: int,
) -> Tensor:
    """Of holding the action (N, A) from now on, z (N, Z), h and c (N, H): (N, LOOK / SPAN)."""
    z, h, c = now
    generator = torch.Generator().manual_seed(noise_seed)
    fresh = torch.zeros(len(z), dtype=torch.bool)
    worth = torch.zeros(len(z), LOOK // SPAN)
    for t in range(LOOK):
        uniform = torch.rand(z.shape, generator=generator)
        normal = torch.randn(z.shape, generator=generator)
        z, h, c, heads = imagination(mdnrnn.inputs(z, action, fresh), h, c, uniform, normal)
        if mdnrnn.task.predicts_reward:
            worth[:, t // SPAN] += heads[:, 0]
        else:
            logit = heads[:, -1] - math.log(mdnrnn.done_positive_weight)
            worth[:, t // SPAN] -= logit.sigmoid()
    return worth
