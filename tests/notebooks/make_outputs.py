"""Run every notebook and solution top to bottom and keep its outputs: what `make outputs` calls.

All run in one folder, runs/outputs, which begins empty: so the lessons build on each other. With names
(`make_outputs.py 03_mdn_rnn`) only those run, on what the others left there before. Times go to stderr
and into minutes.json, by the kind of processor; the notebooks themselves stay free of them.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from wmlib.runtime.cores import core_count, processor
from wmlib.runtime.device import processor_kind

ROOT = Path(__file__).parents[2] / "notebooks"
MINUTES = ROOT / "minutes.json"
"""Kind of processor -> the machine, and the minutes of each notebook there."""


def run(path: Path) -> float:
    """Execute one notebook in its own folder, in place. Returns the seconds it took."""
    notebook = nbformat.read(path, as_version=4)
    began = time.monotonic()
    NotebookClient(notebook, timeout=1800, kernel_name="python3", resources={
        "metadata": {"path": str(path.parent)}
    }).execute()  # fmt: skip
    seconds = time.monotonic() - began
    # Widget state makes GitHub refuse to show a notebook; who executed it when is nobody's concern.
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":  # progress bars go to stderr; an error would have ended the run
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    if str(ROOT.parent) in nbformat.writes(notebook):
        raise ValueError(f"{path.name} prints where this repository lies: {ROOT.parent}")
    nbformat.write(notebook, path)
    return seconds


def main(names: list[str]) -> None:
    folder = ROOT.parent / "runs" / "outputs"
    if not names:
        shutil.rmtree(folder, ignore_errors=True)
    os.environ["WMLIB_RUN_DIR"] = str(folder)
    for path in [*sorted(ROOT.glob("*.ipynb")), *sorted((ROOT / "solutions").glob("*.ipynb"))]:
        if names and path.stem not in names:
            continue
        os.environ["WMLIB_STRICT_CHECKS"] = "1" if path.parent.name == "solutions" else ""
        seconds = run(path)
        print(f"{path.relative_to(ROOT)}: {seconds:.0f} s", file=sys.stderr)
        if path.parent == ROOT:
            note(path.stem[:2], seconds)


def note(number: str, seconds: float) -> None:
    """Keep how long a notebook took on this kind of processor."""
    kept = json.loads(MINUTES.read_text(encoding="utf-8"))
    here = kept.setdefault(processor_kind(), {"minutes": {}})
    here["machine"] = f"{processor()}, {core_count()} cores"
    here["minutes"][number] = round(seconds / 60, 1)
    MINUTES.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
