"""Standard output and error, which may be closed, full, left by their reader, or poor in letters.

Only the standard library is needed: the command line begins here, before anything heavy is loaded.
"""

import codecs
import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import TextIO

_IN_ASCII = {"±": "+-", "τ": "tau", "×": "x", "\u2026": "..."}


class Forgiving:
    """A text stream whose writer goes on, whatever becomes of the reader.

    lost: why something could not be written, in the system's words; empty where all could.
    """

    def __init__(self, stream: TextIO | None):
        self.stream, self.lost = stream, ""
        if stream is None:  # Python found it closed
            self.stream, self.lost = open(os.devnull, "w"), os.strerror(errno.EBADF)  # noqa: SIM115

    def write(self, text: str) -> int:
        with self._noting_failure():
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._noting_failure():
            self.stream.flush()

    @contextlib.contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.lost = self.lost or error.strerror or str(error)
        except ValueError as error:  # it was closed in Python, or lacks a letter
            self.lost = self.lost or str(error)

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)

    # tqdm compares streams, to keep bars and lines of the same one apart.

    def __eq__(self, other: object) -> bool:
        return self.stream is getattr(other, "stream", other)

    def __hash__(self) -> int:
        return hash(self.stream)


def forgiving(stream: TextIO | None) -> Forgiving:
    """The stream itself, if it forgives already."""
    return stream if isinstance(stream, Forgiving) else Forgiving(stream)


def tell(text: str, on: TextIO | None) -> str:
    """Print on one of the program's streams. Returns why it can't be read there, or nothing."""
    stream = forgiving(on)
    stream.write(f"{text}\n")
    stream.flush()
    return stream.lost


@contextlib.contextmanager
def forgiving_streams() -> Iterator[None]:
    """Let a whole program go on without its onlookers, and end without a word about them."""
    _fill_closed_descriptors()
    before = sys.stdout, sys.stderr
    for stream in before:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="wmlib.plain")
    sys.stdout, sys.stderr = ours = [forgiving(stream) for stream in before]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in ours:
            stream.flush()
            if stream.lost:
                _lead_nowhere(stream)


def _fill_closed_descriptors() -> None:
    """Else the next file that is opened gets the number of standard output, and what is meant for that.

    Child processes need them too.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest free number


def _lead_nowhere(stream: Forgiving) -> None:
    """Python flushes its streams as it ends, and what is left in this one would fail once more."""
    with contextlib.suppress(OSError, ValueError):  # no file is behind it
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What stands for letters that an output can't spell."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_IN_ASCII.get(letter, "?") for letter in letters), error.end


codecs.register_error("wmlib.plain", _plain)
