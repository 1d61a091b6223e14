"""What studies write down: JSON files whose rows tell what they cost, and on which machine."""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from wmlib.envs.errors import GameError
from wmlib.measure.evaluation import paired
from wmlib.runtime.cores import core_count, processor
from wmlib.runtime.disk import ArtifactError, ensure_writable
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.files import load_json, save_json
from wmlib.runtime.streams import forgiving_streams

_REMEDY = "move it away: it is then made again"


def machine() -> str:
    """What wall times depend on."""
    return f"{processor()}, {core_count()} cores"


def read(path: Path) -> dict:
    """What a results file holds; {} where there is none.

    Raises:
        ArtifactError: it can't be read, or another can't be put in its place.
    """
    ensure_writable(path, "--out")  # now, and not after an hour
    kept = load_json(path, _REMEDY) if path.exists() else {}
    if not isinstance(kept, dict):
        raise ArtifactError(f"{path} is no results file; {_REMEDY}")
    return kept


def keep(path: Path, content: dict) -> None:
    """Write a results file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_json(path, content)


def answer(path: Path, *keys: str, ask: Callable[[], dict]) -> dict:
    """Ask a question anew, and keep the answer in its place among others in a file."""
    read(path)
    began = time.monotonic()
    found = ask()
    found |= {"wall_seconds": round(time.monotonic() - began, 1), "machine": machine()}
    kept = place = read(path)  # others may have answered meanwhile
    for key in keys[:-1]:
        place = place.setdefault(key, {})
    place[keys[-1]] = found
    keep(path, kept)
    return found


class Table:
    """Rows of a study in a file, in which each has a name and a seed. What it holds is not made again.

    Args:
        asked: the effort that a row stands for. A row of another effort is made anew.
    """

    def __init__(self, path: Path, asked: dict):
        self.path, self.asked = path, asked
        self.rows: list[dict] = read(path).get("rows", [])

    def row(self, name: str, seed: int) -> dict | None:
        """The row, where it is there."""
        same = {"name": name, "seed": seed, "asked": self.asked}
        return next((row for row in self.rows if same.items() <= row.items()), None)

    def make(self, name: str, seed: int, work: Callable[[], dict]) -> dict:
        """The row of this name and seed: from the file, or by this work.

        Args:
            work: gives mean, sd and n of a score at least, and frames: how many of the game it took.
                Where it gives no wall_seconds, they are taken here.
        """
        kept = self.row(name, seed)
        if kept is not None:
            return kept
        began = time.monotonic()
        found = work()
        row = {"name": name, "seed": seed, "asked": self.asked}
        row |= {"wall_seconds": round(time.monotonic() - began, 1), "machine": machine()} | found
        others = [each for each in self.rows if (each["name"], each["seed"]) != (name, seed)]
        self.rows = [*others, row]
        keep(self.path, {"rows": self.rows})
        score = f"{row['mean']:7.1f} ± {row['sd']:5.1f} (n = {row['n']})"
        print(f"{name:28} seed {seed}: {score}, {row['wall_seconds'] / 60:.1f} min", flush=True)
        return row

    def __str__(self) -> str:
        """A line for each name: the mean over its seeds, and how far it lies from the first one's on
        the same seeds, with its standard error."""
        means: dict[str, dict[int, float]] = defaultdict(dict)
        for row in self.rows:
            if row["asked"] == self.asked:
                means[row["name"]][row["seed"]] = row["mean"]
        lines = [f"{'':28}{'mean':>8}{'seeds':>7}{'beside the first':>22}"]
        first = next(iter(means.values()), {})
        for name, of_seed in means.items():
            line = f"{name:28}{np.mean(list(of_seed.values())):8.1f}{len(of_seed):7}"
            apart, error = paired(first, of_seed)
            if of_seed is not first and np.isfinite(error):
                line += f"{apart:+15.1f} ± {error:.1f}"
            lines.append(line)
        return "\n".join(lines)


def run(main: Callable[[Sequence[str] | None], None]) -> None:
    """A study as a command: what a user can mend is told in one line, and ends with status 2."""
    with forgiving_streams():
        try:
            main(None)
        except (ArtifactError, ConfigError, GameError) as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
