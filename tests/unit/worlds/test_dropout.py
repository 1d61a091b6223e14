"""Dreams with holes: which ones, how many, and that all else is the dream."""

import numpy as np
import pytest
import torch

from wmlib.worlds.dream import DreamWorld
from wmlib.worlds.dropout import DropoutDream


def dreams(mdnrnn, starts, dropout):
    return DropoutDream(mdnrnn, starts, 6, 20, dropout=dropout)


def test_without_holes_it_is_the_dream(mdnrnn, starts):
    plain, holed = DreamWorld(mdnrnn, starts, 6, 20), dreams(mdnrnn, starts, 0.0)
    for world in (plain, holed):
        world.reset(seed=range(6))
    for _ in range(4):
        seen = [world.step(torch.zeros(6, 3))[0] for world in (plain, holed)]
        torch.testing.assert_close(*seen)


def test_what_is_missing_stays_missing_and_follows_from_the_seed(mdnrnn, starts):
    world = dreams(mdnrnn, starts, 0.25)
    world.reset(seed=[3, 4, 3, 5, 6, 7])
    seen = torch.stack([world.step(torch.zeros(6, 3))[0] for _ in range(5)])  # (5, 6, F)
    missing = (seen == 0).all(0)  # (6, F)
    assert torch.equal(missing, (seen == 0).any(0))
    assert torch.equal(missing[0], missing[2]) and not torch.equal(missing[0], missing[1])
    assert float(missing.float().mean()) == pytest.approx(0.25, abs=0.04)
    assert missing[:, :32].any() and missing[:, 32:].any()  # of z, and of h


def test_what_is_left_is_what_m_says_and_larger(mdnrnn, starts):
    """Of one step from memory zero, where only z is fed: undo the holes, and it is M's own h."""
    world = dreams(mdnrnn, starts, 0.5)
    first, _ = world.reset(seed=range(6))
    z, actions = first[:, :32], torch.zeros(6, 3)
    with torch.inference_mode():
        h, _ = mdnrnn.lstm(mdnrnn.inputs(z, actions)[:, None])
    after = world.step(actions)[0][:, 32:]
    kept = after != 0
    torch.testing.assert_close(after[kept], 2 * h[:, 0][kept], rtol=1e-4, atol=1e-5)
    assert 0.3 < float(kept.float().mean()) < 0.7


def test_a_lane_that_is_over_stays_as_it_is(mdnrnn, starts):
    world = dreams(mdnrnn, starts, 0.5)
    world.reset(seed=range(6))
    world.stop(np.arange(6) == 2)
    before = world.features().clone()
    after = world.step(torch.zeros(6, 3))[0]
    assert torch.equal(before[2], after[2]) and not torch.equal(before[1], after[1])
