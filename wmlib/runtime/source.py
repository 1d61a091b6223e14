"""Code of yours, read from a file that you name: path/to/my_game.py:NAME.

The file is read by its path, in every process that plays the game, and never found by way of `sys.path`.
What was read is known by its sha256: a process that would read another is refused.
"""

import hashlib
import sys
import sysconfig
import traceback
from pathlib import Path
from types import ModuleType

from wmlib.runtime.fields import ConfigError

NAME = "TASK"
"""What is meant where an address names a file alone."""

_PLACES = ("stdlib", "platstdlib", "purelib", "platlib")
_LIBRARIES = [Path(__file__).parents[1], *(Path(sysconfig.get_path(name)) for name in _PLACES)]


class SourceChanged(RuntimeError):
    """The file is no longer the one that was meant."""


def is_address(text: str) -> bool:
    """Whether a text names a file of Python, or something in one."""
    return text.endswith(".py") or ".py:" in text


def parts_of(address: str) -> tuple[Path, str]:
    """An address as an absolute path and a name."""
    path, name = (address, NAME) if address.endswith(".py") else address.rsplit(":", 1)
    return Path(path).expanduser().resolve(), name


def address_of(thing: object) -> str:
    """Where something stands: a name at the top of a file that was imported.

    Raises:
        ConfigError: it stands in none, so no other process could read it.
    """
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and str(file).endswith(".py"):
            for name, value in list(vars(module).items()):
                if value is thing:
                    return f"{Path(file).resolve()}:{name}"
    raise ConfigError(
        f"the task {getattr(thing, 'name', thing)!r} stands in no file, and game processes have to read "
        f"it: write {NAME} = Task(...) into one, at its top level, and take it from there with find_task"
    )


def sha256_of(path: Path) -> str:
    """Of a file of yours, as it is now.

    Raises:
        ConfigError: it can't be read.
    """
    return hashlib.sha256(_read(path)).hexdigest()


def load(address: str, sha256: str) -> object:
    """What an address names. The same content is run once in a process.

    Raises:
        SourceChanged: the file holds another content by now.
        ConfigError: the file can't be read or run, or has nothing of that name. File and line are those
            of your mistake.
    """
    path, name = parts_of(address)
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise SourceChanged(
            f"{path} was edited meanwhile; take that back and run the same command again, or begin anew "
            "in another folder"
        )
    module = sys.modules.get(_module_name(path, sha256)) or _run(path, content, sha256)
    if not hasattr(module, name):
        raise ConfigError(f"{path} has no {name}; write {name} = Task(...) into it, at its top level")
    return getattr(module, name)


def place_of(error: BaseException) -> str:
    """Where in code of yours an error arose, as " (FILE, line N, in NAME)"; "" if in none of it."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_absolute() and not any(path.is_relative_to(library) for library in _LIBRARIES):
            return f" ({path}, line {frame.lineno}, in {frame.name})"
    return ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path} can't be read ({error.strerror}); name the file of your game: path/to/my_game.py"
        ) from error


def _run(path: Path, content: bytes, sha256: str) -> ModuleType:
    module = ModuleType(_module_name(path, sha256))
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and pickle look there
    try:
        exec(compile(content, str(path), "exec"), vars(module))
    except SyntaxError as error:
        where = f" ({error.filename}, line {error.lineno})"
        raise ConfigError(f"{path} can't be run: {type(error).__name__}: {error.msg}{where}") from error
    except Exception as error:  # whatever your code may raise: it is told as yours
        said = f"{type(error).__name__}: {error}{place_of(error)}"
        raise ConfigError(f"{path} can't be run: {said}") from error
    finally:
        if sys.exc_info()[0]:
            del sys.modules[module.__name__]
    return module


def _module_name(path: Path, sha256: str) -> str:
    """Another for another content: an edited file is run anew."""
    where = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    return f"{path.stem}_{where}_{sha256[:16]}"
