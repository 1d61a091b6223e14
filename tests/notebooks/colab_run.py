"""Run lessons as Google Colab would: all, or those named, as `colab_run.py 00_start_here`.

Colab itself can't be had here. A fresh virtual environment gets its notebook's releases, and a stand-in
for `google.colab`; then each lesson runs in the smoke profile, its set-up cell first. What that clones
is this repository's last commit, whatever address the cell names. It takes minutes, and asks the package
index.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
COLABS = ("ipykernel==6.17.1", "ipython==7.34.0", "ipywidgets==7.7.1", "tornado==6.5.1", "setuptools<81")
"""What google-colab asks for by exact release, and so what a kernel there runs on."""
LAUNCH = "import google.colab; from ipykernel import kernelapp; kernelapp.launch_new_instance()"
STAND_IN = "def enable_custom_widget_manager(): print('Colab shows widgets of our own')\n"


def make_colab(folder: Path) -> None:
    """A virtual environment, and a kernel of it that Jupyter finds under the name colab."""
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *COLABS], check=True)
    module = folder / "stand_in" / "google" / "colab"
    module.mkdir(parents=True)
    (module / "__init__.py").touch()
    (module / "output.py").write_text(STAND_IN, encoding="utf-8")
    (folder / "home").mkdir()
    (cell,) = set_up_cells(sorted((ROOT / "notebooks").glob("*.ipynb"))[:1])
    repository = next(word for word in cell.source.split() if word.startswith("https://"))
    kernel = {
        "display_name": "Colab",
        "argv": [str(python), "-c", LAUNCH, "-f", "{connection_file}"],
        "env": {
            "HOME": str(folder / "home"),
            "PYTHONPATH": str(folder / "stand_in"),
            "WMLIB_PROFILE": "smoke",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{ROOT.as_uri()}.insteadOf",
            "GIT_CONFIG_VALUE_0": repository,
        },
    }
    place = folder / "jupyter" / "kernels" / "colab"
    place.mkdir(parents=True)
    (place / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
    os.environ["JUPYTER_PATH"] = str(folder / "jupyter")


def set_up_cells(paths: list[Path]) -> list:
    """The cell by which each of these notebooks is set up."""
    cells = [cell for path in paths for cell in nbformat.read(path, as_version=4).cells]
    return [cell for cell in cells if "colab" in cell.metadata.get("tags", [])]


def run(path: Path, folder: Path) -> str:
    """A lesson, from its set-up cell to its end. Gives what that cell said."""
    notebook = nbformat.read(path, as_version=4)
    (cell,) = [cell for cell in notebook.cells if "colab" in cell.metadata.get("tags", [])]
    cell.metadata.tags.remove("skip-execution")
    resources = {"metadata": {"path": str(folder / "home")}}  # Colab, too, begins in a folder of its own
    NotebookClient(notebook, timeout=3600, kernel_name="colab", resources=resources).execute()
    return "".join(output.get("text", "") for output in cell.outputs).strip()


def main(names: list[str]) -> None:
    lessons = [
        path for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if not names or path.stem in names
    ]
    with tempfile.TemporaryDirectory() as folder:
        make_colab(Path(folder))
        for path in lessons:
            began = time.monotonic()
            said = run(path, Path(folder))
            print(f"{path.stem}: {time.monotonic() - began:.0f} s; its set-up said: {said}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
