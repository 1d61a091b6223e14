"""EnvPool's CarRacing: a faster look-alike of the game, to train on and never to report a score from."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from wmlib.envs.errors import GameError
from wmlib.envs.frames import FRAME_SIZE, to_frame


class EnvPoolGames:
    """An EnvPool environment with picture observations, with the calls of `Games`: threads in place of
    processes.

    Faster, but a look-alike: another Box2D, no anti-aliasing, another track for the same seed. To train
    on, never to report a score from. Needs the extra: pip install 'wmlib[envpool]'.
    """

    def __init__(self, lanes: int, workers: int, kept_rows: int | None, env_id: str):
        try:
            import envpool
        except ImportError:
            raise GameError(
                "EnvPool is not installed. Install it (pip install envpool -c constraints.txt), or "
                "train on the exact game: --machine.backend exact"
            ) from None
        self._make, self.env_id = envpool.make, env_id
        self.lanes, self.workers, self.kept_rows = lanes, workers, kept_rows
        self.cut = np.zeros(lanes, bool)  # a limit of its own is the horizon at most
        self._frames = np.zeros((lanes, FRAME_SIZE, FRAME_SIZE, 3), np.uint8)
        # EnvPool takes seeds only when a pool is made, so lanes that start together share a pool.
        self._pool_of: list[object | None] = [None] * lanes
        self._index_of = np.zeros(lanes, np.int32)
        self._resizers = ThreadPoolExecutor(workers)  # Pillow resizes outside of Python's lock

    def reset(self, seeds: Sequence[int | None]) -> np.ndarray:
        """Start a new game in every lane whose seed is not None; the others stay as they are."""
        chosen = [lane for lane, seed in enumerate(seeds) if seed is not None]
        if chosen:
            pool = self._make(
                self.env_id, env_type="gymnasium", num_envs=len(chosen),
                num_threads=self.workers, seed=[int(seeds[lane]) for lane in chosen],
            )  # fmt: skip
            for index, lane in enumerate(chosen):
                self._pool_of[lane], self._index_of[lane] = pool, index
            self._show(chosen, pool.reset()[0])
        return self._frames.copy()

    def step(self, actions: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `Games.step`."""
        rewards, terminated = np.zeros(self.lanes), np.zeros(self.lanes, bool)
        lanes_of: dict[int, list[int]] = {}
        for lane in np.flatnonzero(active):
            lanes_of.setdefault(id(self._pool_of[lane]), []).append(int(lane))
        for lanes in lanes_of.values():
            lanes.sort(key=lambda lane: self._index_of[lane])
            batch = np.asarray(actions[lanes], np.float32)
            pictures, paid, ended, _, info = self._pool_of[lanes[0]].step(batch, self._index_of[lanes])
            # Results come back in the order in which games finished their step.
            order = np.argsort(info["env_id"])
            rewards[lanes], terminated[lanes] = paid[order], ended[order]
            self._show(lanes, pictures[order])
        return self._frames.copy(), rewards, terminated

    def _show(self, lanes: list[int], pictures: np.ndarray) -> None:
        for lane, frame in zip(
            lanes, self._resizers.map(lambda p: to_frame(p, self.kept_rows), pictures), strict=True
        ):
            self._frames[lane] = frame

    def close(self) -> None:
        self._pool_of = [None] * self.lanes
        self._resizers.shutdown()

    def __enter__(self) -> "EnvPoolGames":
        return self

    def __exit__(self, *_) -> None:
        self.close()
