"""The journal of a run: events.jsonl for machines, progress bars for people."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from wmlib.runtime.disk import appending, reading
from wmlib.runtime.files import as_json, parse_json
from wmlib.runtime.streams import forgiving

_BEGINNING = b'{"stage": '
_LONGEST = 2**20
"""How each row begins, and how long it may be."""


def as_points(points: float) -> str:
    """A number of points as one reads it: whole, but with two decimals where it is below 10."""
    return f"{points:.2f}" if 0 < abs(points) < 10 else f"{points:.0f}"


class RunLog:
    """Appends rows to a run folder's events.jsonl and shows progress on stderr.

    Without a folder nothing is written; with `quiet` nothing is shown.
    """

    def __init__(self, folder: Path | None = None, quiet: bool = False):
        self.path = Path(folder) / "events.jsonl" if folder else None
        self.quiet = quiet

    def event(self, stage: str, step: int, **values: object) -> None:
        """Add a row. `seconds` is the wall clock; nothing that is computed depends on it. A value that
        is not finite becomes null."""
        if self.path is None:
            return
        row = {"stage": stage, "step": step, **values, "seconds": round(time.time(), 2)}
        with appending(self.path, "choose another folder") as file:
            if _is_cut_short(file):  # by a kill: the next row begins a line of its own
                file.write(b"\n")
            file.write(as_json(row).encode() + b"\n")

    def say(self, text: str) -> None:
        if not self.quiet:
            tqdm.write(text, file=forgiving(sys.stderr))

    def bar(self, total: int, name: str, unit: str, initial: int = 0) -> tqdm:
        """A bar with rate and time left."""
        return tqdm(
            total=total, desc=f"{name:>8}", unit=f" {unit}", initial=initial, disable=self.quiet,
            file=forgiving(sys.stderr), dynamic_ncols=True, smoothing=0.1, mininterval=0.5,
        )  # fmt: skip


def _is_cut_short(file: BinaryIO) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def read_events(folder: Path, stage: str | None = None) -> list[dict]:
    """The rows of a run, oldest first; what is no row, such as one cut short by a kill, is left out."""
    return list(each_event(folder, stage))


def each_event(folder: Path, stage: str | None = None) -> Iterator[dict]:
    """The same, a row at a time: the memory that it takes does not grow with the journal.

    Raises:
        ArtifactError: there is a journal that can't be read.
    """
    path = Path(folder) / "events.jsonl"
    if not path.exists():
        return
    with reading(path, "move it away: nothing but the wall times hangs on it") as file:
        while line := file.readline(_LONGEST):
            if not line.startswith(_BEGINNING):  # quick to see; a row is an object, then
                continue
            try:
                row = parse_json(line)
            except ValueError:
                continue
            if stage in (None, row["stage"]) and _is_row(row):
                yield row


def _is_row(row: dict) -> bool:
    stage, step, seconds = row["stage"], row.get("step"), row.get("seconds")
    return (
        isinstance(stage, str)
        and isinstance(step, int)
        and isinstance(seconds, int | float)
        and 0 <= seconds < 1e11  # until the year 5138
    )
