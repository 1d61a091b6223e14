"""What V paints from z, quick: for dreams that are looked at, and sliders that are dragged."""

import torch
import torch.nn.functional as F
from torch import Tensor

from wmlib.vae import VAE


class Painter:
    """Another form of V's decoder, equal to it: its first two layers are one, and made once.

    Training wants the layers as they are, and `wmlib.runtime.convolution` arranges their weights anew in
    each call. For a few pictures that takes longer than the pictures.

    Args:
        vae: V as it is now. Once it has learned on, it needs another painter.
    """

    def __init__(self, vae: VAE):
        parts = folded_decoder(vae)
        self.first = parts.pop("decoder.first.weight"), parts.pop("decoder.first.bias")
        tensors = list(parts.values())
        self.rest = list(zip(tensors[::2], tensors[1::2], strict=True))  # weight and bias of each layer

    def decode(self, z: Tensor) -> Tensor:
        """z (B, Z) to images (B, 3, 64, 64) in [0, 1]."""
        x = F.linear(z, *self.first).view(-1, 5, 5, 128).permute(0, 3, 1, 2)
        for weight, bias in self.rest:
            x = F.conv_transpose2d(x.relu(), weight, bias, stride=2)
        return x.sigmoid()


def folded_decoder(vae: VAE) -> dict[str, Tensor]:
    """V's decoder, with its first two layers as one: there is no bend between them.

    z (Z,) goes through from_z and the first transposed convolution to 5 x 5 places of 128 numbers; that
    is one linear map: first.weight (3200, Z), first.bias (3200,), place by place. It has a tenth of the
    numbers.
    """
    layer, state = vae.decoder[0], vae.state_dict()
    kernel = layer.weight.double()  # (1024, 128, 5, 5)
    weight = torch.einsum("fdij,fz->ijdz", kernel, vae.from_z.weight.double()).flatten(0, 2)
    bias = torch.einsum("fdij,f->ijd", kernel, vae.from_z.bias.double()) + layer.bias.double()
    rest = {
        k: v for k, v in state.items() if k.startswith("decoder.") and not k.startswith("decoder.0.")
    }
    folded = {"decoder.first.weight": weight.float(), "decoder.first.bias": bias.flatten().float()}
    return {key: value.detach() for key, value in (folded | rest).items()}
