"""Every lesson runs alone and first: in a fresh kernel, with an empty run folder, on what is shipped.

In `notebooks/`, nbval runs them in their order, each on what those before it left.
"""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2] / "notebooks"


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.ipynb")), ids=lambda path: path.stem)
def test_it_runs_alone(path, tmp_path, monkeypatch):
    monkeypatch.setenv("WMLIB_PROFILE", "smoke")
    monkeypatch.setenv("WMLIB_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("WMLIB_STRICT_CHECKS", "")
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
