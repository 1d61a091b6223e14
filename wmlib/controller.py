"""C: a linear map from what V and M know to an action (paper, section 2.3 and appendix A.3).

A controller is a flat row of numbers, so that CMA-ES can treat it as a point, and so that one call
serves a whole population.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from wmlib.config import ControllerConfig
from wmlib.task import Task


@dataclass(frozen=True)
class Controller:
    """The shape of C for one task; the numbers themselves are `params`."""

    task: Task
    config: ControllerConfig = field(default_factory=ControllerConfig)

    @property
    def sees(self) -> slice:
        """Which of the features C looks at."""
        z, every = self.task.z_size, self.task.feature_size
        return {"zh": slice(0, every), "z": slice(0, z), "h": slice(z, every)}[self.config.inputs]

    @property
    def feature_size(self) -> int:
        """How many they are."""
        return self.sees.stop - self.sees.start

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each layer."""
        sizes = [self.feature_size, self.config.hidden, self.task.action_size]
        sizes = [size for size in sizes if size]
        return list(pairwise(sizes))

    @property
    def size(self) -> int:
        """Numbers in a controller: 867 for the paper's CarRacing."""
        return sum((inputs + self.config.bias) * outputs for inputs, outputs in self.layers)

    def act(self, params: Tensor, features: Tensor) -> Tensor:
        """Actions of many controllers at once.

        Args:
            params: (P, D), each row all layers' weights and biases, one layer after the other.
            features: (P, R, F): R situations for each controller.

        Returns:
            (P, R, A), in the game's units.
        """
        x = features[..., self.sees]
        start = 0
        for number, (inputs, outputs) in enumerate(self.layers):
            if number:
                x = x.tanh()
            end = start + inputs * outputs
            weight = params[:, start:end].view(-1, inputs, outputs)  # (P, F, A)
            x = torch.bmm(x, weight)  # (P, R, A)
            if self.config.bias:
                x = x + params[:, None, end : end + outputs]
                end += outputs
            start = end
        return self.task.to_action(x)
