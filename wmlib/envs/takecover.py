"""Doom's TakeCover: fireballs fly at you, and you can only step aside (paper, section 4).

ViZDoom's own scenario and engine, seen as the paper sees it. One step is one tic, a 35th of a second,
and pays 1. The action is one number: above a third it steps one way, below minus a third the other,
between the two it stays (the paper's code). The game ends when you die; to cut it at 2100 tics is the
world's business. Each game is a process that the engine starts; when that dies, `GameDied` is raised.
What killed games leave behind is removed by the next game.

How hard it is, the *skill* says. The paper's wrapper is documented with 5. At 4, chance survives as long
as the paper reports for chance, so 4 is what we compare with.
"""

import contextlib
import functools
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wmlib.envs.errors import MAKE_ROOM, GameDied
from wmlib.runtime.fields import as_seed

THRESHOLD = 1 / 3
"""An action beyond plus or minus this is a step to the side."""
RESOLUTIONS = ("160x120", "320x240", "640x480")
"""Pictures that the engine can draw; the paper's code takes the last."""

_FOLDER = "wmlib-doom-"
_SHARED = Path("/dev/shm")
_LEAST_SHARED = 2**20  # bytes; a game uses half of it
_SETTLED_SECONDS = 5.0  # what is younger may not have been opened yet


class TakeCover:
    """One game, with the calls of a Gymnasium environment.

    Pictures are (height, width, 3) uint8: of what the engine draws, the five sixths above the status
    bar, as in the paper's code. Rewards are 1 for each tic, the last one included.

    Args:
        skill: 1 to 5. resolution: see `RESOLUTIONS`.
    """

    renews_itself = True  # a reset leaves nothing of the game before

    def __init__(self, skill: int = 4, resolution: str = "320x240"):
        import vizdoom

        if skill not in range(1, 6):
            raise ValueError(f"skill is {skill!r}; it must be a whole number from 1 to 5")
        if resolution not in RESOLUTIONS:
            raise ValueError(f"resolution is {resolution!r}; it must be one of {', '.join(RESOLUTIONS)}")
        _sweep_once()
        self.draws = True
        self._game = game = vizdoom.DoomGame()
        # The engine writes its settings where it is told to, or else into the current folder.
        self._folder = tempfile.TemporaryDirectory(prefix=f"{_FOLDER}{os.getpid()}-")
        game.set_doom_config_path(os.path.join(self._folder.name, "settings.ini"))
        game.load_config(os.path.join(vizdoom.scenarios_path, "take_cover.cfg"))
        game.set_doom_skill(skill)
        width, height = (int(size) for size in resolution.split("x"))
        game.set_screen_resolution(getattr(vizdoom.ScreenResolution, f"RES_{width}X{height}"))
        game.set_screen_format(vizdoom.ScreenFormat.RGB24)
        game.set_render_hud(True)  # the paper crops it; so the view above keeps its proportions
        game.set_window_visible(False)
        game.set_sound_enabled(False)
        game.set_episode_timeout(0)
        game.set_mode(vizdoom.Mode.PLAYER)
        self._picture = np.zeros((height * 5 // 6, width, 3), np.uint8)
        self._deaths = (
            vizdoom.ViZDoomUnexpectedExitException,
            vizdoom.ViZDoomErrorException,
            vizdoom.ViZDoomIsNotRunningException,
            vizdoom.MessageQueueException,
        )

    def reset(self, seed: int, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """A new game. The same seed and actions give the same pictures."""
        with self._alive():
            self._game.set_seed(as_seed(seed))
            if self._game.is_running():
                self._game.new_episode()
            else:
                # The engine makes a folder for its own use where it is started: not where you are.
                with contextlib.chdir(self._folder.name):
                    self._game.init()
        return self._look(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """One tic. action: (1,), in [-1, 1]."""
        a = float(np.asarray(action).reshape(-1)[0])
        with self._alive():
            self._game.make_action([a < -THRESHOLD, a > THRESHOLD], 1)
            over = self._game.is_episode_finished()
        return self._look(), 1.0, over, False, {}

    def close(self) -> None:
        self._game.close()
        self._folder.cleanup()

    @contextlib.contextmanager
    def _alive(self) -> Iterator[None]:
        """Whatever the engine says when its process is gone becomes one error."""
        try:
            yield
        except self._deaths as death:
            full = _SHARED.is_dir() and shutil.disk_usage(_SHARED).free < _LEAST_SHARED
            why = f"shared memory is full; {MAKE_ROOM}" if full else f"{death}; free some memory"
            raise GameDied(f"Doom's process ended: {why}") from death

    def _look(self) -> np.ndarray:
        """The picture now; after the end, the last one."""
        state = self._game.get_state() if self.draws else None
        if state is not None:
            self._picture = state.screen_buffer[: len(self._picture)]
        return self._picture


def sweep(temporary: Path, shared: Path) -> None:
    """Remove what this user's games have left whose process was killed.

    Args:
        temporary: where games have their folders; each is named after the process that made it.
        shared: where the engine's shared memory lies; what no process holds is nobody's.
    """
    for folder in temporary.glob(f"{_FOLDER}*-*"):
        pid = folder.name.removeprefix(_FOLDER).partition("-")[0]
        if pid.isdigit() and _is_ours(folder) and not _is_alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
    settled = time.time() - _SETTLED_SECONDS
    left = [p for p in shared.glob("ViZDoom*") if _is_ours(p) and p.lstat().st_mtime < settled]
    held = _held_memory() if left else set()
    for path in left:
        if path.name not in held:
            path.unlink(missing_ok=True)


@functools.cache
def _sweep_once() -> None:
    if os.name == "posix":
        sweep(Path(tempfile.gettempdir()), _SHARED)


def _is_ours(path: Path) -> bool:
    """Whether it is there, no link, and this user's."""
    try:
        return path.lstat().st_uid == os.getuid() and not path.is_symlink()
    except FileNotFoundError:  # another process sweeps too
        return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _held_memory() -> set[str]:
    """Names of the engines' shared memory that some process of this machine has open."""
    held = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):  # ended meanwhile, or another user's
            held.update(re.findall(r"/(ViZDoom\w+)", maps.read_text(errors="replace")))
    return held
