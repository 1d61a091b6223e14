"""The quick routes against PyTorch's own layers."""

import pytest
import torch
from torch import nn

from wmlib.runtime.convolution import Conv2d, ConvTranspose2d

LAYERS = [
    (Conv2d, nn.Conv2d, 3, 32, 4, 64),
    (Conv2d, nn.Conv2d, 64, 128, 4, 14),  # wide
    (Conv2d, nn.Conv2d, 16, 256, 3, 9),
    (ConvTranspose2d, nn.ConvTranspose2d, 1024, 8, 5, 1),  # a single pixel
    (ConvTranspose2d, nn.ConvTranspose2d, 128, 64, 5, 5),  # wide, and an odd kernel
    (ConvTranspose2d, nn.ConvTranspose2d, 64, 32, 6, 13),
    (ConvTranspose2d, nn.ConvTranspose2d, 32, 3, 6, 30),
    (ConvTranspose2d, nn.ConvTranspose2d, 8, 3, 4, 7),
]


@pytest.fixture(params=[torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
def layout(request):
    return request.param


def twins(ours, theirs, channels_in, channels_out, kernel, layout):
    theirs = theirs(channels_in, channels_out, kernel, stride=2)
    ours = ours(channels_in, channels_out, kernel)
    ours.load_state_dict(theirs.state_dict())
    return ours.to(memory_format=layout), theirs


def images(channels, size, layout):
    return torch.randn(3, channels, size, size).to(memory_format=layout)


@pytest.mark.parametrize("layer", LAYERS)
def test_values_and_gradients_are_those_of_pytorchs_layer(layer, layout):
    size = layer[-1]
    ours, theirs = twins(*layer[:-1], layout)
    x = images(layer[2], size, layout)
    mine, reference = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, expected = ours(mine), theirs(reference)
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)

    direction = torch.randn_like(expected)
    (y * direction).sum().backward()
    (expected * direction).sum().backward()
    torch.testing.assert_close(mine.grad, reference.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("layer", LAYERS)
def test_autocast_computes_in_its_own_type_and_gradients_come_back_in_float32(layer):
    size = layer[-1]
    ours, theirs = twins(*layer[:-1], torch.channels_last)
    x = images(layer[2], size, torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        y = ours(x)
        assert y.dtype == theirs(x).dtype == torch.bfloat16
    # PyTorch's bfloat16 gradients are themselves off by a hundredth on some processors.
    expected = theirs(x)
    torch.testing.assert_close(y.float(), expected, rtol=0.05, atol=0.05)
    y.float().square().sum().backward()
    expected.square().sum().backward()
    for mine, reference in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.grad.dtype == torch.float32
        error = (mine.grad - reference.grad).norm() / reference.grad.norm()
        assert error < 0.01  # bfloat16 has 8 binary digits


@pytest.mark.parametrize("layer", LAYERS)
def test_without_gradients_the_values_are_the_same(layer):
    ours, theirs = twins(*layer[:-1], torch.channels_last)
    x = images(layer[2], layer[-1], torch.channels_last)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)
