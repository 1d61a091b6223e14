"""Files: weights and tables as safetensors, written whole or not at all, read with suspicion.

Nothing here unpickles. What is damaged, foreign or holds NaN, and what is no file at all, such as a
named pipe, gives one `ArtifactError` with its name and the remedy.
"""

import contextlib
import errno
import glob
import hashlib
import json
import math
import os
import secrets
import shlex
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from wmlib.runtime.place import REFERENCE as REFERENCE  # with the files, where one looks for it

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


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], about: Mapping | None = None):
    """Write tensors, and `about` (anything JSON takes) as the file's one metadata string.

    It is signed: the sha256 of all that the file says stands in `about`.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    about = {key: value for key, value in (about or {}).items() if key != "sha256"}
    about["sha256"] = _digest(contiguous, about)
    # One string: safetensors writes several in an order that differs from run to run.
    metadata = {"about": json.dumps(about, sort_keys=True)}
    with whole_file(path) as temporary:
        temporary.write_bytes(save(contiguous, metadata))


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


def load_tensors(path: Path, remedy: str = "delete it and make it again") -> tuple[dict, dict]:
    """Read (tensors, about). Every tensor is finite, or this fails.

    about: what `save_tensors` was given, and the file's sha256, which tells this content from any other.

    Raises:
        ArtifactError: the file is missing, damaged, foreign, without our digest, or holds NaN or
            infinity.
    """
    path = Path(path)
    with reading(path, remedy):
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                about = parse_json((file.metadata() or {}).get("about", "{}"))
        except (SafetensorError, ValueError, KeyError) as error:
            raise ArtifactError(f"{path} is damaged or not ours ({error}); {remedy}") from error
    if not isinstance(about, dict):
        raise ArtifactError(f"{path}: its description is not ours; {remedy}")
    unsigned = {key: value for key, value in about.items() if key != "sha256"}
    if "sha256" not in about:
        raise ArtifactError(f"{path} is not ours (it has no sha256); {remedy}")
    if about["sha256"] != _digest(tensors, unsigned):
        raise ArtifactError(f"{path} is damaged (its sha256 differs); {remedy}")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ArtifactError(f"{path}: {name} holds values that are not finite; {remedy}")
    return tensors, about


def signature(path: Path, remedy: str = "delete it and make it again") -> str:
    """The sha256 that `save_tensors` wrote into a file, without reading the rest.

    Raises:
        ArtifactError: the file is missing, damaged, or without one.
    """
    with reading(path, remedy):
        try:
            with safe_open(path, framework="pt") as file:
                return str(parse_json(file.metadata()["about"])["sha256"])
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{path} is damaged or not ours ({error}); {remedy}") from error


def _digest(tensors: Mapping[str, torch.Tensor], about: Mapping) -> str:
    """Of all that a file says. safetensors itself would not notice a flipped bit."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def expect(
    path: Path,
    tensors: Mapping[str, torch.Tensor],
    shapes: Mapping[str, tuple[int | None, ...]],
    remedy: str,
    whole: Collection[str] = (),
) -> None:
    """Check names, shapes (None: any length) and types: floating point, but integers in `whole`.

    Raises:
        ArtifactError: naming the first tensor that is not as expected.
    """
    for name in sorted(tensors.keys() | shapes.keys()):
        tensor, wanted = tensors.get(name), shapes.get(name)
        if tensor is None or wanted is None:
            found = "is missing" if tensor is None else "does not belong here"
            raise ArtifactError(f"{path}: {name} {found}; {remedy}")
        fits = len(tensor.shape) == len(wanted) and all(
            length in (None, size) for length, size in zip(wanted, tensor.shape, strict=True)
        )
        if not fits or tensor.is_floating_point() == (name in whole):
            wanted = ", ".join("any" if length is None else str(length) for length in wanted)
            kind = "integers" if name in whole else "floating point"
            raise ArtifactError(
                f"{path}: {name} is {tuple(tensor.shape)} {tensor.dtype}, "
                f"expected ({wanted}) {kind}; {remedy}"
            )


def load_module(module: torch.nn.Module, path: Path, remedy: str = "make it again") -> dict:
    """Load weights into `module`, names and shapes checked. Returns the file's description."""
    tensors, about = load_tensors(path, remedy)
    expect(path, tensors, shapes_of(module), remedy)
    module.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return about


def shapes_of(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def save_json(path: Path, content: object) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(as_json(content, indent=1) + "\n", encoding="utf-8")


def as_json(content: object, indent: int | None = None) -> str:
    """Content as JSON that any program reads: NaN and infinity, which JSON lacks, become null."""
    try:
        return json.dumps(content, indent=indent, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(content), indent=indent, allow_nan=False)


def _finite(content: object) -> object:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    return [_finite(value) for value in content] if isinstance(content, list | tuple) else content


_MOST_JSON = 64 * 2**20
_DEEPEST = 50
"""Ours is far shorter, and far flatter."""


def load_json(path: Path, remedy: str = "delete it and make it again") -> object:
    """What a JSON file says.

    Raises:
        ArtifactError: it is missing, no file, damaged, or can't be read.
    """
    with reading(path, remedy, _MOST_JSON) as file:
        text = file.read()
    try:
        return parse_json(text)
    except ValueError as error:
        raise ArtifactError(f"{path} is damaged ({error}); {remedy}") from error


def parse_json(text: str | bytes) -> object:
    """What a text in JSON says.

    Raises:
        ValueError: it is none, or is nested deeper than could be written again.
    """
    text = text.decode() if isinstance(text, bytes) else text
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if text.count("[") + text.count("{") <= _DEEPEST:  # most are: no need to look
        return content
    level = [content]
    for _ in range(_DEEPEST):
        level = [value for each in level for value in _inside(each)]
        if not level:
            return content
    raise ValueError("it is nested too deep")


def _inside(value: object) -> Collection:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def sha256(path: Path, remedy: str = "delete it and make it again") -> str:
    """Of a file's bytes.

    Raises:
        ArtifactError: it is missing, no file, or can't be read.
    """
    with reading(path, remedy) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def map_array(path: Path, name: str, dtype: np.dtype, remedy: str) -> np.ndarray:
    """Memory-map one array of a safetensors file, read-only.

    The file starts with the length of its header, then the header in JSON, then the bytes.
    """
    with reading(path, remedy) as file:
        try:
            header_size = int.from_bytes(file.read(8), "little")
            if header_size > 1_000_000:
                raise ValueError("its header is too long")
            entry = parse_json(file.read(header_size))[name]
            start, end = entry["data_offsets"]
            shape = tuple(entry["shape"])
            if end - start != int(np.prod(shape)) * np.dtype(dtype).itemsize:
                raise ValueError(f"{name} has the wrong length")
            return np.memmap(file, dtype, mode="r", offset=8 + header_size + start, shape=shape)
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise ArtifactError(f"{path} is damaged or not ours ({error}); {remedy}") from error
