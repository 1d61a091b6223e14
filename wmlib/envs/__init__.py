"""The games: how they look, how they are played many at once."""

from wmlib.envs.envpool import EnvPoolGames
from wmlib.envs.games import GameKind, Games


def open_games(
    task: str,
    lanes: int,
    workers: int,
    kind: GameKind = "exact",
    options: dict[str, object] | None = None,
) -> Games | EnvPoolGames:
    """`lanes` games of a kind, over `workers` processes (or threads, for EnvPool)."""
    if kind == "envpool":
        return EnvPoolGames(task, lanes, workers)
    return Games(task, lanes, workers, kind, options)
