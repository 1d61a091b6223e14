"""The coarse drawing against the exact game: the same steps, nearly the same frames."""

import numpy as np
import pytest

from tests.unit.envs.test_carracing import driving_actions
from wmlib.envs.carracing import CarRacing
from wmlib.envs.frames import to_frame
from wmlib.envs.sketch import CarSketch


def test_every_step_is_the_exact_games_and_the_frame_nearly():
    exact, sketch = CarRacing(), CarSketch()
    frames = [(exact.reset(seed=5)[0], sketch.reset(seed=5)[0])]
    for action in driving_actions(5, 300):
        expected, ours = exact.step(action), sketch.step(action)
        assert ours[1:] == expected[1:]
        frames.append((expected[0], ours[0]))
    seen, drawn = (
        np.stack([to_frame(frame) for frame in part]) / 255 for part in zip(*frames, strict=True)
    )
    error = np.square(seen - drawn).sum((1, 2, 3))
    # V itself loses 12 to 19 of a frame.
    assert error.mean() < 1 and error.max() < 4
    assert np.square(seen[1:] - drawn[:-1]).sum((1, 2, 3)).mean() > 3 * error.mean()  # no frame late


def test_beyond_the_playfield_all_is_black_there_too():
    sketch = CarSketch()
    sketch.reset(seed=4)
    for _ in range(300):
        frame, _, ended, *_ = sketch.step(np.array([0.0, 0.5, 0.0]))
        if ended:
            break
    assert ended and (frame == 0).all(2).mean() > 0.2


def test_wheels_on_the_grass_cost_what_is_asked():
    plain, strict = CarSketch(), CarSketch(grass=0.5)
    plain.reset(seed=3), strict.reset(seed=3)
    charged = []
    for action in driving_actions(3, 200):
        reward = plain.step(action)[1]
        wheels = sum(not wheel.tiles for wheel in plain.car.wheels)
        charged.append(wheels)
        assert strict.step(action)[1] == pytest.approx(reward - 0.5 * wheels)
    assert min(charged) == 0 and max(charged) == 4
