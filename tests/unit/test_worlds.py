"""The real game and the dream keep one contract; who acts can't tell them apart."""

import math

import numpy as np
import pytest
import torch

from wmlib.config import find_task
from wmlib.envs.frames import to_frame
from wmlib.envs.games import make_game
from wmlib.mdnrnn import MDNRNN, sample_mixture
from wmlib.moments import DreamStarts
from wmlib.vae import to_images
from wmlib.worlds import DreamWorld, RealWorld, play


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


def test_real_z_and_rewards_are_the_games_own(vae, mdnrnn):
    actions = script(5)
    game = make_game("carracing")
    frames, rewards = [to_frame(game.reset(seed=2)[0], "carracing")], []
    for action in actions[:, 1].numpy():
        picture, reward, *_ = game.step(action)
        frames.append(to_frame(picture, "carracing"))
        rewards.append(reward)
    expected, _ = vae.encode(to_images(torch.from_numpy(np.stack(frames))))
    with RealWorld(vae, mdnrnn, lanes=2, workers=2) as world:
        features = [world.reset(seed=[1, 2])[0][1].clone()]
        for action, reward in zip(actions, rewards, strict=True):
            observed, found, *_ = world.step(action)
            features.append(observed[1].clone())
            assert found[1] == reward
    torch.testing.assert_close(torch.stack(features)[:, :32], expected, rtol=1e-3, atol=1e-4)


def test_dream_step_by_hand(mdnrnn, starts):
    world = DreamWorld(mdnrnn, starts, lanes=1, temperature=0.7)
    before = world.reset(seed=[4])[0].clone()
    uniform, normal, _ = world._step_noise(np.ones(1, bool))
    action = script(1)[0, :1]
    after, reward, *_ = world.step(action)
    prediction, _ = mdnrnn(before[:, None, :32], action[:, None])
    expected = sample_mixture(prediction, uniform[:, None], normal[:, None], 0.7)[:, 0]
    torch.testing.assert_close(after[:, :32], expected, rtol=1e-4, atol=1e-5)
    assert reward[0] == pytest.approx(prediction.reward.item(), abs=1e-5)


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


def test_dreams_of_one_seed_share_their_luck(mdnrnn, starts):
    world = DreamWorld(mdnrnn, starts, lanes=4)
    features, _ = world.reset(seed=[8, 8, 9, 8])
    assert torch.equal(features[0], features[1]) and not torch.equal(features[0], features[2])
    for action in script(3)[:, :1]:
        features, *_ = world.step(action.expand(4, 3))
    torch.testing.assert_close(features[0], features[3])
    assert not torch.allclose(features[0, :32], features[2, :32])


def test_the_dream_ends_where_m_is_sure_of_it(mdnrnn, starts):
    with torch.no_grad():
        mdnrnn.head.bias[-1] = 50.0
    world = DreamWorld(mdnrnn, starts, lanes=2)
    world.reset(seed=[1, 2])
    assert world.step(script(1)[0])[2].all()
    assert world.step(script(1)[0])[1].tolist() == [0.0, 0.0]


def test_only_a_dream_that_begins_where_a_game_begins_is_told_so():
    task = find_task("takecover")
    mdnrnn = MDNRNN(task).eval()
    z, h = torch.randn(2, 64), torch.stack([torch.zeros(512), torch.full((512,), 0.1)])
    starts = DreamStarts(z, torch.full_like(z, -torch.inf), h, h)
    world = DreamWorld(mdnrnn, starts, lanes=12)
    world.reset(seed=range(12))
    amid = world._h.any(1)
    assert 0 < amid.sum() < 12
    before, action = world._features().clone(), torch.zeros(12, 1)
    z, c, h = before.split([64, 512, 512], 1)
    after, *_ = world.step(action)
    restart = (~amid).float()[:, None]
    with torch.inference_mode():
        expected, _ = mdnrnn.lstm(torch.cat([z, action, restart], 1)[:, None], (h[None], c[None]))
    torch.testing.assert_close(after[:, -512:], expected[:, 0], rtol=1e-4, atol=1e-5)
    assert not world._fresh.any()


def test_an_end_by_chance_comes_as_often_as_m_says(mdnrnn, starts):
    """M was trained with ends that weighed ten times: its odds are ten times too high, and put right."""
    with torch.no_grad():
        mdnrnn.head.weight[-1].zero_()
        mdnrnn.head.bias[-1] = math.log(10 * 0.2 / 0.8)
    lanes = 4000
    world = DreamWorld(mdnrnn, starts, lanes, end="sampled", end_weight=10.0)
    world.reset(seed=range(lanes))
    still = torch.zeros(lanes, 3)
    ended = world.step(still)[2]
    assert ended.mean() == pytest.approx(0.2, abs=0.03)
    again = world.step(still)[2]  # those that go on meet new luck
    assert not again[ended].any() and again[~ended].mean() == pytest.approx(0.2, abs=0.03)
    world.reset(seed=[3] * lanes)
    assert len(set(world.step(still)[2].tolist())) == 1  # dreams of one seed share it


def test_a_dream_does_not_depend_on_those_that_are_over(mdnrnn, starts):
    actions = script(9)
    both = DreamWorld(mdnrnn, starts, lanes=2)
    both.reset(seed=[1, 2])
    for action in actions[:4]:
        both.step(action)
    both.stop(np.array([True, False]))
    over = both._features()[0].clone()
    alone = DreamWorld(mdnrnn, starts, lanes=1)
    alone.reset(seed=[2])
    for action in actions[:4]:
        alone.step(action[1:])
    for action in actions[4:]:
        together, rewards, *_ = both.step(action)
        single, reward, *_ = alone.step(action[1:])
        torch.testing.assert_close(together[1], single[0], rtol=1e-4, atol=1e-5)
        assert rewards[0] == 0 and rewards[1] == pytest.approx(reward[0], abs=1e-5)
        assert torch.equal(together[0], over)  # it stays as it is


def returns_with(lanes, workers, vae, mdnrnn, controller, params, horizon=25):
    with RealWorld(vae, mdnrnn, lanes, workers, horizon) as world:
        return play(world, controller, params, [1, 2, 3])


def test_scores_do_not_depend_on_lanes_or_workers(vae, mdnrnn, controller):
    params = torch.randn(2, controller.size) * 0.3
    alone = returns_with(1, 1, vae, mdnrnn, controller, params)
    for lanes, workers in ((2, 2), (6, 2), (9, 1)):
        np.testing.assert_array_equal(
            returns_with(lanes, workers, vae, mdnrnn, controller, params), alone
        )


class CountingWorld:
    """A stand-in whose lane with seed s ends after s steps and pays 1 a step: sums are known."""

    def __init__(self, lanes, reward=1.0):
        self.lanes, self.reward = lanes, reward
        self.left, self.stepped = np.zeros(lanes, int), 0

    def reset(self, *, seed, options=None):
        mask = options["reset_mask"] if options else np.ones(self.lanes, bool)
        self.left[mask] = np.array(seed)[mask]
        return torch.zeros(self.lanes, 288), {}

    def stop(self, lanes):
        self.left[lanes] = 0

    def step(self, actions):
        active = self.left > 0
        self.left -= active
        self.stepped += int(active.sum())
        ended = active & (self.left == 0)
        return torch.zeros(self.lanes, 288), self.reward * active, ended, ended & False, {}


@pytest.mark.parametrize("lanes", [1, 3, 6, 10])
def test_play_gives_every_game_its_own_sum(controller, lanes):
    world = CountingWorld(lanes)
    finished = []
    returns = play(
        world, controller, torch.zeros(2, controller.size), [5, 1, 9],
        on_finish=lambda game, value: finished.append((game, value)),
    )  # fmt: skip
    assert returns.tolist() == [[5, 1, 9], [5, 1, 9]]
    assert sorted(finished) == [(0, 5), (1, 1), (2, 9), (3, 5), (4, 1), (5, 9)]
    assert world.stepped == 30  # nothing was played twice


def test_patience_ends_a_game_without_reward(controller):
    world = CountingWorld(2, reward=-0.5)
    returns = play(world, controller, torch.zeros(1, controller.size), [50, 3], patience=10)
    assert returns.tolist() == [[-5.0, -1.5]]
    assert world.stepped == 13
