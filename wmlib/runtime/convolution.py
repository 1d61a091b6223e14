"""V's convolutions of stride 2, which a CPU computes by the quickest of several equal routes.

PyTorch's own routes leave the CPU's matrix units idle for much of V's training. The mathematics, the
parameters and their names are those of `torch.nn`; only the way to the same numbers differs:

- Forward, a transposed convolution is an ordinary one that yields four small images, one for each parity
  of row and column, which then interleave (sub-pixel convolution: Shi et al. 2016, arXiv:1609.05158).
- Backward, its gradient for the input is an ordinary convolution.
- The gradient for a wide layer's weight is one matrix product of the small image with the patches of the
  large one.
- A transposed convolution of a single pixel is a plain matrix product.

Other devices keep PyTorch's routes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

WIDE = 128
"""From so many channels of the small image on, a matrix product gives the weight's gradient quicker."""


class Conv2d(nn.Conv2d):
    """Convolution of stride 2. Images (B, C, H, W) to (B, D, (H - k) // 2 + 1, (W - k) // 2 + 1)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int):
        super().__init__(in_channels, out_channels, kernel_size, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not torch.is_grad_enabled():
            return super().forward(x)
        return _Convolution.apply(*_of_one_type(x, self.weight, self.bias))


class ConvTranspose2d(nn.ConvTranspose2d):
    """Transposed convolution of stride 2. Images (B, C, h, w) to (B, D, 2h + k - 2, 2w + k - 2)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int):
        super().__init__(in_channels, out_channels, kernel_size, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        x, weight, bias = _of_one_type(x, self.weight, self.bias)
        if x.shape[2:] == (1, 1):
            _, channels, height, width = weight.shape
            pixels = x.flatten(1) @ weight.permute(0, 2, 3, 1).flatten(1)  # (B, k * k * D)
            return (pixels.view(-1, height, width, channels) + bias).permute(0, 3, 1, 2)
        return _TransposedConvolution.apply(x, weight, bias)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, stride=2)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x, _, _ = _pytorch_gradients(gradient, x, weight, False, [True, False, False])
        if weight.shape[0] >= WIDE:
            of_weight = _weight_gradient(small=gradient, large=x, weight=weight)
        else:
            _, of_weight, _ = _pytorch_gradients(gradient, x, weight, False, [False, True, False])
        return of_x, of_weight, gradient.sum((0, 2, 3))


class _TransposedConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _sub_pixel(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        of_x = F.conv2d(gradient, weight, stride=2)
        if weight.shape[0] >= WIDE:
            of_weight = _weight_gradient(small=x, large=gradient, weight=weight)
        else:
            _, of_weight, _ = _pytorch_gradients(gradient, x, weight, True, [False, True, False])
        return of_x, of_weight, gradient.sum((0, 2, 3))


def _of_one_type(*tensors: Tensor) -> list[Tensor]:
    """What autocast does for PyTorch's own layers: all in the type in which products are computed."""
    kind = tensors[0].device.type
    autocast = torch.is_autocast_enabled(kind)
    dtype = torch.get_autocast_dtype(kind) if autocast else tensors[0].dtype
    return [tensor.to(dtype) for tensor in tensors]


def _sub_pixel(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Pixel (2i + a, 2j + b) of the large image is made of the taps (2p + a, 2q + b) of the kernel."""
    small, large, kernel, _ = weight.shape
    taps = (kernel + 1) // 2  # in each direction, for each parity
    odd = kernel % 2
    weight = F.pad(weight, (0, odd, 0, odd))
    weight = weight.view(small, large, taps, 2, taps, 2).flip(2, 4)
    weight = weight.permute(3, 5, 1, 0, 2, 4).reshape(4 * large, small, taps, taps)
    weight = weight.contiguous(memory_format=torch.channels_last)
    y = F.conv2d(x, weight, bias.repeat(4), padding=taps - 1)  # (B, 4 D, h, w), channel (a, b, d)
    batch, _, height, width = y.shape
    y = y.permute(0, 2, 3, 1).reshape(batch, height, width, 2, 2 * large).transpose(2, 3)
    y = y.reshape(batch, 2 * height, 2 * width, large)
    if odd:  # the last row and column met the padding alone
        y = y[:, :-1, :-1].contiguous()
    return y.permute(0, 3, 1, 2)


def _weight_gradient(small: Tensor, large: Tensor, weight: Tensor) -> Tensor:
    """Each pixel of the small image times its patch of the large one, summed."""
    rows, channels, kernel, _ = weight.shape
    batch, _, height, width = small.shape
    large = large.permute(0, 2, 3, 1).contiguous()
    per_image, per_row, per_pixel, _ = large.stride()
    patches = large.as_strided(
        (batch, height, width, kernel, kernel * channels),
        (per_image, 2 * per_row, 2 * per_pixel, per_row, 1),
    ).reshape(batch * height * width, -1)
    product = small.permute(0, 2, 3, 1).reshape(-1, rows).t() @ patches
    return product.view(rows, kernel, kernel, channels).permute(0, 3, 1, 2)


def _pytorch_gradients(gradient, x, weight, transposed: bool, wanted: list[bool]):
    """PyTorch's gradients for input, weight and bias. One at a time they are quicker than together."""
    return torch.ops.aten.convolution_backward(
        gradient, x, weight, None, [2, 2], [0, 0], [1, 1], transposed, [0, 0], 1, wanted
    )
