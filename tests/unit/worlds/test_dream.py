"""The dream by hand: what M says is what happens, and its luck follows from its seed."""

import math

import numpy as np
import pytest
import torch

from wmlib.mdnrnn import MDNRNN, sample_mixture
from wmlib.runtime.fields import ConfigError
from wmlib.task import find_task
from wmlib.vae import to_frames
from wmlib.worlds.dream import DreamWorld
from wmlib.worlds.moments import DreamStarts


def script(steps):
    rng = np.random.default_rng(5)
    return torch.from_numpy(rng.uniform(0, 0.8, (steps, 2, 3)).astype(np.float32))


class Overheard:
    """Stands before a dream's imagination and keeps what it is given."""

    def __init__(self, imagination):
        self.imagination, self.given = imagination, []

    def __call__(self, *given):
        self.given.append([part.clone() for part in given])
        return self.imagination(*given)


def test_dream_step_by_hand(mdnrnn, starts):
    world = DreamWorld(mdnrnn, starts, lanes=1, tau=0.7)
    before = world.reset(seed=[4])[0].clone()
    world.imagination = heard = Overheard(world.imagination)
    action = script(1)[0, :1]
    after, reward, *_ = world.step(action)
    ((_, _, _, uniform, normal, _),) = heard.given
    with torch.inference_mode():
        prediction, _ = mdnrnn(before[:, None, :32], action[:, None])
        expected = sample_mixture(prediction, uniform[:, None], normal[:, None], 0.7)[:, 0]
    torch.testing.assert_close(after[:, :32], expected, rtol=1e-4, atol=1e-5)
    assert reward[0] == pytest.approx(prediction.reward.item(), abs=1e-5)


def test_each_lane_has_a_temperature_of_its_own_or_all_have_one(mdnrnn, starts):
    taus, actions = [0.1, 1.0, 1.7], script(4)[:, :1]
    together = DreamWorld(mdnrnn, starts, lanes=3, tau=taus)
    together.reset(seed=[4, 4, 4])
    alone = [DreamWorld(mdnrnn, starts, lanes=3, tau=tau) for tau in taus]
    for world in alone:
        world.reset(seed=[4, 4, 4])
    together.stop(np.array([True, False, False]))  # a lane keeps its own when others are over
    for action in actions:
        mixed = together.step(action.expand(3, 3))[0]
        plain = [world.step(action.expand(3, 3))[0] for world in alone]
        for lane in (1, 2):
            torch.testing.assert_close(mixed[lane], plain[lane][lane], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(mixed[1], mixed[2])
    with pytest.raises(ConfigError, match="tau has 2 values; it must have one for each of the 3 lanes"):
        DreamWorld(mdnrnn, starts, lanes=3, tau=[1.0, 1.3])


def test_its_noise_is_even_and_normal_and_new_at_every_step(mdnrnn, starts):
    with torch.no_grad():
        mdnrnn.head.bias[-1] = -20.0
    world = DreamWorld(mdnrnn, starts, lanes=3, horizon=200)
    world.imagination = heard = Overheard(world.imagination)
    world.reset(seed=[1, 2, 1])
    for _ in range(120):
        world.step(torch.zeros(3, 3))
    uniform, normal = (torch.stack([given[i] for given in heard.given]) for i in (3, 4))
    assert uniform.shape == normal.shape == (120, 3, 32)
    assert torch.equal(normal[:, 0], normal[:, 2]) and torch.equal(uniform[:, 0], uniform[:, 2])
    for noise, mean, deviation in ((uniform, 0.5, 12**-0.5), (normal, 0.0, 1.0)):
        drawn = noise[:, :2]
        assert len(drawn.unique()) > 0.99 * drawn.numel()  # no step and no seed repeats another's
        assert drawn.mean().item() == pytest.approx(mean, abs=0.05)
        assert drawn.std().item() == pytest.approx(deviation, rel=0.05)


def test_lanes_that_begin_anew_at_any_time_meet_the_noise_of_their_seed(mdnrnn, starts):
    """Whatever the others do: what a seed meets at a time is what it meets in a dream of one lane."""
    with torch.no_grad():
        mdnrnn.head.bias[-1] = -20.0

    def noise_of(seed):
        world = DreamWorld(mdnrnn, starts, lanes=1)
        world.imagination = heard = Overheard(world.imagination)
        world.reset(seed=[seed])
        for _ in range(130):
            world.step(torch.zeros(1, 3))
        return [torch.cat([given[3], given[4]]) for given in heard.given]

    alone = {seed: noise_of(seed) for seed in (1, 2, 3)}
    world, rng = DreamWorld(mdnrnn, starts, lanes=4), np.random.default_rng(0)
    world.imagination = heard = Overheard(world.imagination)
    seeds, times = rng.integers(1, 4, 4), np.zeros(4, int)
    world.reset(seed=seeds)
    for _ in range(130):  # three blocks of noise
        world.step(torch.zeros(4, 3))
        for lane, (seed, t) in enumerate(zip(seeds, times, strict=True)):
            met = torch.stack([heard.given[-1][kind][lane] for kind in (3, 4)])
            assert torch.equal(met, alone[seed][t])
        times += 1
        anew = rng.random(4) < 0.02
        seeds, times = np.where(anew, rng.integers(1, 4, 4), seeds), np.where(anew, 0, times)
        world.reset(seed=seeds, options={"reset_mask": anew})


def test_seeds_far_apart_meet_other_noise_and_too_far_apart_there_is_no_dream(mdnrnn, starts):
    with torch.no_grad():
        mdnrnn.head.bias[-1] = -20.0
    world = DreamWorld(mdnrnn, starts, lanes=6)
    world.imagination = heard = Overheard(world.imagination)
    world.reset(seed=[5, 5 + 2**22, 5 + 2**30, 2**31 - 1, np.int64(6), np.uint8(6)])
    for _ in range(60):  # of two blocks of noise
        world.step(torch.zeros(6, 3))
    normal = torch.stack([given[4] for given in heard.given], 1).flatten(1)  # (6, 60 Z)
    alike = normal.corrcoef().abs() > 0.5
    assert alike.sum() == 6 + 2 and alike[4, 5]  # each with itself, and the two of one seed
    for seed in (5 + 2**44, -1, 2.0):
        with pytest.raises(ConfigError, match=r"the seed is .* from 0 to 2,147,483,647"):
            world.reset(seed=[seed] * 6)


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
    with torch.no_grad():
        mdnrnn.head.bias[-1] = -20.0  # no end in sight
    z, h = torch.randn(2, 64), torch.stack([torch.zeros(512), torch.full((512,), 0.1)])
    starts = DreamStarts(z, torch.full_like(z, -torch.inf), h, h)
    world = DreamWorld(mdnrnn, starts, lanes=12)
    world.reset(seed=range(12))
    before, action = world.features().clone(), torch.zeros(12, 1)
    amid = before[:, -512:].any(1)
    assert 0 < amid.sum() < 12
    z, c, h = before.split([64, 512, 512], 1)
    after, *_ = world.step(action)
    restart = (~amid).float()[:, None]
    with torch.inference_mode():
        expected, _ = mdnrnn.lstm(torch.cat([z, action, restart], 1)[:, None], (h[None], c[None]))
    torch.testing.assert_close(after[:, -512:], expected[:, 0], rtol=1e-4, atol=1e-5)
    # After a step no dream is at its beginning any more.
    z, c, h = after.clone().split([64, 512, 512], 1)
    later, *_ = world.step(action)
    with torch.inference_mode():
        unfresh = torch.cat([z, action, torch.zeros(12, 1)], 1)[:, None]
        expected, _ = mdnrnn.lstm(unfresh, (h[None], c[None]))
    torch.testing.assert_close(later[:, -512:], expected[:, 0], rtol=1e-4, atol=1e-5)


def test_an_end_by_chance_comes_as_often_as_m_says(mdnrnn, starts):
    """M was trained with ends that weighed ten times: its odds are ten times too high, and put right."""
    with torch.no_grad():
        mdnrnn.head.weight[-1].zero_()
        mdnrnn.head.bias[-1] = math.log(10 * 0.2 / 0.8)
    mdnrnn.done_positive_weight = 10.0
    lanes = 4000
    world = DreamWorld(mdnrnn, starts, lanes, end="sampled")
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
    over = both.features()[0].clone()
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


def test_the_end_is_cut_off_at_one_half_whatever_ends_weighed(mdnrnn, starts):
    mdnrnn.done_positive_weight = 10.0
    for logit, ends in ((0.01, True), (-0.01, False)):
        with torch.no_grad():
            mdnrnn.head.weight[-1].zero_()
            mdnrnn.head.bias[-1] = logit
        world = DreamWorld(mdnrnn, starts, lanes=2)
        world.reset(seed=[1, 2])
        assert world.step(torch.zeros(2, 3))[2].tolist() == [ends, ends]


def test_where_m_foretells_no_reward_to_survive_is_what_counts():
    task = find_task("takecover")
    mdnrnn = MDNRNN(task).eval()
    with torch.no_grad():
        mdnrnn.head.bias[-1] = -20.0
    starts = DreamStarts(torch.randn(2, 64), torch.zeros(2, 64))
    world = DreamWorld(mdnrnn, starts, lanes=3, horizon=4)
    world.reset(seed=[1, 2, 3])
    total = sum(world.step(torch.zeros(3, 1))[1] for _ in range(6))
    assert total.tolist() == [4.0, 4.0, 4.0]


def test_a_dream_is_painted_by_v_and_has_no_pictures_without_it(vae, mdnrnn, starts):
    world = DreamWorld(mdnrnn, starts, lanes=2, painter=vae)
    world.reset(seed=[1, 2])
    with torch.inference_mode():
        expected = to_frames(vae.decode(world.z)).numpy()
    np.testing.assert_array_equal(world.pictures(), expected)
    with pytest.raises(ValueError, match="only if it was made with painter=vae"):
        DreamWorld(mdnrnn, starts, lanes=2).pictures()


def test_dreams_begin_at_one_of_the_moments_with_its_memory(mdnrnn):
    mu, h, c = torch.randn(3, 32), torch.randn(3, 256), torch.randn(3, 256)
    starts = DreamStarts(mu, torch.full_like(mu, -torch.inf), h, c)  # z without any doubt
    world = DreamWorld(mdnrnn, starts, lanes=60)
    features, _ = world.reset(seed=range(60))
    rows = (features[:, None, :32] - mu).abs().sum(-1).argmin(1)
    assert torch.equal(features, torch.cat([mu, h], 1)[rows])
    counts = torch.bincount(rows, minlength=3)
    assert counts.min() >= 8  # 20 expected of each, deviation 3.7


def test_the_horizon_is_the_tasks_own_unless_another_is_given(mdnrnn, starts):
    assert DreamWorld(mdnrnn, starts, 1).horizon == 1000
    assert DreamWorld(mdnrnn, starts, 1, 7).horizon == 7
