"""Recorded moments with all that M remembers there: from them a dream can go on."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wmlib.config import Task
from wmlib.mdnrnn import MDNRNN, Stepper
from wmlib.sequences import Sequences


@dataclass(frozen=True)
class DreamStarts:
    """Recorded moments from which dreams begin.

    mu, logvar: V's view of the frame, (n, Z). h, c: M's memory of all that came before it, (n, H); None
    for first frames, before which there is nothing to remember.
    """

    mu: Tensor
    logvar: Tensor
    h: Tensor | None = None
    c: Tensor | None = None


@torch.inference_mode()
def moments(mdnrnn: MDNRNN, data: Sequences, chosen: list[np.ndarray]) -> DreamStarts:
    """Moments of recorded games, in the order of time.

    Args:
        chosen: frame numbers of each game, from 0; the same one may be there twice.
    """
    cell, task = Stepper(mdnrnn), mdnrnn.task
    lengths = np.array(data.lengths)
    first_step = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    first_frame = first_step + np.arange(len(lengths))
    times = np.concatenate(chosen)
    games = np.repeat(np.arange(len(chosen)), [len(times) for times in chosen])
    order = np.lexsort((games, times))
    times, games = times[order], games[order]
    frames = torch.from_numpy(first_frame[games] + times)
    h = c = torch.zeros(len(lengths), task.hidden_size)
    remembered: list[tuple[Tensor, Tensor]] = []
    for t in range(1 + int(times[-1])):
        here = torch.from_numpy(games[times == t])
        remembered.append((h[here], c[here]))
        # An episode that is over repeats its last step; nothing is asked of it any more.
        z = data.mu[first_frame + np.minimum(t, lengths)]
        action = data.actions[first_step + np.minimum(t, lengths - 1)]
        inputs = [z, action]
        if task.restart_input:
            inputs.append(torch.full((len(lengths), 1), float(t == 0)))
        h, c = cell(torch.cat(inputs, 1), h, c)
    h, c = map(torch.cat, zip(*remembered, strict=True))
    return DreamStarts(data.mu[frames], data.logvar[frames], h, c)


def features_at(at: DreamStarts, task: Task) -> Tensor:
    """What C would see there, (n, F): [z, h], or [z, c, h] where the task says so."""
    return torch.cat([at.mu, at.c, at.h] if task.sees_cell else [at.mu, at.h], 1)
