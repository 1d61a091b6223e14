"""Run every notebook and solution top to bottom and keep its outputs: what `make outputs` calls.

Times go to stderr; the notebooks themselves stay free of them.
"""

import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2] / "notebooks"


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
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = re.sub(r"[^\n]*\r", "", output.text)
    nbformat.write(notebook, path)
    return seconds


def main() -> None:
    os.environ.setdefault("WMLIB_STRICT_CHECKS", "")
    for path in [*sorted(ROOT.glob("*.ipynb")), *sorted((ROOT / "solutions").glob("*.ipynb"))]:
        os.environ["WMLIB_STRICT_CHECKS"] = "1" if path.parent.name == "solutions" else ""
        print(f"{path.relative_to(ROOT)}: {run(path):.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
