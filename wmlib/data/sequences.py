"""Encoded episodes: what M learns from."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.files import expect
from wmlib.runtime.job import Job
from wmlib.task import Task


@dataclass(frozen=True)
class Sequences:
    """Encoded episodes, one after the other. Episode e has steps lengths[e], and one frame more.

    mu, logvar: (frames, Z). actions (steps, A), rewards (steps,), dones (steps,) float.
    """

    mu: Tensor
    logvar: Tensor
    actions: Tensor
    rewards: Tensor
    dones: Tensor
    lengths: list[int]

    @property
    def returns(self) -> np.ndarray:
        """The sum of rewards of each episode."""
        return np.array([float(part.sum()) for part in self.rewards.split(self.lengths)])

    def save(self, job: Job) -> None:
        """Keep them as what the job has done."""
        job.save(vars(self) | {"lengths": torch.tensor(self.lengths)})

    @classmethod
    def load(cls, job: Job, task: Task, remedy: str) -> "Sequences | None":
        """What `save` kept under the same digest; None where there is nothing.

        Raises:
            ArtifactError: the file is damaged, or does not hold sequences of the task.
        """
        kept = job.load(remedy)
        if kept is None:
            return None
        tensors, _ = kept
        z = (None, task.z_size)
        shapes = {"mu": z, "logvar": z, "actions": (None, task.action_size)}
        shapes |= {name: (None,) for name in ("rewards", "dones", "lengths")}
        expect(job.path, tensors, shapes, remedy, whole=["lengths"])
        lengths = tensors["lengths"].tolist()
        steps, frames = sum(lengths), sum(lengths) + len(lengths)
        wanted = [frames, frames, steps, steps, steps]
        if min(lengths, default=0) < 1 or wanted != [len(tensors[name]) for name in list(shapes)[:5]]:
            raise ArtifactError(f"{job.path}: its lengths do not fit together; {remedy}")
        return cls(**tensors | {"lengths": lengths})

    def some(self, rng: np.random.Generator, count: int) -> "Sequences":
        """`count` random episodes of these, or all where there are no more."""
        if count >= len(self.lengths):
            return self
        picked = np.sort(rng.choice(len(self.lengths), count, replace=False))
        steps = np.concatenate([[0], np.cumsum(self.lengths)])
        at = torch.cat([torch.arange(steps[e], steps[e + 1]) for e in picked])
        frames = torch.cat([torch.arange(steps[e], steps[e + 1] + 1) + e for e in picked])
        by_step = (x[at] for x in (self.actions, self.rewards, self.dones))
        lengths = [self.lengths[e] for e in picked]
        return Sequences(self.mu[frames], self.logvar[frames], *by_step, lengths)

    def batch(
        self, rng: np.random.Generator, count: int, length: int, ends: float = 0.0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Where `count` random windows lie: frame numbers (count, length + 1), steps and mask.

        A window as long as its episode begins where that begins, as memory does in games and in dreams.
        A shorter one may begin anywhere up to half a length before the episode's end; what hangs over
        the end is masked. So the rare ends of games are met about as often as other steps, each end as
        often as any other, whether its game was short or long.

        Args:
            ends: share of the windows that are drawn among those which hold the end of a game that
                ended by itself; others may hold one too. Where no game did, it has no say.
        """
        lengths = np.array(self.lengths)
        last_start = np.where(lengths <= length, 1, lengths - length // 2)
        weight = np.maximum(last_start, length - length // 2)  # windows that hold the last step
        episode = rng.choice(len(lengths), size=count, p=weight / weight.sum())
        start = (rng.random(count) * last_start[episode]).astype(int)
        if wanted := round(count * ends):
            last = torch.tensor(self.lengths).cumsum(0) - 1
            if len(ended := np.flatnonzero(self.dones[last] > 0.5)):
                episode[:wanted] = rng.choice(ended, wanted)
                first = np.maximum(lengths - length, 0)[episode[:wanted]]
                room = last_start[episode[:wanted]] - first
                start[:wanted] = first + (rng.random(wanted) * room).astype(int)
        first_step = np.concatenate([[0], np.cumsum(lengths)])[episode]
        offset = start[:, None] + np.arange(length + 1)  # (count, length + 1)
        inside = offset < lengths[episode][:, None]
        offset = np.minimum(offset, lengths[episode][:, None])
        frames = first_step[:, None] + episode[:, None] + offset
        steps = first_step[:, None] + np.minimum(offset, lengths[episode][:, None] - 1)
        mask = torch.from_numpy(inside[:, :-1]).float()
        return torch.from_numpy(frames), torch.from_numpy(steps[:, :-1]), mask


@dataclass(frozen=True)
class Blend:
    """Two sets of sequences, of which the second makes up a fixed `share` of every batch; and so much of
    that share, `ends`, are windows that hold an end (see `Sequences.batch`).

    It has what `train_mdnrnn` asks of its data.
    """

    first: Sequences
    second: Sequences
    share: float
    ends: float = 0.0

    def __post_init__(self):
        for name in ("mu", "logvar", "actions", "rewards", "dones"):
            both = torch.cat([getattr(self.first, name), getattr(self.second, name)])
            object.__setattr__(self, name, both)

    def batch(self, rng: np.random.Generator, count: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
        of_second = round(count * self.share)
        frames, steps, mask = self.first.batch(rng, count - of_second, length)
        more_frames, more_steps, more_mask = self.second.batch(rng, of_second, length, self.ends)
        return (
            torch.cat([frames, more_frames + len(self.first.mu)]),
            torch.cat([steps, more_steps + len(self.first.actions)]),
            torch.cat([mask, more_mask]),
        )


def join(parts: list[Sequences]) -> Sequences:
    """Episodes of all parts, one after the other."""
    names = [f.name for f in fields(Sequences) if f.name != "lengths"]
    tensors = {name: torch.cat([getattr(part, name) for part in parts]) for name in names}
    return Sequences(**tensors, lengths=[n for part in parts for n in part.lengths])
