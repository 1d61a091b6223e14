"""Where the package lies, and what follows: what comes with it, and where runs go.

In a checkout the weights lie beside the package, in `data`; in an installed wheel they lie within it.
Only the standard library is needed, for the doctor asks too.
"""

from __future__ import annotations  # the doctor speaks under any Python

import importlib.metadata
import json
import os
import shlex
import sys
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_WITHIN = _PACKAGE / "shipped"
_IS_CHECKOUT = (_PACKAGE.parent / "pyproject.toml").is_file() and not _WITHIN.is_dir()

CHECKOUT = _PACKAGE.parent if _IS_CHECKOUT else None
"""The repository; None where the package was installed from a wheel."""

SHIPPED = _PACKAGE.parent / "data" if _IS_CHECKOUT else _WITHIN
"""What comes with the package."""

REFERENCE = SHIPPED / "reference"
"""The agents that come with the package, one folder for each task."""

AGENTS = ("carracing", "takecover")
"""Their tasks: those that are to be there."""

GAME = "game.py"
"""In the folder of a run or of an agent that plays a game of yours: a copy of that game's file."""

SAMPLE = SHIPPED / "sample"
"""The episodes that come with the package."""


def named(path: str | Path) -> Path:
    """A path that a user named: ~ is home, and what is relative lies in the repository.

    A notebook runs in a folder of its own, which is not meant. Outside of a checkout it is the current
    folder that is: nothing is ever written among installed packages.
    """
    return (CHECKOUT or Path.cwd()) / os.path.expanduser(path)


def bring_back(path: Path) -> str:
    """The command that restores something shipped, as it was."""
    if CHECKOUT:
        name = path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else path
        return shlex.join(["git", "-C", str(CHECKOUT), "checkout", "--", str(name)])
    # Without its address pip would ask the public index for the name, which need not be ours there.
    wheel = str(installed_from().get("url", "WHEEL, the file that it was installed from"))
    return f"{shlex.quote(sys.executable)} -m pip install --force-reinstall --no-deps {wheel}"


def installed_from() -> dict:
    """Where pip took wmlib from, as it noted it (PEP 610): `url` and more; empty where it did not."""
    for found in importlib.metadata.distributions(name="wmlib"):
        if noted := found.read_text("direct_url.json"):
            return json.loads(noted)
    return {}
