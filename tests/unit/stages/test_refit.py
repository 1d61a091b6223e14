"""C with new eyes: the same driver, in other numbers."""

import pytest
import torch

from wmlib.config import ControllerConfig
from wmlib.controller import Controller
from wmlib.stages.refit import carried_over


@pytest.mark.parametrize("bias", [True, False])
def test_where_the_new_numbers_hold_the_old_ones_c_says_the_same(task, bias):
    controller = Controller(task, ControllerConfig(bias=bias))
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(4000, 288, generator=generator)
    turn = torch.linalg.qr(torch.randn(288, 288, generator=generator))[0]
    sees = seen @ turn + (0.7 if bias else 0.0)  # other units, other places: nothing is lost
    params = torch.randn(controller.size, generator=generator) / 17
    carried, share = carried_over(controller, params, seen, sees)
    assert share > 0.99
    fresh = torch.randn(500, 288, generator=generator)
    old = controller.act(params[None], fresh[None])
    new = controller.act(carried[None], (fresh @ turn + (0.7 if bias else 0.0))[None])
    assert float((old - new).abs().mean()) < 0.02


def test_what_the_new_numbers_do_not_hold_is_told(task):
    controller = Controller(task, ControllerConfig())
    seen, sees = torch.randn(2, 3000, 288)
    _, share = carried_over(controller, torch.randn(controller.size), seen, sees)
    assert share < 0.3


def test_a_c_that_sees_h_alone_is_carried_over_from_h_alone(task):
    controller = Controller(task, ControllerConfig(inputs="h"))
    params, seen = torch.randn(controller.size), torch.randn(4000, 288)
    sees = torch.cat([torch.randn(4000, 32), seen[:, 32:]], 1)
    carried, share = carried_over(controller, params, seen, sees)
    assert share > 0.99
    torch.testing.assert_close(carried, params, rtol=0.05, atol=0.05)


def test_a_hidden_layer_is_refused(task):
    controller = Controller(task, ControllerConfig(hidden=4))
    with pytest.raises(ValueError, match="hidden layer"):
        carried_over(controller, torch.zeros(controller.size), *torch.zeros(2, 10, 288))
