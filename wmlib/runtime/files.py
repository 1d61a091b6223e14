"""What our files hold: weights and tables as safetensors, signed, and JSON; read with suspicion.

Nothing here unpickles. What is damaged, foreign or holds NaN gives one `ArtifactError` with its name and
the remedy.
"""

import hashlib
import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save

from wmlib.runtime.disk import ArtifactError, reading, whole_file
from wmlib.runtime.place import REFERENCE as REFERENCE  # with the files, where one looks for it


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], about: Mapping | None = None):
    """Write tensors, and `about` (anything JSON takes) as the file's one metadata string.

    It is signed: the sha256 of all that the file says stands in `about`.
    """
    content = pack(tensors, about)
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


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
    _check_signed(path, tensors, about, remedy)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ArtifactError(f"{path}: {name} holds values that are not finite; {remedy}")
    return tensors, about


def pack(tensors: Mapping[str, torch.Tensor], about: Mapping | None = None) -> bytes:
    """What `save_tensors` writes, to be sent."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    about = {key: value for key, value in (about or {}).items() if key != "sha256"}
    about["sha256"] = _digest(contiguous, about)
    # One string: safetensors writes several in an order that differs from run to run.
    return save(contiguous, {"about": json.dumps(about, sort_keys=True)})


def unpack(content: bytes, name: str) -> tuple[dict, dict]:
    """(tensors, about) of what `pack` made; numbers need not be finite. name: what it is, for errors.

    Raises:
        ArtifactError: it is damaged, foreign, or without our digest.
    """
    remedy = "send it again"
    try:
        tensors = load(content)
        size = int.from_bytes(content[:8], "little")
        about = parse_json(parse_json(content[8 : 8 + size])["__metadata__"]["about"])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{name} is damaged or not ours ({error}); {remedy}") from error
    _check_signed(name, tensors, about, remedy)
    return tensors, about


def _check_signed(name: object, tensors: Mapping, about: object, remedy: str) -> None:
    if not isinstance(about, dict):
        raise ArtifactError(f"{name}: its description is not ours; {remedy}")
    unsigned = {key: value for key, value in about.items() if key != "sha256"}
    if "sha256" not in about:
        raise ArtifactError(f"{name} is not ours (it has no sha256); {remedy}")
    if about["sha256"] != _digest(tensors, unsigned):
        raise ArtifactError(f"{name} is damaged (its sha256 differs); {remedy}")


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
