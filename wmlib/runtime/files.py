"""Files: weights and tables as safetensors, written whole or not at all, read with suspicion.

Nothing here unpickles. A file that is damaged, foreign or holds NaN gives one `ArtifactError` with its
name and the remedy.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from wmlib.runtime.place import REFERENCE as REFERENCE  # with the files, where one looks for it


class ArtifactError(RuntimeError):
    """A file that can't be read or written. The message names it and says what to do."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write to a temporary neighbour; rename it to `path` only once it is complete and on the disk."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
    except OSError as error:
        raise ArtifactError(
            f"{path.parent} can't be written ({error.strerror}); choose another with --run-dir"
        ) from error
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise ArtifactError(
            f"{path} can't be written ({error.strerror}); make room and run the same command again"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def alone(folder: Path, option: str = "--run-dir") -> Iterator[None]:
    """Keep other processes from working in a folder. A kill gives it free again.

    Raises:
        ArtifactError: one is at it already, or the folder can't be written; another one can be chosen
            with `option`.
    """
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ArtifactError(
            f"another run is at work in {folder}; let it end, or choose another {option}"
        ) from None
    except OSError as error:
        raise ArtifactError(
            f"{folder} can't be written ({error.strerror}); choose another {option}"
        ) from error
    try:
        yield
    finally:
        lock.release()


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], about: Mapping | None = None):
    """Write tensors, and `about` (anything JSON takes) as the file's one metadata string."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    about = dict(about or {})
    about["sha256"] = _digest(contiguous, about)
    # One string: safetensors writes several in an order that differs from run to run.
    metadata = {"about": json.dumps(about, sort_keys=True)}
    with whole_file(path) as temporary:
        temporary.write_bytes(save(contiguous, metadata))


def load_tensors(path: Path, remedy: str = "delete it and make it again") -> tuple[dict, dict]:
    """Read (tensors, about). Every tensor is finite, or this fails.

    Raises:
        ArtifactError: the file is missing, damaged, foreign, or holds NaN or infinity.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"{path} is missing; {remedy}")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = json.loads((file.metadata() or {}).get("about", "{}"))
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ArtifactError(f"{path} is damaged or not ours ({error}); {remedy}") from error
    if not isinstance(about, dict):
        raise ArtifactError(f"{path}: its description is not ours; {remedy}")
    signed = about.pop("sha256", None)
    if signed and signed != _digest(tensors, about):
        raise ArtifactError(f"{path} is damaged (its sha256 differs); {remedy}")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ArtifactError(f"{path}: {name} holds values that are not finite; {remedy}")
    return tensors, about


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
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load_json(path: Path, remedy: str = "delete it and make it again") -> object:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing; {remedy}") from None
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} is damaged ({error}); {remedy}") from error


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def map_array(path: Path, name: str, dtype: np.dtype, remedy: str) -> np.ndarray:
    """Memory-map one array of a safetensors file, read-only.

    The file starts with the length of its header, then the header in JSON, then the bytes.
    """
    try:
        with open(path, "rb") as file:
            header_size = int.from_bytes(file.read(8), "little")
            if header_size > 1_000_000:
                raise ValueError("its header is too long")
            entry = json.loads(file.read(header_size))[name]
        start, end = entry["data_offsets"]
        shape = tuple(entry["shape"])
        if end - start != int(np.prod(shape)) * np.dtype(dtype).itemsize:
            raise ValueError(f"{name} has the wrong length")
        return np.memmap(path, dtype, mode="r", offset=8 + header_size + start, shape=shape)
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing; {remedy}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path} is damaged or not ours ({error}); {remedy}") from error
