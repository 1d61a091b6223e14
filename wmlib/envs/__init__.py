"""The games: how they look, how they are played many at once."""

from wmlib.envs.errors import GameDied, GameError
from wmlib.envs.frames import FRAME_SIZE, to_frame
from wmlib.envs.games import GameKind, Games, GameSpec, ManyGames, open_games

__all__ = [
    "FRAME_SIZE",
    "GameDied",
    "GameError",
    "GameKind",
    "GameSpec",
    "Games",
    "ManyGames",
    "open_games",
    "to_frame",
]
