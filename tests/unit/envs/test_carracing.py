"""The fast game against Gymnasium's own class: every bit of the picture, every reward, every end."""

import numpy as np
import pytest
from gymnasium.envs.box2d.car_racing import CarRacing as StockCarRacing
from gymnasium.utils.env_checker import check_env

from wmlib.envs.carracing import CarRacing


def driving_actions(seed: int, steps: int) -> np.ndarray:
    """A slow random walk that drives, skids, brakes and leaves the road."""
    rng = np.random.default_rng(seed)
    action, actions = np.zeros(3), []
    for _ in range(steps):
        action = np.clip(0.98 * action + rng.normal(0, 0.25, 3), [-1, 0, 0], [1, 1, 1])
        actions.append(action * [1, 1, 0.2])
    return np.array(actions)


def compare(seed: int, actions: np.ndarray) -> tuple[int, bool]:
    """Play both; returns the number of steps, and whether the game ended by itself."""
    stock, fast = StockCarRacing(), CarRacing()
    picture, frame = stock.reset(seed=seed)[0], fast.reset(seed=seed)[0]
    np.testing.assert_array_equal(frame, picture[:84])
    for t, action in enumerate(actions):
        expected, ours = stock.step(action), fast.step(action)
        np.testing.assert_array_equal(ours[0], expected[0][:84], err_msg=f"seed {seed}, step {t}")
        assert ours[1:] == expected[1:], f"seed {seed}, step {t}"
        if expected[2]:
            return t + 1, True
    return len(actions), False


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_thousand_random_steps_are_exact(seed):
    assert compare(seed, driving_actions(seed, 1000)) == (1000, False)


def test_exact_out_to_the_edge_of_the_playfield():
    # Straight on at half gas leaves the meadow: the black beyond is drawn, and the game ends at -100.
    steps, ended = compare(4, np.tile([0.0, 0.5, 0.0], (300, 1)))
    assert ended and steps > 100


def test_frames_for_a_viewer_stay_the_stock_ones():
    stock, fast = StockCarRacing(render_mode="rgb_array"), CarRacing(render_mode="rgb_array")
    stock.reset(seed=7), fast.reset(seed=7)
    for action in driving_actions(7, 20):
        stock.step(action), fast.step(action)
    np.testing.assert_array_equal(fast.render(), stock.render())


@pytest.mark.filterwarnings("ignore")  # it warns of the stock class's asymmetric action space
def test_it_obeys_gymnasiums_own_checker():
    check_env(CarRacing(), skip_render_check=True)


def test_drawing_can_be_left_out_without_touching_the_physics():
    seen, blind = CarRacing(), CarRacing()
    seen.reset(seed=3), blind.reset(seed=3)
    blind.draws = False
    for action in driving_actions(3, 150):
        expected, ours = seen.step(action), blind.step(action)
        assert ours[0] is None and ours[1:] == expected[1:]
    blind.draws = True
    np.testing.assert_array_equal(blind.step(action)[0], seen.step(action)[0])
