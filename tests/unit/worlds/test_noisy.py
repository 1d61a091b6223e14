"""An agent that explores: C's action and the explorer's, mixed as the noise says."""

import numpy as np
import pytest
import torch

from wmlib.controller import Controller
from wmlib.data.explorers import BrownianPolicy, FreshPolicy
from wmlib.mdnrnn import MDNRNN
from wmlib.own import choose, switch
from wmlib.task import Task
from wmlib.vae import VAE
from wmlib.worlds.noisy import NoisyController
from wmlib.worlds.real import RealWorld


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
def test_a_noisy_controller_mixes_c_and_the_explorer(vae, mdnrnn, controller, task, noise):
    lanes, params = 3, torch.randn(controller.size) * 0.1
    policy = NoisyController(vae, mdnrnn, controller, params[None], lanes, noise)
    seeds, every = list(range(lanes)), np.ones(lanes, bool)
    with RealWorld(vae, mdnrnn, lanes, 1) as world:
        features, _ = world.reset(seed=seeds)
        policy.restart(every, seeds, world.frames)
        explorer = BrownianPolicy(task, lanes)
        explorer.restart(every, seeds, world.frames)
        for _ in range(12):
            chosen = controller.act(params[None].expand(lanes, -1), features[:, None])[:, 0].numpy()
            explored = explorer.act(every, world.frames)
            actions = policy.act(every, world.frames)
            expected = (1 - noise) * chosen + noise * explored
            np.testing.assert_allclose(actions, expected, atol=1e-5)
            features, *_ = world.step(torch.from_numpy(actions))


def test_each_lane_may_have_a_controller_of_its_own(vae, mdnrnn, controller):
    params = torch.zeros(2, controller.size)
    params[:, -3] = torch.tensor([0.4, -0.7])  # the bias of what steers
    policy = NoisyController(vae, mdnrnn, controller, params, lanes=2)
    every, frames = np.ones(2, bool), np.zeros((2, 64, 64, 3), np.uint8)
    policy.restart(every, [1, 2], frames)
    expected = torch.stack([params[:, -3].tanh(), torch.full((2,), 0.5), torch.zeros(2)], 1)
    np.testing.assert_allclose(policy.act(every, frames), expected, atol=1e-6)


def test_its_memory_begins_anew_with_the_game_and_its_noise_with_the_seed(vae, mdnrnn, controller):
    policy = NoisyController(vae, mdnrnn, controller, torch.randn(1, controller.size), 1, noise=0.5)
    every = np.ones(1, bool)
    frames = np.random.default_rng(0).integers(0, 256, (4, 1, 64, 64, 3), np.uint8)

    def game(seed):
        policy.restart(every, [seed], frames[0])
        return np.array([policy.act(every, frame) for frame in frames])

    first, other, again = game(5), game(6), game(5)
    np.testing.assert_array_equal(again, first)
    assert (other[0] != first[0]).any()


@pytest.mark.parametrize("kind", ["choice", "switches"])
def test_between_two_choices_there_is_nothing_so_noise_is_a_share_of_frames(kind):
    actions = {name: (0.0, 1.0) for name in "abc"}
    to_action = {"choice": choose, "switches": switch}[kind]
    task = Task("mine", actions, 4, 6, kind=kind, to_action=to_action, explorers={"f": FreshPolicy})
    controller, lanes = Controller(task), 400
    params = torch.zeros(1, controller.size)
    params[0, -3:] = torch.tensor([-1.0, 2.0, -1.0])  # the bias: always the second
    policy = NoisyController(VAE(4), MDNRNN(task), controller, params, lanes, noise=0.3)
    every, frames = np.ones(lanes, bool), np.zeros((lanes, 64, 64, 3), np.uint8)
    policy.restart(every, list(range(lanes)), frames)
    came = policy.act(every, frames)
    assert set(np.unique(came)) == {0, 1}
    own = (came == [0, 1, 0]).all(1).mean()  # an explorer's action may be the same
    assert own == pytest.approx(0.7 + 0.3 * (1 / 3 if kind == "choice" else 1 / 8), abs=0.06)
