"""A process in which games are played: what it is asked, how it is had back, and how it ends.

A game is determined by its seed and its actions. So when a process dies or falls silent, another one
plays its games again, without drawing, and the result is the same as if nothing had happened. One that
keeps dying is an error, which says how it ended. No wait is without a limit.

No process outlives the one that started it. Each has a process group of its own, with all that its games
start (Doom's engines), and in the group a shell that waits for the parent's end and then ends the group.
That holds however the parent ends, and on every POSIX system. Linux's parent-death signal would not do:
it follows the thread that started a process, and engines are started by threads of ViZDoom's own.
"""

import contextlib
import multiprocessing
import os
import signal
import socket
import struct
import sys
import tempfile
import weakref
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np

from wmlib.envs.errors import MAKE_ROOM, GameDied, GameError
from wmlib.envs.frames import to_frame
from wmlib.runtime.signals import Stop, deaf_to_ctrl_c
from wmlib.runtime.source import place_of

PATIENCE_SECONDS = 120.0
"""For an answer, or for a message to be taken: replaying a long game takes seconds, a frame far less."""
MOST_REPLACEMENTS = 3
"""Of one process, between two answers."""
_GRACE_SECONDS = 2.0  # for a process to be gone, once its pipe is closed
_POSIX = os.name == "posix"

_UNGUARDED = (
    "a game process ended as it began (exit code 1). Each one begins by reading your script again: keep "
    'the script in a file, and what it does below the line  if __name__ == "__main__":'
)


class GameProcess:
    """This side of one process: what it was asked, and the history that can rebuild it.

    Args:
        lane_numbers: the lanes whose games it plays. make: makes one game. kept_rows: see `to_frame`.
        lanes: games open at once, over all processes.
    """

    def __init__(
        self, lane_numbers: np.ndarray, make: Callable[[], object], kept_rows: int | None, lanes: int
    ):
        self.lane_numbers = [int(i) for i in lane_numbers]
        self.lanes = lanes
        self._made_with = make, kept_rows
        self._history: dict[int, tuple[int, list[np.ndarray]]] = {}  # lane -> seed, actions so far
        self._request: tuple[str, dict] = ("idle", {})
        self._start()

    def ask_reset(self, seeds: dict[int, int]) -> None:
        """Begin new games; lane to seed."""
        self._request = ("reset", seeds)
        self._send(self._request)

    def ask_step(self, actions: dict[int, np.ndarray]) -> None:
        """One frame; lane to action."""
        self._request = ("step", actions)
        self._send(self._request)

    def ask_about(self) -> None:
        """What the game of each lane says of itself."""
        self._request = ("describe", dict.fromkeys(self.lane_numbers))
        self._send(self._request)

    def answer(self) -> dict:
        """The answer to the last request, lane to what came of it. A dead process is replaced until it
        gives one.

        Raises:
            GameError: the game failed, or process after process ended.
        """
        for deaths in range(MOST_REPLACEMENTS + 1):
            if deaths:
                self._replace()
            kind, content = self._hear()
            if kind == "answer":
                self._remember()
                return content
            if kind == "error":
                raise GameError(f"the game failed: {content}")
            code, words = self.process.exitcode, self._last_words()
            if code == 1 and not self._has_begun:
                self._end()
                raise GameError(_UNGUARDED)  # the next one would end like it
        self._end()
        said = f" (its last words: {words})" if words else ""
        cause, helped_by_fewer = (content, True) if kind == "died" else _cause(code)
        fewer = self.lanes // 2 if helped_by_fewer and self.lanes > 1 else None
        advice = ", or hold fewer games open at once" if fewer else ""
        raise GameError(f"a game process died {deaths + 1} times in a row{said}: {cause}{advice}", fewer)

    def hang_up(self) -> None:
        """Let the process close its games and end."""
        self.pipe.close()

    def end(self, seconds: float) -> None:
        """See to it that it has ended, with all that its games have started, after so long at most."""
        if self.process.pid is not None:
            self.process.join(seconds)
        self._end()

    def _hear(self) -> tuple[str, object]:
        """What the process says next, and its content; ("", None) if it has ended or fallen silent."""
        try:
            while not self._stuck and self.pipe.poll(PATIENCE_SECONDS):
                kind, content = self.pipe.recv()
                if kind != "begun":
                    return kind, content
                self._has_begun = True
        except (EOFError, OSError):
            self.process.join(_GRACE_SECONDS)  # it has ended: the pipe says so at once
        return "", None

    def _send(self, *messages: tuple[str, dict]) -> None:
        try:
            for message in messages:
                self.pipe.send(message)
        except BlockingIOError:
            self._stuck = True  # it reads no more
        except OSError:
            pass  # dead: answer() will see it and replace the process

    def _remember(self) -> None:
        kind, content = self._request
        for lane, value in content.items():
            if kind == "reset":
                self._history[lane] = (value, [])
            elif kind == "step":
                self._history[lane][1].append(value)

    def _start(self) -> None:
        try:
            self._spawn()
        except OSError as error:  # too many processes, or files
            raise GameError(
                f"a game process can't be started ({error.strerror}); take fewer processes: workers"
            ) from error

    def _spawn(self) -> None:
        # Not fork: a forked copy of a process that runs torch's threads may hang.
        context = multiprocessing.get_context("spawn")
        self._stuck = self._has_begun = False
        self.pipe, other_end = context.Pipe()
        _limit_waits(self.pipe)
        self._words = _scratch_file() if _POSIX else None
        self.process = context.Process(
            target=_serve, args=(other_end, self._words, *self._made_with), daemon=True
        )
        # Runs when it is called, when this object is gone, and at the latest when Python ends.
        self._end = weakref.finalize(self, _end, self.process, self.pipe, self._words, os.getpid())
        # Ctrl-C is the parent's to handle, from the process's first breath.
        with Stop(obeys_twice=False), deaf_to_ctrl_c():
            self.process.start()
        other_end.close()  # so that the death of the process closes the pipe

    def _replace(self) -> None:
        self._end()
        self._start()
        self._send(("replay", self._history), self._request)

    def _last_words(self) -> str:
        """The end of what the process wrote on standard error, on one line."""
        if not self._words or self._words.closed:
            return ""
        size = os.fstat(self._words.fileno()).st_size
        tail = os.pread(self._words.fileno(), 400, max(0, size - 400)).decode(errors="replace")
        lines = [line.strip() for line in tail.splitlines() if line.strip()]
        return " | ".join(lines)


def _cause(code: int | None) -> tuple[str, bool]:
    """What an exit code says, with the remedy; and whether fewer games at once would help."""
    if code is None:
        return f"it gave no answer within {PATIENCE_SECONDS:.0f} seconds; see what holds it up", True
    if code == -signal.SIGTERM or code == 128 + signal.SIGTERM:
        return "it was told to end (SIGTERM)", False
    if not _POSIX or code >= 0:
        return f"exit code {code}", False
    if code == -signal.SIGKILL:
        return "it was killed (SIGKILL), as where memory runs out; free some memory", True
    if code == -signal.SIGBUS:
        return f"a bus error (SIGBUS), as where shared memory is full; {MAKE_ROOM}", True
    return f"it crashed ({signal.Signals(-code).name})", False


def _end(process, pipe: Connection, words: Connection | None, owner: int) -> None:
    """Kill a process and its group, whatever state they are in."""
    if os.getpid() != owner:  # a copy, made by fork: the games are not its own
        return
    pipe.close()
    if words:
        words.close()
    if process.pid is None:  # never started
        return
    process.kill()
    if _POSIX:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.join(_GRACE_SECONDS)


def _scratch_file() -> Connection:
    """A file without a name, as a handle that a process can be started with."""
    number, path = tempfile.mkstemp(prefix="wmlib-")
    os.unlink(path)
    return Connection(number)


def _limit_waits(pipe: Connection) -> None:
    """No read or write of a message waits longer than our patience; it raises BlockingIOError then."""
    if not _POSIX:
        return
    limit = struct.pack("ll", *divmod(int(PATIENCE_SECONDS * 1e6), 10**6))  # a timeval
    with socket.fromfd(pipe.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.setblocking(True)  # whatever socket.setdefaulttimeout says
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)


def _serve(
    pipe: Connection, words: Connection | None, make: Callable[[], object], kept_rows: int | None
) -> None:
    """What a game process does: hold some games, and do to them what it is told."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    if _POSIX:
        os.setsid()  # a group of our own, which is ended as a whole
        os.dup2(words.fileno(), 2)
        words.close()
        _keep_handles()
        _end_with_the_parent()
    games: dict[int, object] = {}

    def tell(kind: str, content: object) -> None:
        with contextlib.suppress(OSError):  # the parent is gone: the next look at the pipe says so
            pipe.send((kind, content))

    def begin(lane: int, seed: int) -> np.ndarray:
        # A new game, not a used one: nothing of the lane's last episode can linger.
        if not getattr(games.get(lane), "renews_itself", False):
            games[lane] = make()
        return games[lane].reset(seed=seed)[0]

    try:
        tell("begun", None)
        while True:
            try:
                request, content = pipe.recv()
            except (EOFError, OSError):
                return  # the parent is gone, or has hung up
            if request == "replay":
                for lane, (seed, actions) in content.items():
                    begin(lane, seed)
                    _replay(games[lane], actions)
                continue
            answers = {}
            for lane, value in content.items():
                if request == "reset":
                    answers[lane] = to_frame(begin(lane, value), kept_rows)
                elif request == "describe":
                    games[lane] = make()
                    answers[lane] = games[lane].describe()
                else:
                    picture, reward, ended, cut, _ = games[lane].step(value)
                    answers[lane] = (to_frame(picture, kept_rows), float(reward), bool(ended), bool(cut))
            tell("answer", answers)
    except GameDied as death:
        tell("died", str(death))  # and we go too, so that all our games are played again
    except Exception as error:  # a bug in the game: tell the parent rather than die in silence
        tell("error", f"{type(error).__name__}: {error}{place_of(error)}")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # nor is a close broken off
        with contextlib.ExitStack() as closing:
            for game in games.values():
                closing.callback(game.close)


def _leave(*_) -> None:
    """On SIGTERM: by the way that closes the games."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + signal.SIGTERM)


def _keep_handles() -> None:
    """Nothing that is started here holds our end of a pipe: our death would then close none."""
    for name in os.listdir("/dev/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):  # the one by which the folder was read
                os.set_inheritable(int(name), False)


def _end_with_the_parent() -> None:
    """Have this process's group killed after the parent's end, with some time left for closing games.

    The shell's standard input is a pipe whose other end the parent alone holds, as long as it lives.
    """
    parent = multiprocessing.parent_process().sentinel
    script = f"read parents_end; sleep {_GRACE_SECONDS:.0f}; kill -s KILL 0"
    os.posix_spawn(
        "/bin/sh", ["sh", "-c", script], os.environ,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, parent, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )  # fmt: skip


def _replay(game, actions: list[np.ndarray]) -> None:
    """Bring a game back to where it was."""
    game.draws = False
    for action in actions:
        game.step(action)
    game.draws = True
