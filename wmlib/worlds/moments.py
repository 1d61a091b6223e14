"""Recorded moments with all that M remembers there: what C sees of them, and how dreams go on."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wmlib.data.sequences import Sequences
from wmlib.mdnrnn import MDNRNN
from wmlib.task import Task
from wmlib.worlds.imagination import Stepper

_STARTS_OF_A_GAME = 8


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

    Returns:
        as many moments as were chosen: mu and logvar (n, Z), h and c (n, H).
    """
    cell = Stepper(mdnrnn)
    lengths = np.array(data.lengths)
    first_step = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    first_frame = first_step + np.arange(len(lengths))
    times = np.concatenate(chosen)
    games = np.repeat(np.arange(len(chosen)), [len(times) for times in chosen])
    order = np.lexsort((games, times))
    times, games = times[order], games[order]
    frames = torch.from_numpy(first_frame[games] + times)
    h = c = torch.zeros(len(lengths), mdnrnn.task.hidden_size)
    remembered: list[tuple[Tensor, Tensor]] = []
    for t in range(1 + int(times[-1])):
        here = torch.from_numpy(games[times == t])
        remembered.append((h[here], c[here]))
        # An episode that is over repeats its last step; nothing is asked of it any more.
        z = data.mu[first_frame + np.minimum(t, lengths)]
        action = data.actions[first_step + np.minimum(t, lengths - 1)]
        fresh = torch.full((len(lengths),), t == 0)
        h, c = cell(mdnrnn.inputs(z, action, fresh), h, c)
    h, c = map(torch.cat, zip(*remembered, strict=True))
    return DreamStarts(data.mu[frames], data.logvar[frames], h, c)


def starts_of(mdnrnn: MDNRNN, games: Sequences, rng: np.random.Generator, margin: int) -> DreamStarts:
    """Moments of the games to dream on from, as many of each.

    Args:
        margin: frames before the end of a game that are left out.
    """
    chosen = [rng.integers(0, max(1, n - margin), _STARTS_OF_A_GAME) for n in games.lengths]
    return moments(mdnrnn, games, chosen)


def features_at(at: DreamStarts, task: Task) -> Tensor:
    """What C would see there, (n, F)."""
    return task.features(at.mu, at.h, at.c)


@torch.inference_mode()
def memories(mdnrnn: MDNRNN, data: Sequences, episode: int) -> tuple[Tensor, Tensor]:
    """z_t = mu (T + 1, Z) and h_t (T + 1, H) along an episode, as C would see them; h_0 is zero."""
    z, inputs = _along(mdnrnn, data, episode)
    h, _ = mdnrnn.lstm(inputs[None])
    return z, torch.cat([torch.zeros(1, h.shape[-1]), h[0]])


@torch.inference_mode()
def features_of(mdnrnn: MDNRNN, data: Sequences) -> list[Tensor]:
    """What C would see at every frame of each episode, (frames, F)."""
    task = mdnrnn.task
    if not task.sees_cell:  # then the LSTM's own loop is quicker than ours
        return [torch.cat(memories(mdnrnn, data, e), 1) for e in range(len(data.lengths))]
    cell, features = Stepper(mdnrnn), []
    for episode in range(len(data.lengths)):
        z, inputs = _along(mdnrnn, data, episode)
        h = c = torch.zeros(1, task.hidden_size)
        states = [(h, c)]
        for step in inputs[:, None]:
            states.append(cell(step, *states[-1]))
        h, c = map(torch.cat, zip(*states, strict=True))
        features.append(task.features(z, h, c))
    return features


def _along(mdnrnn: MDNRNN, data: Sequences, episode: int) -> tuple[Tensor, Tensor]:
    """z (T + 1, Z) of an episode, and what M's LSTM is given at each step (T, inputs)."""
    steps = data.lengths[episode]
    first = sum(data.lengths[:episode])
    z = data.mu[first + episode : first + episode + steps + 1]
    fresh = torch.arange(steps) == 0
    return z, mdnrnn.inputs(z[:-1], data.actions[first : first + steps], fresh)
