"""C against the paper's counts and one controller at a time."""

import pytest
import torch

from wmlib.config import ControllerConfig
from wmlib.controller import Controller
from wmlib.task import Task


def test_the_papers_sizes(task):
    assert Controller(task).size == 867
    doom = Task("doom", actions={"step": (-1, 1)}, z_size=64, hidden_size=512, sees_cell=True)
    assert Controller(doom, ControllerConfig(bias=False)).size == 1_088
    assert Controller(task, ControllerConfig(inputs="z", hidden=40)).size == 33 * 40 + 41 * 3


@pytest.mark.parametrize("hidden", [0, 4])
@pytest.mark.parametrize("bias", [True, False])
def test_a_population_acts_as_each_would_alone(task, hidden, bias):
    controller = Controller(task, ControllerConfig(bias=bias, hidden=hidden))
    params, features = torch.randn(3, controller.size) * 0.1, torch.randn(3, 2, 288)
    actions = controller.act(params, features)
    for p in range(3):
        x, rest = features[p], params[p]
        for number, (inputs, outputs) in enumerate(controller.layers):
            layer = torch.nn.Linear(inputs, outputs, bias=bias)
            layer.weight.data = rest[: inputs * outputs].view(inputs, outputs).T
            rest = rest[inputs * outputs :]
            if bias:
                layer.bias.data, rest = rest[:outputs], rest[outputs:]
            x = layer(x.tanh() if number else x)
        torch.testing.assert_close(actions[p], task.to_action(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "size", "unseen"), [("z", 32, slice(32, None)), ("h", 256, slice(32))]
)
def test_what_it_does_not_see_is_ignored(task, inputs, size, unseen):
    controller = Controller(task, ControllerConfig(inputs=inputs))
    assert controller.size == 3 * size + 3
    params, features = torch.randn(1, controller.size), torch.randn(1, 1, 288)
    other = features.clone()
    other[..., unseen] = 0
    assert torch.equal(controller.act(params, features), controller.act(params, other))
    assert not torch.equal(
        controller.act(params, features), controller.act(params, torch.zeros(1, 1, 288))
    )
