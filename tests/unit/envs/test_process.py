"""Processes that die, freeze and are stopped, with a game that costs nothing."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.context import SpawnProcess

import numpy as np
import pytest

from wmlib.envs import process
from wmlib.envs.errors import GameError
from wmlib.envs.games import Games, GameSpec

TOY = '''
import os, signal, subprocess, sys, time
import numpy as np

class Toy:
    """Does a deed at its first step. Tells in files that it was closed, and what it has started."""

    def __init__(self, deed="", folder="", starts=False):
        self.deed, self.folder = deed, folder
        if starts:
            engine = subprocess.Popen(["sleep", "60"])
            print(os.getpid(), engine.pid, flush=True)

    def reset(self, seed):
        return np.zeros((64, 64, 3), np.uint8), {}

    def step(self, action):
        exec(self.deed)
        return np.zeros((64, 64, 3), np.uint8), 1.0, False, False, {}

    def close(self):
        if self.folder:
            time.sleep(0.3)
            open(os.path.join(self.folder, str(os.getpid())), "w").close()
'''


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Makes the spec of a toy; where its class is, the processes are told by `sys.path`."""
    (tmp_path / "toy_game.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    return lambda **options: GameSpec("toy_game:Toy", options)


def step(games):
    return games.step(np.zeros((games.lanes, 3)), np.ones(games.lanes, bool))


@pytest.fixture
def workers():
    """Gives the game processes that the test has started."""
    before = set(multiprocessing.active_children())
    return lambda: list(set(multiprocessing.active_children()) - before)


@pytest.mark.parametrize(
    ("deed", "told", "fewer"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", r"died 1 times.*SIGKILL.*memory.*fewer games", 4),
        ("os.kill(os.getpid(), signal.SIGBUS)", r"make room in /dev/shm.*docker run --shm-size=1g", 4),
        ("os.kill(os.getpid(), signal.SIGSEGV)", r"it crashed \(SIGSEGV\)$", None),
        ("os.write(2, b'fire\\non deck'); os._exit(3)", r"words: fire \| on deck\): exit code 3$", None),
        ("raise OSError('no joystick')", r"no joystick \(.*toy_game.py, line \d+, in step\)$", None),
        ("from wmlib.envs import GameDied; raise GameDied('engine lost')", "engine lost, or hold", 4),
    ],
)  # fmt: skip
def test_the_error_says_how_the_process_ended(toy, monkeypatch, deed, told, fewer):
    monkeypatch.setattr(process, "MOST_REPLACEMENTS", 0)
    with Games(toy(deed=deed), lanes=8, workers=1) as games:
        games.reset(range(8))
        with pytest.raises(GameError, match=told) as caught:
            step(games)
    assert caught.value.fewer == fewer


def test_one_game_can_not_become_fewer(toy, monkeypatch):
    monkeypatch.setattr(process, "MOST_REPLACEMENTS", 0)
    with Games(toy(deed="os.kill(os.getpid(), 9)"), lanes=1, workers=1) as games:
        games.reset([1])
        with pytest.raises(GameError, match=r"free some memory$") as caught:
            step(games)
    assert caught.value.fewer is None


def test_a_script_that_can_not_be_read_again_is_told_of_the_guard(toy, tmp_path, monkeypatch):
    """As from standard input, and as in a script whose code begins games when it is only read."""
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__spec__", None)
    monkeypatch.setattr(main, "__file__", str(tmp_path / "<stdin>"), raising=False)
    with (
        Games(toy(), lanes=1, workers=1) as games,
        pytest.raises(GameError, match="if __name__ ="),
    ):
        games.reset([1])


def test_a_process_that_can_not_be_started_is_an_error(toy, monkeypatch):
    def refuse(process):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(SpawnProcess, "start", refuse)
    with pytest.raises(GameError, match=r"can't be started \(Too many open files\); take fewer"):
        Games(toy(), lanes=1, workers=1)


def test_a_frozen_replacement_with_a_long_history_is_an_error_not_a_hang(toy, monkeypatch, workers):
    with Games(toy(), lanes=1, workers=1) as games:
        games.reset([1])
        games.step(np.zeros((1, 1_000_000)), np.ones(1, bool))  # more than a pipe holds
        start = SpawnProcess.start

        def start_and_freeze(started):
            start(started)
            os.kill(started.pid, signal.SIGSTOP)

        monkeypatch.setattr(SpawnProcess, "start", start_and_freeze)
        monkeypatch.setattr(process, "PATIENCE_SECONDS", 0.2)
        monkeypatch.setattr(process, "MOST_REPLACEMENTS", 1)
        workers()[0].kill()
        with pytest.raises(GameError, match=r"died 2 times.*no answer within"):
            step(games)
    assert workers() == []


def test_sigterm_closes_the_games_first(toy, tmp_path, workers):
    with Games(toy(folder=str(tmp_path)), lanes=1, workers=1) as games:
        games.reset([1])
        (worker,) = workers()
        worker.terminate()
        worker.join(10)
        assert worker.exitcode == 128 + signal.SIGTERM
        assert (tmp_path / str(worker.pid)).exists()


def test_ctrl_c_again_and_again_does_not_break_off_a_close(toy, tmp_path, workers):
    games = Games(toy(folder=str(tmp_path)), lanes=2, workers=2)
    games.reset([1, 2])
    pids = {str(worker.pid) for worker in workers()}

    def insist():
        for _ in range(3):
            time.sleep(0.05)
            signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=insist)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        games.close()
    thread.join()
    assert workers() == []
    assert pids <= {path.name for path in tmp_path.iterdir()}


def test_what_a_game_has_started_ends_with_parent_and_process_killed_together(toy, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import time\n"
        "from wmlib.envs.games import Games, GameSpec\n"
        'if __name__ == "__main__":\n'
        f'    with Games(GameSpec("toy_game:Toy", {dict(starts=True)}), 1, 1) as games:\n'
        "        games.reset([1])\n"
        "        time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    worker, engine = map(int, parent.stdout.readline().split())
    for pid in (parent.pid, worker):
        os.kill(pid, signal.SIGKILL)
    parent.communicate()
    end = time.monotonic() + 20
    while is_running(engine):
        assert time.monotonic() < end, "the engine lives on"
        time.sleep(0.05)


def is_running(pid):
    """Whether there is such a process, and it is more than a name that nobody has asked for."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return state.strip()[:1] not in ("", "Z")
