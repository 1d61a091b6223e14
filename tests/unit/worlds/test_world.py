"""The real game and the dream keep one contract; who acts can't tell them apart."""

import numpy as np
import pytest
import torch

from wmlib.envs.games import GameSpec
from wmlib.runtime.fields import ConfigError
from wmlib.worlds.dream import DreamWorld
from wmlib.worlds.real import FrameWorld, RealWorld


@pytest.fixture(params=["real", "dream"])
def world(request, vae, mdnrnn, starts):
    with torch.no_grad():
        mdnrnn.head.bias[-1] = -20.0  # an untrained M sees the end of the game anywhere
    made = (
        RealWorld(vae, mdnrnn, lanes=2, workers=1, horizon=8)
        if request.param == "real"
        else DreamWorld(mdnrnn, starts, lanes=2, horizon=8)
    )
    with made:
        yield made


def script(steps):
    rng = np.random.default_rng(5)
    return torch.from_numpy(rng.uniform(0, 0.8, (steps, 2, 3)).astype(np.float32))


def test_alignment_of_z_h_and_actions(world, mdnrnn):
    """h_{t+1} is M's memory of (z_0, a_0) ... (z_t, a_t): each step once, none ahead, none behind."""
    seen = [world.reset(seed=[1, 2])[0].clone()]
    actions = script(6)
    for action in actions:
        seen.append(world.step(action)[0].clone())
    z = torch.stack([features[:, :32] for features in seen], 1)  # (2, 7, Z)
    h = torch.stack([features[:, 32:] for features in seen], 1)  # (2, 7, H)
    assert h[:, 0].abs().max() == 0
    expected, _ = mdnrnn.lstm(torch.cat([z[:, :-1], actions.transpose(0, 1)], -1))
    torch.testing.assert_close(h[:, 1:], expected, rtol=1e-3, atol=1e-5)


def test_a_finished_lane_earns_nothing_and_is_truncated_once(world):
    world.reset(seed=[1, 2])
    cut = []
    for action in script(11):
        _, rewards, _, truncated, _ = world.step(action)
        cut.append(truncated.tolist())
    assert cut == [[False] * 2] * 7 + [[True] * 2] + [[False] * 2] * 3
    assert rewards.tolist() == [0.0, 0.0]


def test_one_lane_can_start_anew_while_the_other_goes_on(world):
    actions = script(6)
    world.reset(seed=[1, 2])
    for action in actions[:3]:
        world.step(action)
    features, _ = world.reset(seed=[7, None], options={"reset_mask": np.array([True, False])})
    assert features[0, 32:].abs().max() == 0 and features[1, 32:].abs().max() > 0
    for action in actions[3:]:
        features, *_ = world.step(action)
    mixed = features.clone()
    world.reset(seed=[7, 2])
    for action in actions[3:]:
        features, *_ = world.step(action)
    torch.testing.assert_close(mixed[0], features[0])
    world.reset(seed=[1, 2])
    for action in actions:
        features, *_ = world.step(action)
    torch.testing.assert_close(mixed[1], features[1])


def test_a_lane_that_is_stopped_stays_as_it_is_and_earns_nothing(world):
    world.reset(seed=[1, 2])
    first, second = script(2)
    world.step(first)
    world.stop(np.array([True, False]))
    before = world.pictures() if isinstance(world, FrameWorld) else world.z.clone().numpy()
    _, rewards, terminated, truncated, _ = world.step(second)
    after = world.pictures() if isinstance(world, FrameWorld) else world.z.numpy()
    assert rewards[0] == 0 and rewards[1] != 0
    assert not terminated[0] and not truncated[0]
    np.testing.assert_array_equal(after[0], before[0])
    assert (after[1] != before[1]).any()


class Counted:
    """Games in the manner of `Games`: one of seed s ends after s steps, and each step pays 1."""

    def __init__(self, lanes, workers, kept_rows):
        self.left = np.zeros(lanes, int)

    def reset(self, seeds):
        self.left = np.array(
            [left if seed is None else seed for seed, left in zip(seeds, self.left, strict=True)]
        )
        return self.frames()

    cut = False

    def step(self, actions, active):
        self.left = self.left - active
        return self.frames(), 1.0 * active, active & (self.left == 0)

    def frames(self):
        return (
            np.zeros((len(self.left), 64, 64, 3), np.uint8)
            + self.left.astype(np.uint8)[:, None, None, None]
        )

    def close(self):
        self.left = None


@pytest.fixture
def counted():
    with FrameWorld(GameSpec(f"{__name__}:Counted", batched=True), 3, 1, horizon=4) as world:
        yield world
    assert world.games.left is None  # closed


STILL = np.zeros((3, 1))


def test_lanes_are_cut_at_the_horizon_unless_they_end_there_by_themselves(counted):
    counted.reset(seed=[9, 2, 4])
    rows = [[x.tolist() for x in counted.step(STILL)[1:4]] for _ in range(5)]
    assert [row[0] for row in rows] == [[1, 1, 1], [1, 1, 1], [1, 0, 1], [1, 0, 1], [0, 0, 0]]
    assert [row[1] for row in rows] == [[0] * 3, [0, 1, 0], [0] * 3, [0, 0, 1], [0] * 3]
    assert [row[2] for row in rows] == [[0] * 3, [0] * 3, [0] * 3, [1, 0, 0], [0] * 3]
    frames, _ = counted.reset(seed=[9, 7, 9], options={"reset_mask": np.array([False, True, False])})
    assert frames[:, 0, 0, 0].tolist() == [5, 7, 0]
    rows = [[x.tolist() for x in counted.step(STILL)[1:4]] for _ in range(5)]
    assert [row[0] for row in rows] == [[0, 1, 0]] * 4 + [[0, 0, 0]]  # its time began anew
    assert [row[2] for row in rows] == [[0] * 3] * 3 + [[0, 1, 0]] + [[0] * 3]


def test_no_lane_moves_before_its_first_reset(counted):
    assert counted.step(STILL)[1].tolist() == [0, 0, 0]
    counted.reset(seed=[9, 9, 9], options={"reset_mask": np.array([True, False, False])})
    assert counted.step(STILL)[1].tolist() == [1, 0, 0]


def test_a_lane_that_is_stopped_is_neither_ended_nor_cut(counted):
    counted.reset(seed=[9, 9, 2])
    counted.step(STILL)
    counted.stop(np.array([True, False, True]))
    seen = [[x.tolist() for x in counted.step(STILL)[1:4]] for _ in range(4)]
    assert [row[0] for row in seen] == [[0, 1, 0]] * 3 + [[0, 0, 0]]
    assert [row[1] for row in seen] == [[0] * 3] * 4
    assert [row[2] for row in seen] == [[0] * 3] * 2 + [[0, 1, 0]] + [[0] * 3]


def test_a_games_seed_may_be_numpys_and_is_looked_at_only_where_one_begins(counted):
    frames, _ = counted.reset(seed=np.array([7, 8, 9]))
    assert frames[:, 0, 0, 0].tolist() == [7, 8, 9]
    only = {"reset_mask": np.array([True, False, False])}
    assert counted.reset(seed=[3, None, 2**64], options=only)[0][:, 0, 0, 0].tolist() == [3, 8, 9]
    for seed in (2**32 + 3, -1, None):
        with pytest.raises(ConfigError, match=r"the seed is .* from 0 to 2,147,483,647"):
            counted.reset(seed=[seed, 8, 9])
