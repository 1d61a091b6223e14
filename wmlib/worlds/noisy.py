"""An agent that explores: its controller, with noise on the actions."""

import numpy as np
import torch
from torch import Tensor

from wmlib.controller import Controller
from wmlib.mdnrnn import MDNRNN
from wmlib.vae import VAE
from wmlib.worlds.perception import Perception


class NoisyController:
    """A `Policy` that sees the game through V and M, with an explorer's noise on its actions.

    Args:
        params: C, (1, D) for all lanes, or (lanes, D).
        noise: 0 for the controller alone, 1 for the task's first explorer alone; between, a mixture.
            Where an action is a choice, or switches, there is nothing between two of them: noise is then
            the share of frames in which the explorer acts.
    """

    def __init__(
        self,
        vae: VAE,
        mdnrnn: MDNRNN,
        controller: Controller,
        params: Tensor,
        lanes: int,
        noise: float = 0.0,
    ):
        task = mdnrnn.task
        self.perception = Perception(vae, mdnrnn, lanes)
        self.controller, self.params, self.noise = controller, params, noise
        self.explorer = next(iter(task.explorers.values()))(task, lanes)
        self.mixes = task.kind == "free"
        self.rngs = [np.random.default_rng(0)] * lanes

    def restart(self, lanes: np.ndarray, seeds: list[int], frames: np.ndarray) -> None:
        self.explorer.restart(lanes, seeds, frames)
        self.perception.restart(lanes, frames)
        for lane in np.flatnonzero(lanes):
            self.rngs[lane] = np.random.default_rng([seeds[lane], 11])

    def act(self, active: np.ndarray, frames: np.ndarray) -> np.ndarray:
        self.perception.see(active, frames)
        features = self.perception.features()
        params = self.params.expand(len(features), -1)  # a product a lane, as in `play`
        chosen = self.controller.act(params, features[:, None])[:, 0].numpy()
        explored = self.explorer.act(active, frames)
        if self.mixes:
            actions = ((1 - self.noise) * chosen + self.noise * explored).astype(np.float32)
        else:
            actions = chosen.astype(np.float32)
            for lane in np.flatnonzero(active):
                if self.rngs[lane].random() < self.noise:
                    actions[lane] = explored[lane]
        self.perception.advance(torch.from_numpy(actions))
        return actions
