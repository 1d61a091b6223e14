"""A piece of work that can be broken off and taken up again: its name, its chance, and what it keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from wmlib.runtime.files import load_tensors, save_tensors
from wmlib.runtime.log import RunLog
from wmlib.runtime.seeds import digest_of, generator_of, seed_of


@dataclass(frozen=True)
class Job:
    """What a long piece of work is told beside its subject.

    name: of the stage, in the log and on the bars. seed: all its chance follows from it and the name.
    log: where it tells how it is getting on. path: the file in which it keeps what is done, or the
    folder if it has several parts; without one nothing is kept. digest: of all that its outcome depends
    on. What was kept under another digest is not taken up.
    """

    name: str
    seed: int = 1
    log: RunLog = field(default_factory=lambda: RunLog(quiet=True))
    path: Path | None = None
    digest: str = ""

    # Chance: a generator keyed by what is being done

    def seed_of(self, *key: object) -> int:
        """A seed that follows from ours, the name and the key."""
        return seed_of(self.seed, self.name, *key)

    def rng(self, *key: object) -> np.random.Generator:
        """NumPy's generator of that seed."""
        return np.random.default_rng(self.seed_of(*key))

    def generator(self, *key: object) -> torch.Generator:
        """torch's generator of that seed."""
        return generator_of(self.seed, self.name, *key)

    # What is kept

    def load(self, remedy: str) -> tuple[dict[str, torch.Tensor], dict] | None:
        """Tensors and description that `save` left under the same digest; None where there are none.

        Raises:
            ArtifactError: the file is damaged; the message ends with the remedy.
        """
        if self.path is None or not self.path.exists():
            return None
        tensors, about = load_tensors(self.path, remedy)
        return (tensors, about) if about.get("digest") == self.digest else None

    def save(self, tensors: Mapping[str, torch.Tensor], **about: object) -> None:
        """Keep tensors and a description, under our digest; nothing where we have no path."""
        if self.path is not None:
            save_tensors(self.path, tensors, {**about, "digest": self.digest})

    # Its parts

    def part(self, *key: object, keep: str = "", of: object = None) -> "Job":
        """A part of the work, under the same name, with chance of its own.

        Args:
            key: tells its chance from that of other parts; without one it is ours.
            keep: the name of its file, or folder, in our folder; without one it keeps nothing.
            of: what its outcome depends on, beyond all that ours does.
        """
        path = self.path / keep if keep and self.path else None
        seed = self.seed_of(*key) if key else self.seed
        digest = self.digest if of is None else digest_of(self.digest, of)
        return Job(self.name, seed, self.log, path, digest)
