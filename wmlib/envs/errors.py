"""What can go wrong with a game."""

MAKE_ROOM = "make room in /dev/shm (in Docker: docker run --shm-size=1g)"
"""The remedy where shared memory is full."""


class GameError(RuntimeError):
    """The games can't go on. The message says what happened and what to try.

    fewer: where fewer games at once would help, how many lanes to try. What says so (an option of a
    command, an argument) is known only to whoever opened them.
    """

    def __init__(self, message: str, fewer: int | None = None):
        super().__init__(message)
        self.fewer = fewer


class GameDied(RuntimeError):
    """The process behind a game has ended: the game can be had back by playing it again."""
