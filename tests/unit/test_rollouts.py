"""Who plays while episodes are recorded."""

import numpy as np
import pytest
import torch

from wmlib.rollouts import BrownianPolicy, NoisyController
from wmlib.worlds import RealWorld


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
