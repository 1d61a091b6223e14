"""What a car did on a track, found by driving the recorded actions again, blind and so fast."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wmlib.data.sequences import Sequences
from wmlib.envs.carracing import CarRacing
from wmlib.envs.frames import to_frame

AHEAD = (5.0, 10.0, 20.0)
"""Metres along the road at which its bend is measured."""
SPIN_SLIP, SPIN_GRASS = 19.0, 60
"""A spin: faster to the side than this (m/s), and so many frames with two wheels on the grass."""


@dataclass(frozen=True)
class Drive:
    """A game, frame by frame.

    speed, slip: along the car and across it, m/s. grass: wheels on it. offset: metres from the middle of
    the road, to the left. heading: the car's angle to the road, radians. bend: the road's curvature at
    each distance `AHEAD`, 1/m, (T, 3). All (T,) where nothing is said. missed: tiles never
    touched, by number; tiles: of the whole track. finished: whether the lap was ended.
    """

    speed: np.ndarray
    slip: np.ndarray
    grass: np.ndarray
    offset: np.ndarray
    heading: np.ndarray
    bend: np.ndarray
    missed: np.ndarray
    tiles: int
    finished: bool
    reward: float

    @property
    def ending(self) -> str:
        """finished; spun; out of time (only the lap's end is missing); or missed tiles on the way."""
        if self.finished:
            return "finished"
        if self.slip.max() > SPIN_SLIP and (self.grass >= 2).sum() >= SPIN_GRASS:
            return "spun"
        last = np.arange(self.tiles - len(self.missed), self.tiles)
        return "out of time" if np.array_equal(self.missed, last) else "missed tiles"

    @property
    def truth(self) -> dict[str, np.ndarray]:
        """What a driver ought to know at each frame, (T,) each."""
        bends = {f"bend in {d:g} m": self.bend[:, i] for i, d in enumerate(AHEAD)}
        named = {"offset": self.offset, "heading": self.heading, "slip": self.slip, "speed": self.speed}
        return named | bends


def drive_again(
    seed: int, actions: np.ndarray, pictures: Sequence[int] = ()
) -> tuple[Drive, np.ndarray]:
    """Drive recorded actions (T, 3) on the track of this seed.

    Returns:
        what happened; and the frames (n, 64, 64, 3) uint8 after the steps `pictures`.
    """
    game = CarRacing()
    game.draws = False
    game.reset(seed=int(seed))
    road = np.array(game.track)[:, 2:4]
    tangent = np.roll(road, -1, 0) - np.roll(road, 1, 0)
    angle = np.arctan2(tangent[:, 1], tangent[:, 0])
    turn = np.angle(np.exp(1j * (np.roll(angle, -1) - np.roll(angle, 1))))
    bends = turn / np.linalg.norm(tangent, axis=1)
    step = np.linalg.norm(np.diff(road, axis=0), axis=1).mean()
    rows, drawn, total, finished = [], [], 0.0, False
    wanted = set(map(int, pictures))
    for t, action in enumerate(np.asarray(actions, np.float64)):
        game.draws = t in wanted
        picture, reward, ended, _, info = game.step(action)
        if game.draws:
            drawn.append(to_frame(picture))
        total += reward
        hull = game.car.hull
        place = np.array(hull.position)
        near = int(np.square(road - place).sum(1).argmin())
        along = np.array([np.cos(angle[near]), np.sin(angle[near])])
        ahead = [bends[(near + round(d / step)) % len(road)] for d in AHEAD]
        velocity = hull.GetLocalVector(hull.linearVelocity)
        aside = place - road[near]
        rows.append((
            velocity[1], abs(velocity[0]), sum(not wheel.tiles for wheel in game.car.wheels),
            along[0] * aside[1] - along[1] * aside[0],
            np.angle(np.exp(1j * (hull.angle + np.pi / 2 - angle[near]))), *ahead,
        ))  # fmt: skip
        if ended:
            finished = bool(info["lap_finished"])
            break
    table = np.array(rows)
    missed = np.array([tile.idx for tile in game.road if not tile.road_visited], int)
    drive = Drive(
        *table[:, :5].T, table[:, 5:], np.sort(missed), len(game.track), finished, float(total)
    )
    return drive, np.array(drawn)


def drives(games: Sequences, seeds: Sequence[int]) -> list[Drive]:
    """All recorded games, driven again."""
    ends = np.cumsum(games.lengths)
    return [
        drive_again(seed, games.actions[end - length : end].numpy())[0]
        for seed, end, length in zip(seeds, ends, games.lengths, strict=True)
    ]
