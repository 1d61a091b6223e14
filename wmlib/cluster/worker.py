"""What a worker does: bytes come in, games are played, bytes go out. Nothing of ours is unpickled.

It keeps V and M under their digests, and games open, from one order to the next.
"""

import threading
import time
from collections.abc import Mapping

from wmlib.cluster.kind import difference, game_of, kind, process_name
from wmlib.cluster.order import Order, play_order, unpack_weights
from wmlib.envs.errors import GameError
from wmlib.envs.games import GameSpec, ManyGames, open_games
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.files import pack, unpack
from wmlib.task import find_task
from wmlib.worlds.perception import CHUNK

_MOST_MODELS = 6
"""Kept at once: V, M and beginnings of two agents."""


class Worker:
    """This process, as one that plays for others. One order at a time."""

    def __init__(self):
        self.name = process_name()
        self._models: dict[str, object] = {}  # by digest; what was used last is last
        self._open: tuple[GameSpec, ManyGames] | None = None
        self._alone = threading.Lock()

    def play(self, request: bytes, weights: Mapping[str, bytes]) -> bytes:
        """Play an order.

        Args:
            request: what `Order.pack` made, with the kind of worker that is wanted. weights: by digest,
                those that the worker said it lacks.

        Returns:
            packed: what came of the games and the seconds that it took; or, in the description, why not.
            refused: this is another kind of worker. missing: digests of weights that it lacks. failed:
            what went wrong with the games.
        """
        about: dict[str, object] = {"worker": self.name}
        tensors, asked = unpack(request, "an order")
        why = difference(asked["kind"], kind())
        try:
            if not why:
                task = find_task(asked["task"])
                why = difference(asked["game"], game_of(task))
        except (ConfigError, GameError) as error:  # a game of one's own, whose file or packages it lacks
            why = f"it can't make the game: {error}"
        if why:
            return pack({}, about | {"refused": why})
        order = Order.unpack(tensors, asked, task)
        with self._alone:
            for digest, content in weights.items():
                self._models[digest] = unpack_weights(content, task)
            wanted = order.weights
            if missing := [digest for digest in wanted.values() if digest not in self._models]:
                return pack({}, about | {"missing": missing})
            for digest in wanted.values():
                self._models[digest] = self._models.pop(digest)
            self._models = dict(list(self._models.items())[-_MOST_MODELS:])
            models = {name: self._models[digest] for name, digest in wanted.items()}
            began = time.monotonic()
            try:
                tensors = play_order(order, models, self._games)
            except GameError as error:
                self.close()
                return pack({}, about | {"failed": str(error)})
            except BaseException:
                self.close()
                raise
            return pack(tensors, about | {"seconds": time.monotonic() - began})

    def _games(self, spec: GameSpec) -> ManyGames:
        """Games of this kind; those that were open, if they are."""
        if self._open is None or self._open[0] != spec:
            self.close()
            self._open = spec, open_games(spec, CHUNK, 1)
        return self._open[1]

    def close(self) -> None:
        """Close the games. The next order opens others."""
        if self._open:
            self._open[1].close()
            self._open = None


_here = Worker()


def serve(request: bytes, weights: Mapping[str, bytes]) -> bytes:
    """`Worker.play`, in whatever process this is called: what an executor is given."""
    return _here.play(request, weights)
