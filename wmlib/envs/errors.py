"""What can go wrong with a game."""


class GameError(RuntimeError):
    """The games can't go on. The message says what happened and what to try."""


class GameDied(RuntimeError):
    """The process behind a game has ended: the game can be had back by playing it again."""
