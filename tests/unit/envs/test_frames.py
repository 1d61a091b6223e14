"""From picture to frame: Pillow's own averaging, of the kept rows and nothing else."""

import numpy as np
from gymnasium.envs.box2d.car_racing import CarRacing as StockCarRacing
from PIL import Image

from wmlib.envs.frames import to_frame
from wmlib.tasks.carracing import KEPT_ROWS


def test_to_frame_crops_the_status_bar_and_averages():
    picture = StockCarRacing().reset(seed=1)[0]
    expected = Image.fromarray(picture[:84]).resize((64, 64), Image.Resampling.BILINEAR)
    frame = to_frame(picture, KEPT_ROWS)
    np.testing.assert_array_equal(frame, np.asarray(expected))
    np.testing.assert_array_equal(frame, to_frame(picture[:84], KEPT_ROWS))
    # An area filter keeps the mean; picking single pixels would not.
    assert abs(frame.mean() - picture[:84].mean()) < 1.0


def test_without_a_number_all_rows_are_kept():
    picture = np.zeros((128, 64, 3), np.uint8)
    picture[64:] = 200
    whole, upper = to_frame(picture), to_frame(picture, 64)
    assert whole.shape == upper.shape == (64, 64, 3) and whole.dtype == np.uint8
    assert (whole[:30] == 0).all() and (whole[34:] == 200).all() and (upper == 0).all()
