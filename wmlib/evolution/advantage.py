"""Which action is better, seen from a recorded moment: M dreams on once with each of them.

Most of what C sees has nothing to do with what it should do. CMA-ES would have to find that out by
playing, from scores in which luck weighs more than any single weight of C. M can simply be asked.
"""

import math
from collections.abc import Callable

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
        (n, columns): for each number of the action, in each of LOOK / SPAN spans of time, what its most
        is worth more than its least, and then what the middle is worth more than the average of both;
        of a choice, what choosing this number is worth more than the average choice; of a switch, what
        on is worth more than off.
    """
    task = mdnrnn.task
    imagination = Imagination(mdnrnn, lanes, dtype)
    parts = []
    for rows in torch.arange(len(at.mu)).split(lanes // repeats):
        z, h, c = (x[rows].repeat_interleave(repeats, 0) for x in (at.mu, at.h, at.c))
        noise_seed = int(torch.randint(2**31, (1,), generator=generator))

        def worth(action: Tensor, now=(z, h, c), noise_seed=noise_seed) -> Tensor:
            return _worth(mdnrnn, imagination, now, action.expand(len(now[0]), -1), noise_seed)

        columns = _compared(task, worth)  # (repeats n, spans) each
        parts.append(torch.cat(columns, 1).unflatten(0, (-1, repeats)).mean(1))
    return torch.cat(parts)


def _compared(task: Task, worth: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """What is worth more than what, of holding an action (A,): each (rows, spans)."""
    low, high = (torch.from_numpy(each).float() for each in task.bounds)
    numbers = range(task.action_size)
    if task.kind == "choice":
        each = torch.stack([worth(only) for only in torch.eye(task.action_size)])
        return list(each - each.mean(0))
    if task.kind == "switches":
        off = worth(low)
        return [worth(_with(low, k, high[k])) - off for k in numbers]
    rest, columns = (low + high) / 2, []  # the other numbers are in their middle
    for k in numbers:
        least, middle, most = (worth(_with(rest, k, value[k])) for value in (low, rest, high))
        columns += [most - least, middle - (least + most) / 2]
    return columns


def _with(action: Tensor, k: int, value: Tensor) -> Tensor:
    """The action (A,), but for number k."""
    action = action.clone()
    action[k] = value
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
