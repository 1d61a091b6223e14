"""The disk: files written whole or not at all, read only where they are files, and folders for one run.

Whatever the system refuses gives one `ArtifactError` with the file's name and what helps.
"""

import contextlib
import errno
import glob
import math
import os
import secrets
import shlex
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

try:
    import fcntl
except ImportError:  # on Windows, which deletes no file that somebody holds open
    fcntl = None


class ArtifactError(RuntimeError):
    """A file that can't be read or written. The message names it and says what to do."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write to a temporary neighbour; rename it to `path` only once it is complete and on the disk.

    A link stays, and what it points to is written. Its mode is what the umask leaves.
    """
    path = Path(path)
    try:
        target = _target(path, "move it away")
        with _neighbour(target) as temporary:
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            _move(temporary, target)
    except OSError as error:
        raise _unwritable(path, error, "choose another folder") from error


def ensure_writable(path: Path, option: str) -> None:
    """Try, before long work, whether a file can be written at its end. Leaves nothing behind.

    Args:
        path: the file that is going to be written, or replaced.
        option: by which another one can be chosen, such as --out.

    Raises:
        ArtifactError: naming the path and the option.
    """
    path, missing, otherwise = Path(path), [], f"choose another {option}"
    try:
        target = _target(path, otherwise)
        missing = [folder for folder in target.parents if not folder.exists()]
        with _neighbour(target):
            pass
    except OSError as error:
        raise _unwritable(path, error, otherwise) from error
    finally:
        for folder in missing:  # the innermost first
            with contextlib.suppress(OSError):
                folder.rmdir()


@contextlib.contextmanager
def appending(path: Path, remedy: str) -> Iterator[BinaryIO]:
    """A file, made if missing, open to be read and added to at its end.

    Raises:
        ArtifactError: it is no file, or can't be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _insist_on_a_file(path, remedy)
        with open(path, "ab+") as file:
            yield file
    except OSError as error:
        raise _unwritable(path, error, remedy) from error


def _target(path: Path, remedy: str) -> Path:
    """What is written in the end. A link is followed, for it may have been laid on purpose."""
    target = Path(os.path.realpath(path))
    _insist_on_a_file(path, remedy)
    return target


@contextlib.contextmanager
def _neighbour(path: Path) -> Iterator[Path]:
    """A new file beside `path`, gone at the end. Those that a kill left there are swept first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent.glob(f".{glob.escape(path.name)}.????????{_PART}"))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_PART}")
    handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)  # less the umask
    try:
        if fcntl is None:
            os.close(handle)  # Windows would not rename it
        else:
            with contextlib.suppress(OSError):  # where there are no locks, nothing is swept either
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
        if fcntl is not None:
            os.close(handle)


_PART = ".part"


def _sweep(leftovers: Iterable[Path]) -> None:
    """Delete temporary files whose writers are dead: the living hold a lock on theirs."""
    for path in leftovers:
        with contextlib.suppress(OSError):
            if fcntl is not None:
                with open(path, "rb+") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _move(temporary: Path, path: Path) -> None:
    """Rename; where a file system refuses that, copy: what took long to make is worth that risk."""
    try:
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in _REMEDIES:
            raise
        with open(temporary, "rb") as source, open(path, "wb") as file:
            shutil.copyfileobj(source, file)
            file.flush()
            os.fsync(file.fileno())


def _insist_on_a_file(path: Path, remedy: str) -> None:
    """Nothing, or a file, or a link to one: anything else is refused."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        return
    if kind != stat.S_IFREG:
        names = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
        raise ArtifactError(f"{path} is {names.get(kind, 'a device')}, not a file; {remedy}")


_REMEDIES = {
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "make room and run the same command again"
    ),
    **dict.fromkeys(
        (errno.EMFILE, errno.ENFILE), "allow more (ulimit -n 4096) and run the same command again"
    ),
    errno.ENOMEM: "free some memory and run the same command again",
    errno.ENAMETOOLONG: "choose a shorter name",
}
"""What helps against refusals of the system that say nothing of the file itself."""


def _unwritable(path: Path, error: OSError, otherwise: str) -> ArtifactError:
    remedy = _REMEDIES.get(error.errno, otherwise)
    return ArtifactError(f"{path} can't be written ({error.strerror}); {remedy}")


@contextlib.contextmanager
def alone(folder: Path, option: str = "--run-dir") -> Iterator[None]:
    """Keep other processes from working in a folder. A kill gives it free again.

    Where nothing is written in here, nothing is left: neither the lock nor a folder made for it.
    Temporary files that killed ones left there are swept.

    Raises:
        ArtifactError: one is at it already, or the folder can't be written; another one can be chosen
            with `option`.
    """
    lock = FileLock(folder / ".lock", timeout=0)
    new = not Path(lock.lock_file).exists()
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = set(os.listdir(folder))
        lock.acquire()
    except Timeout:
        raise ArtifactError(
            f"another run is at work in {folder}; let it end, or choose another {option}"
        ) from None
    except OSError as error:
        raise _unwritable(folder, error, f"choose another {option}") from error
    try:
        ensure_writable(folder / "events.jsonl", option)
        for depth in ("", "*/", "*/*/"):  # a run's own folders
            _sweep(folder.glob(f"{depth}.*.????????{_PART}"))
        yield
    finally:
        if new and set(os.listdir(folder)) - {".lock"} == before:
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
        with contextlib.suppress(OSError):  # not empty, so not ours to take away
            for path in made:
                path.rmdir()


@contextlib.contextmanager
def reading(path: Path, remedy: str, most: float = math.inf) -> Iterator[BinaryIO]:
    """A file, open to be read. What is none, such as a named pipe, is not opened: it could be endless.

    Args:
        most: bytes that it may have.

    Raises:
        ArtifactError: it is missing, no file, too long, or can't be read.
    """
    path = Path(path)
    try:
        _insist_on_a_file(path, remedy)
        if (length := path.stat().st_size) > most:
            size = f"{length / 2**20:.0f} MiB, more than belong there"
            raise ArtifactError(f"{path} is damaged or not ours (it has {size}); {remedy}")
        with open(path, "rb") as file:
            yield file
    except (FileNotFoundError, NotADirectoryError):
        again = remedy.removeprefix("delete it and ")
        raise ArtifactError(f"{path} is missing; {again}") from None
    except OSError as error:
        raise unreadable(path, error, remedy) from error


def unreadable(path: Path, error: OSError, remedy: str) -> ArtifactError:
    """What to say of a file that the system refuses to read; `remedy` where it does not tell why."""
    if error.errno in (errno.EACCES, errno.EPERM):  # nothing is wrong with what it holds
        remedy = f"let it be read: {shlex.join(['chmod', 'u+rX', str(path.parent), str(path)])}"
    remedy = _REMEDIES.get(error.errno, remedy)
    return ArtifactError(f"{path} can't be read ({error.strerror or error}); {remedy}")
