"""How a notebook begins: which profile, whose weights, on what machine."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from wmlib.agent import Agent, load_agent
from wmlib.artifacts import REFERENCE
from wmlib.config import RunConfig, find_profile
from wmlib.training import best_device


@dataclass(frozen=True)
class Lesson:
    """What a notebook stands on. `shipped`: the weights are those that come with the package."""

    config: RunConfig
    folder: Path
    shipped: bool

    def agent(self, controller_file: str = "controller.safetensors") -> Agent:
        """V, M and C from the lesson's folder."""
        return load_agent(self.folder, controller_file)


def begin(needs: str = "controller.safetensors", task: str = "carracing") -> Lesson:
    """Read WMLIB_PROFILE (laptop if unset) and WMLIB_RUN_DIR, choose a folder, and say which.

    Args:
        needs: a file that the run folder must hold; without it the shipped agent is taken.

    Raises:
        ConfigError: if there is no such profile.
    """
    profile = os.environ.get("WMLIB_PROFILE", "laptop")
    config = find_profile(profile)
    run = os.environ.get("WMLIB_RUN_DIR")
    own = run is not None and (Path(run) / needs).exists()
    folder = Path(run) if own else REFERENCE / task
    print(f"profile {profile}; Python {platform.python_version()}; device {best_device()}")
    print(", ".join(f"{name} {version(name)}" for name in ("torch", "gymnasium", "wmlib")))
    print("weights:", f"your run {folder.name}" if own else f"shipped, data/reference/{task}")
    return Lesson(config, folder, shipped=not own)
