"""The releases that decide what a game looks like and how it behaves."""

from importlib.metadata import PackageNotFoundError, version

from wmlib import __version__

_GAMES = ("gymnasium", "Box2D", "pygame-ce", "vizdoom", "wmlib")


def game_versions(*more: str) -> dict[str, str]:
    """Of the packages behind the games, and of those named besides, all that are installed."""
    return installed_versions((*_GAMES, *(name for name in more if name not in _GAMES)))


def installed_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Name to release, of those that are installed. Ours is the code's own: it may run uninstalled."""
    found = {}
    for name in names:
        try:
            found[name] = __version__ if name == "wmlib" else version(name)
        except PackageNotFoundError:
            continue
    return found
