"""An agent's eyes and memory: z of the last frame, h and c of all before, against V and M themselves."""

import numpy as np
import pytest
import torch

from wmlib.mdnrnn import MDNRNN
from wmlib.task import find_task
from wmlib.vae import to_images
from wmlib.worlds.perception import Perception


def frames_of(seed, lanes):
    return np.random.default_rng(seed).integers(0, 256, (lanes, 64, 64, 3), np.uint8)


@pytest.fixture(params=["carracing", "takecover"])
def task(request):
    return find_task(request.param)


@pytest.fixture
def mdnrnn(task):
    return MDNRNN(task).eval()


@pytest.mark.parametrize("chunk", [1, 2, 32])
def test_z_and_memory_are_vs_and_ms_own(task, vae, mdnrnn, chunk):
    seen = Perception(vae, mdnrnn, 3, chunk)
    every, actions = np.ones(3, bool), torch.rand(4, 3, task.action_size)
    frames = [frames_of(t, 3) for t in range(5)]
    seen.restart(every, frames[0])
    assert not seen.memory[0].any() and not seen.memory[1].any()
    for t in range(4):
        seen.advance(actions[t])
        seen.see(every, frames[t + 1])
    with torch.inference_mode():
        encoded = [vae.encode(to_images(torch.from_numpy(frame))) for frame in frames]
        z = torch.stack([mu for mu, _ in encoded], 1)  # (3, 5, Z)
        fresh = torch.zeros(3, 4)
        fresh[:, 0] = 1
        _, (h, c) = mdnrnn(z[:, :4], actions.transpose(0, 1), None, fresh)
    torch.testing.assert_close(seen.z, z[:, 4], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(seen.logvar, encoded[4][1], rtol=1e-3, atol=1e-4)
    for found, expected in zip(seen.memory, (h[0], c[0]), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    assert torch.equal(seen.features(), task.features(seen.z, *seen.memory))
    assert seen.features().shape == (3, task.feature_size)


def test_only_the_chosen_lanes_look_and_forget(vae, mdnrnn, task):
    seen = Perception(vae, mdnrnn, 2)
    first, every = np.array([True, False]), np.ones(2, bool)
    seen.restart(every, frames_of(0, 2))
    seen.advance(torch.rand(2, task.action_size))
    z, (h, c) = seen.z.clone(), [part.clone() for part in seen.memory]
    seen.see(first, frames_of(1, 2))
    assert (seen.z[0] != z[0]).any() and torch.equal(seen.z[1], z[1])
    seen.restart(first, frames_of(2, 2))
    assert not seen.memory[0][0].any() and not seen.memory[1][0].any()
    assert torch.equal(seen.memory[0][1], h[1]) and torch.equal(seen.memory[1][1], c[1])
    # The one is told that its game has just begun, where M listens; the other is not.
    z, action = seen.z.clone(), torch.rand(2, task.action_size)
    h, c = [part.clone() for part in seen.memory]
    seen.advance(action)
    with torch.inference_mode():
        fed = mdnrnn.inputs(z, action, torch.tensor([True, False]))[:, None]
        expected, _ = mdnrnn.lstm(fed, (h[None], c[None]))
    torch.testing.assert_close(seen.memory[0], expected[:, 0], rtol=1e-3, atol=1e-5)


def test_what_a_lane_sees_does_not_depend_on_how_many_there_are(vae, mdnrnn, task):
    def seen_by(lanes):
        seen = Perception(vae, mdnrnn, lanes)
        every = np.ones(lanes, bool)
        seen.restart(every, np.repeat(frames_of(3, 1), lanes, 0))
        seen.advance(torch.full((lanes, task.action_size), 0.5))
        seen.see(every, np.repeat(frames_of(4, 1), lanes, 0))
        return seen.features()

    one = seen_by(1)
    for lanes in (5, 40):
        assert torch.equal(seen_by(lanes), one.expand(lanes, -1))  # to the bit
