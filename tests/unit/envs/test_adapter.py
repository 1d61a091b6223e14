"""Any Gymnasium environment as a game of ours: its pictures, its actions, and what is wrong with it."""

import hashlib

import numpy as np
import pytest
from gymnasium import spaces

from wmlib.envs.adapter import Adapted, action_kind, bounds_of, to_move
from wmlib.runtime.source import SourceChanged, load, sha256_of

GAME = """
import numpy as np
from gymnasium import Env, spaces
from wmlib.task import Task


class Game(Env):
    render_mode = "rgb_array"
    observation_space = spaces.Box(-1.0, 1.0, (2,))
    action_space = spaces.Discrete(2)
    closed = 0

    def __init__(self, ends=5):
        self.ends = ends

    def reset(self, seed=None, options=None):
        self.t, self.seed = 0, seed
        return np.zeros(2), {}

    def step(self, action):
        self.t += 1
        return np.zeros(2), 0.5 * action, self.t == self.ends, False, {}

    def render(self):
        return np.full((20, 30, 3), 10 * self.t, np.uint8)

    def close(self):
        Game.closed += 1
"""


@pytest.fixture
def adapted(tmp_path):
    """Makes a game of a file: of the class above, with some lines put in, and a task."""

    def make(task='TASK = Task("mine", env=Game)', inside="", outside=""):
        path = tmp_path / "mine.py"
        text = GAME + "".join(f"    {line}\n" for line in inside.split("\n")) + f"{outside}\n{task}\n"
        path.write_text(text)
        return Adapted(str(path), hashlib.sha256(text.encode()).hexdigest())

    return make


def test_pictures_are_rendered_where_observations_are_none(adapted):
    game = adapted()
    picture, _ = game.reset(seed=3)
    assert picture.shape == (20, 30, 3) and picture.dtype == np.uint8 and not picture.any()
    picture, reward, ended, cut, _ = game.step(np.array([0.2, 0.9]))
    assert (picture == 10).all() and (reward, ended, cut) == (0.5, False, False)
    game.draws = False  # as where a game is played again
    assert (game.step(np.array([0.9, 0.2]))[0] == 10).all()


@pytest.mark.parametrize(
    ("space", "value", "shape"),
    [
        ("spaces.Box(0, 255, (16, 20, 3), np.uint8)", "np.full((16, 20, 3), 7, np.uint8)", (16, 20, 3)),
        ("spaces.Box(0, 255, (16, 20, 1), np.uint8)", "np.full((16, 20, 1), 7, np.uint8)", (16, 20, 3)),
        ("spaces.Box(0, 255, (16, 20), np.uint8)", "np.full((16, 20), 7, np.uint8)", (16, 20, 3)),
        ("spaces.Dict(image=spaces.Box(0, 255, (16, 20, 3), np.uint8), way=spaces.Discrete(4))",
         "{'image': np.full((16, 20, 3), 7, np.uint8), 'way': 1}", (16, 20, 3)),
        # A map of a grid is no picture, though its numbers are bytes.
        ("spaces.Box(0, 255, (7, 7, 3), np.uint8)", "np.full((7, 7, 3), 7, np.uint8)", (20, 30, 3)),
    ],
)  # fmt: skip
def test_observations_that_are_pictures_are_taken(adapted, space, value, shape):
    reset = f"def reset(self, seed=None):\n    self.t = 0\n    return {value}, {{}}"
    inside = f"observation_space = {space}\n{reset}"
    picture, _ = adapted(inside=inside).reset(seed=0)
    assert picture.shape == shape and (picture == (7 if shape[0] == 16 else 0)).all()


def test_of_a_picture_the_region_is_kept(adapted):
    inside = "def render(self):\n    return np.arange(600, dtype=np.uint8).reshape(20, 30)"
    picture, _ = adapted('TASK = Task("mine", env=Game, region=(2, 12, 5, 25))', inside).reset(seed=0)
    whole = np.arange(600, dtype=np.uint8).reshape(20, 30)
    np.testing.assert_array_equal(picture[..., 1], whole[2:12, 5:25])


def test_an_action_is_held_for_some_steps_whose_pay_is_added_and_not_beyond_the_end(adapted):
    game = adapted('TASK = Task("mine", env=Game, frame_skip=3, options={"ends": 5})')
    game.reset(seed=0)
    right = np.array([0.0, 1.0])
    came = [game.step(right)[1:4] for _ in range(2)]
    assert came == [(1.5, False, False), (1.0, True, False)]


def test_each_game_is_a_new_environment_and_the_old_one_is_closed(adapted, tmp_path):
    game, path = adapted(), tmp_path / "mine.py"
    for seed in range(3):
        game.reset(seed=seed)
    assert load(f"{path}:Game", sha256_of(path)).closed == 2
    game.close()
    game.close()
    assert load(f"{path}:Game", sha256_of(path)).closed == 3


def test_a_limit_of_its_own_cuts_a_game(adapted):
    inside = "def step(self, action):\n    return np.zeros(2), 0, False, True, {}"
    game = adapted(inside=inside)
    game.reset(seed=0)
    assert game.step(np.zeros(2))[2:4] == (False, True)


def test_a_gymnasium_id_is_made_without_its_limit_which_becomes_the_horizon(adapted):
    game = adapted('TASK = Task("mine", env="CartPole-v1", frame_skip=3)')
    said = game.describe()
    assert said["kind"] == "choice" and said["bounds"] == [(0.0, 1.0)] * 2 and said["limit"] == 167
    assert said["picture"] == "render()" and said["shape"] == (400, 600, 3)
    assert "gymnasium" in said["modules"]
    game.close()


STEP = "def step(self, action):\n    return np.zeros(2), {}, False, False, {{}}"


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ("def render(self):\n    return None",
         r'mine.py: render\(\) gave NoneType; a picture is .*; make it with render_mode="rgb_array"'),
        ("def render(self):\n    return np.zeros((20, 30, 4), np.uint8)",
         r"render\(\) gave \(20, 30, 4\) uint8; a picture is \(height, width, 3\) or \(height, width\)"),
        ("def render(self):\n    return np.zeros((20, 30, 3))", r"gave \(20, 30, 3\) float64; a"),
        ("def render(self):\n    return np.zeros((0, 30, 3), np.uint8)", r"gave \(0, 30, 3\) uint8"),
        (STEP.format("float('nan')"), r"mine.py: the reward is nan in step 1 of the game of seed 4; it"),
        (STEP.format("None"), "the reward is None in step 1 of the game of seed 4; it must be a finite"),
        ("def step(self, action):\n    return np.zeros(2), 0.0, False, {}",
         r"step\(\) gave 4 values; it must give observation, reward, terminated, truncated, info"),
        ("def reset(self, seed=None):\n    self.t = 0\n    return np.zeros(2)",
         r"reset\(\) gave ndarray; it must give observation, info"),
        ("action_space = spaces.Tuple((spaces.Discrete(2),))",
         r"the action space is Tuple\(Discrete\(2\)\); it must be Box, Discrete or MultiBinary: wrap"),
        ("def __init__(self):\n    raise RuntimeError('no display')", "no display"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_environment_is_said_in_one_line(adapted, inside, message):
    game = adapted(inside=inside)
    with pytest.raises((ValueError, RuntimeError), match=message) as raised:
        game.reset(seed=4)
        game.step(np.zeros(2))
    assert "\n" not in str(raised.value)


def test_a_region_beyond_the_picture_is_named(adapted):
    game = adapted('TASK = Task("mine", env=Game, region=(0, 10, 40, 50))')
    with pytest.raises(
        ValueError, match=r"region is \(0, 10, 40, 50\) .*, and the picture is \(20, 30\)"
    ):
        game.reset(seed=0)


def test_two_pictures_in_an_observation_are_not_guessed_between(adapted):
    two = (
        "spaces.Dict(a=spaces.Box(0, 255, (16, 16), np.uint8), b=spaces.Box(0, 255, (16, 16), np.uint8))"
    )
    inside = f"observation_space = {two}"
    assert adapted(inside=inside).reset(seed=0)[0].shape == (20, 30, 3)  # rendered
    game = adapted('TASK = Task("mine", env=Game, picture="observation")', inside)
    with pytest.raises(ValueError, match=r"2 of the observations are pictures.*say picture="):
        game.reset(seed=0)


def test_a_process_that_would_play_an_edited_game_is_refused(adapted, tmp_path):
    adapted()
    old = hashlib.sha256((tmp_path / "mine.py").read_bytes()).hexdigest()
    adapted(inside="lives = 3")
    with pytest.raises(SourceChanged):
        Adapted(str(tmp_path / "mine.py"), old)


@pytest.mark.parametrize(
    ("space", "kind", "bounds", "action", "move"),
    [
        (spaces.Discrete(3, start=5), "choice", [(0, 1)] * 3, [0.1, 0.7, 0.2], 6),
        (spaces.MultiBinary(3), "switches", [(0, 1)] * 3, [0.4, 0.6, 1.0], [0, 1, 1]),
        (spaces.MultiBinary([2, 1]), "switches", [(0, 1)] * 2, [0.4, 0.6], [[0], [1]]),
        (spaces.Box(-2, 3, (2,)), "free", [(-2, 3)] * 2, [-9.0, 0.5], [-2.0, 0.5]),
        (spaces.Box(0, 9, (1, 2), np.int64), "free", [(0, 9)] * 2, [4.6, 9.7], [[5, 9]]),
    ],
)  # fmt: skip
def test_an_action_becomes_what_the_space_wants(space, kind, bounds, action, move):
    assert action_kind(space) == kind and bounds_of(space, kind) == bounds
    made = to_move(np.array(action), space, kind)
    assert space.contains(made)
    np.testing.assert_array_equal(made, move)
