"""The journal of a run: events.jsonl for machines, progress bars for people."""

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from wmlib.runtime.files import ArtifactError
from wmlib.runtime.streams import forgiving


class RunLog:
    """Appends rows to a run folder's events.jsonl and shows progress on stderr.

    Without a folder nothing is written; with `quiet` nothing is shown.
    """

    def __init__(self, folder: Path | None = None, quiet: bool = False):
        self.path = Path(folder) / "events.jsonl" if folder else None
        self.quiet = quiet

    def event(self, stage: str, step: int, **values: object) -> None:
        """Add a row. `seconds` is the wall clock; nothing that is computed depends on it."""
        if self.path is None:
            return
        row = {"stage": stage, "step": step, **values, "seconds": round(time.time(), 2)}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab+") as file:
                if _is_cut_short(file):  # by a kill: the next row begins a line of its own
                    file.write(b"\n")
                file.write(json.dumps(row).encode() + b"\n")
        except OSError as error:
            raise ArtifactError(
                f"{self.path} can't be written ({error.strerror}); choose another --run-dir"
            ) from error

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
    rows = []
    path = Path(folder) / "events.jsonl"
    if not path.exists():
        return rows
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            ours = isinstance(row, dict) and {"stage", "step", "seconds"} <= row.keys()
            if ours and stage in (None, row["stage"]):
                rows.append(row)
    return rows
