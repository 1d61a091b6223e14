"""Catch what falls: a game of your own, in a file of your own.

python -m wmlib run --task examples/catch.py
"""

import numpy as np
from gymnasium import Env, spaces

from wmlib.task import Task

BALLS, SIDE = 10, 64


class Catch(Env):
    """Ten balls fall, one after the other; each that meets the paddle pays 1."""

    observation_space = spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
    action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left, self.paddle = BALLS, SIDE // 2
        self.drop()
        return self.look(), {}

    def drop(self):
        self.x, self.y = int(self.np_random.integers(6, SIDE - 6)), 6

    def step(self, action):
        self.paddle = int(np.clip(self.paddle + 4 * (action - 1), 8, SIDE - 8))
        self.y += 4
        landed = self.y >= SIDE - 10
        caught = landed and abs(self.x - self.paddle) < 14
        if landed:
            self.left -= 1
            self.drop()
        return self.look(), float(caught), self.left == 0, False, {}

    def look(self):
        picture = np.full((SIDE, SIDE, 3), 60, np.uint8)
        picture[self.y - 6 : self.y + 6, self.x - 6 : self.x + 6] = (255, 220, 60)
        picture[SIDE - 8 :, self.paddle - 8 : self.paddle + 8] = (90, 200, 255)
        picture[:3, : 6 * self.left] = 255  # how many are left
        return picture


TASK = Task("catch", actions=("left", "stay", "right"), env=Catch, horizon=12 * BALLS)
