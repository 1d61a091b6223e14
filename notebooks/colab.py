"""What a notebook's first cell runs on Google Colab: the pinned releases, and the folder to work in.

Colab's own notebook stays as it is: a session does not survive another IPython under its kernel.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
THEIRS = re.compile(
    r"comm|debugpy|ipy|jupyter|matplotlib-inline|nbc|nbformat|notebook|pyzmq|tornado|traitlets|widgets"
)


def name_of(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0]


def install() -> dict[str, str]:
    """Install what the package needs beside a notebook, and the package. Gives the pins."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [pin for pin in pins if pin and not pin.startswith("#") and not THEIRS.match(pin)]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [need for need in project["dependencies"] if not THEIRS.match(need)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(pins), encoding="utf-8")
        subprocess.run([*pip, "--constraint", constraints, *wanted], check=True)
    subprocess.run([*pip, "--no-deps", "--editable", ROOT], check=True)
    return dict(pin.split("==") for pin in pins)


def main() -> None:
    from google.colab import output

    pins = install()
    loaded = [name for name in ("numpy", "torch", "matplotlib") if name in sys.modules]
    old = [name for name in loaded if sys.modules[name].__version__.split("+")[0] != pins[name]]
    if old:
        raise RuntimeError(
            f"the session still holds another {' and '.join(old)}: choose Runtime > Restart session, "
            "then run this cell again; it is quick now"
        )
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT / "notebooks")
    output.enable_custom_widget_manager()  # the dream player's screen is a widget of our own
    print(f"wmlib {version('wmlib')} is set up in {ROOT}; go on with the next cell")


if __name__ == "__main__":
    main()
