"""Sequences: windows that stay within their episodes, blends, and what comes back from a file."""

import numpy as np
import pytest
import torch

from wmlib.data.sequences import Blend, Sequences, join
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.job import Job


def sequences(lengths):
    frames, steps = sum(lengths) + len(lengths), sum(lengths)
    # mu holds (episode, time); actions and rewards hold the same, so that alignment can be read off.
    mu = torch.tensor([(e, t) for e, n in enumerate(lengths) for t in range(n + 1)]).float()
    actions = torch.tensor([(e, t) for e, n in enumerate(lengths) for t in range(n)]).float()
    dones = torch.zeros(steps)
    dones[lengths[0] - 1] = 1
    return Sequences(mu, torch.zeros(frames, 2), actions, actions[:, 1] * 10, dones, list(lengths))


def test_windows_are_aligned_and_never_cross_episodes():
    data = sequences([30, 7, 50])
    frames, steps, mask = data.batch(np.random.default_rng(0), 400, 10)
    assert frames.shape == (400, 11) and steps.shape == mask.shape == (400, 10)
    z, action = data.mu[frames], data.actions[steps]
    inside = mask.bool()
    assert torch.equal(z[:, :-1][inside], action[inside])  # frame t beside action t
    assert torch.equal(z[:, 1:, 1][inside], action[inside][:, 1] + 1)  # target: the next frame
    assert torch.equal(z[:, 1:, 0][inside], action[inside][:, 0])  # of the same episode
    assert torch.equal(data.rewards[steps][inside], action[inside][:, 1] * 10)
    assert mask[:, 0].all() and not mask.all()


def test_the_last_step_is_met_about_as_often_as_others_however_short_the_game():
    lengths = [30, 7, 10, 11, 50]
    data = sequences(lengths)
    _, steps, mask = data.batch(np.random.default_rng(1), 50_000, 10)
    counts = torch.bincount(steps[mask.bool()], minlength=sum(lengths)).float()
    inner = counts[10:20].mean()  # of the first game
    ends = counts[torch.tensor(lengths).cumsum(0) - 1]
    assert (ends > 0.4 * inner).all() and (ends < 0.6 * inner).all()


def test_so_many_windows_hold_an_end_as_are_asked_for():
    lengths = [300, 40, 300, 300]
    data = sequences(lengths)  # the first game ended by itself, the others were cut
    data.dones[lengths[0] + lengths[1] - 1] = 1  # and the second
    rng, plain = np.random.default_rng(0), np.random.default_rng(0)
    frames, steps, mask = data.batch(rng, 1000, 60, ends=0.5)
    met = (data.dones[steps] * mask).sum(1)
    assert (met[:500] == 1).all() and met[500:].mean() < 0.2
    of_games = torch.bincount(data.mu[frames[:500, 0], 0].long())
    assert len(of_games) == 2 and (of_games > 200).all()
    at = (data.dones[steps] * mask)[:500].argmax(1)
    assert at[of_games.argmin() :].max() == 59 and len(set(at.tolist())) > 20  # early and late in them
    none = data.batch(np.random.default_rng(0), 100, 60)
    for mine, theirs in zip(data.batch(plain, 100, 60, ends=0.0), none, strict=True):
        assert torch.equal(mine, theirs)


def test_where_no_game_ended_there_is_no_end_to_draw():
    data = data_of([20, 30])
    one, other = (data.batch(np.random.default_rng(0), 9, 5, ends) for ends in (0.0, 1.0))
    assert all(map(torch.equal, one, other))


def data_of(lengths, fill=0.0):
    frames, steps = sum(lengths) + len(lengths), sum(lengths)
    torch.manual_seed(int(fill))
    return Sequences(
        torch.randn(frames, 32) + fill, torch.randn(frames, 32), torch.rand(steps, 3) + fill,
        torch.rand(steps), torch.zeros(steps), list(lengths),
    )  # fmt: skip


def test_a_blend_draws_its_share_from_each():
    blend = Blend(data_of([20, 30]), data_of([25], fill=100.0), share=0.3)
    frames, steps, mask = blend.batch(np.random.default_rng(0), 10, 5)
    of_second = blend.mu[frames].mean((1, 2)) > 50
    assert of_second.tolist() == [False] * 7 + [True] * 3
    assert torch.equal(blend.actions[steps].mean((1, 2)) > 50, of_second)
    assert mask.shape == (10, 5)


def test_ends_are_drawn_from_the_second_alone():
    first, second = sequences([50]), sequences([300, 300])
    blend = Blend(first, second, share=0.5, ends=1.0)
    frames, steps, mask = blend.batch(np.random.default_rng(0), 10, 20)
    assert ((blend.dones[steps] * mask).sum(1)[5:] == 1).all()
    assert (frames[5:] >= len(first.mu)).all()


def test_joined_sequences_keep_their_episodes():
    a, b = data_of([4, 6]), data_of([5], fill=3.0)
    joined = join([a, b])
    assert joined.lengths == [4, 6, 5]
    assert torch.equal(joined.mu[12:], b.mu) and torch.equal(joined.rewards[:10], a.rewards)


def test_some_episodes_are_whole_ones():
    data = data_of([4, 6, 5, 3])
    some = data.some(np.random.default_rng(0), 2)
    assert len(some.lengths) == 2 and some.lengths != data.lengths[:2]
    steps, frames = np.cumsum([0, *data.lengths]), np.cumsum([0, *(n + 1 for n in data.lengths)])
    picked = [data.lengths.index(n) for n in some.lengths]
    for kind, edges in (("mu", frames), ("logvar", frames), ("actions", steps), ("dones", steps)):
        whole = getattr(data, kind)
        expected = torch.cat([whole[edges[e] : edges[e + 1]] for e in picked])
        assert torch.equal(getattr(some, kind), expected), kind
    assert data.some(np.random.default_rng(0), 4) is data


def test_returns_are_the_sums_of_rewards_by_episode():
    data = sequences([3, 1, 2])  # rewards are ten times the time
    assert data.returns.tolist() == [30.0, 0.0, 10.0]


@pytest.fixture
def job(tmp_path):
    return Job("mdnrnn", path=tmp_path / "encoded.safetensors", digest="a")


def test_what_was_saved_comes_back_under_the_same_digest_alone(job, task):
    data = data_of([4, 6])
    assert Sequences.load(job, task, "") is None
    data.save(job)
    again = Sequences.load(job, task, "")
    assert again.lengths == [4, 6]
    for name in ("mu", "logvar", "actions", "rewards", "dones"):
        assert torch.equal(getattr(again, name), getattr(data, name)), name
    assert Sequences.load(Job("mdnrnn", path=job.path, digest="b"), task, "") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": torch.tensor([4, 7])}, "its lengths do not fit together"),
        ({"lengths": torch.tensor([4, 7, -1])}, "its lengths do not fit together"),
        ({"lengths": torch.tensor([4.0, 6.0])}, "lengths is .* expected .* integers"),
        ({"mu": torch.zeros(12, 31)}, "mu is .* expected .any, 32. floating point"),
        ({"dones": torch.zeros(9)}, "its lengths do not fit together"),
        ({"more": torch.zeros(9)}, "more does not belong here"),
    ],
)
def test_a_file_that_holds_something_else_is_named(job, task, change, message):
    data = data_of([4, 6])
    job.save(vars(data) | {"lengths": torch.tensor(data.lengths)} | change)
    with pytest.raises(ArtifactError, match=rf"encoded\.safetensors: {message}.*; make it again"):
        Sequences.load(job, task, "make it again")
