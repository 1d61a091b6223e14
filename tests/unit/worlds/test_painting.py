"""Another form of V's decoder paints what V paints."""

import numpy as np
import pytest
import torch

from wmlib.agent import load_agent
from wmlib.runtime.files import REFERENCE
from wmlib.vae import VAE, to_frames
from wmlib.worlds import DreamWorld
from wmlib.worlds.painting import Painter, folded_decoder


@torch.inference_mode()
def test_the_folded_decoder_paints_what_v_paints(vae):
    parts = folded_decoder(vae)
    z = torch.randn(7, vae.z_size)
    first = z @ parts["decoder.first.weight"].T + parts["decoder.first.bias"]
    first = first.view(-1, 5, 5, 128).permute(0, 3, 1, 2)  # place by place, to channel by channel
    torch.testing.assert_close(vae.decoder[1:](first), vae.decode(z), atol=1e-5, rtol=0)
    assert sum(part.numel() for part in parts.values()) < 0.15 * sum(
        part.numel() for name, part in vae.state_dict().items() if "dec" in name or "from" in name
    )


@pytest.mark.parametrize("z_size", [32, 64])
@torch.inference_mode()
def test_a_painter_paints_what_v_paints(z_size):
    vae = VAE(z_size).eval()
    z = 2 * torch.randn(5, z_size)
    torch.testing.assert_close(Painter(vae).decode(z), vae.decode(z), atol=2e-6, rtol=0)


@torch.inference_mode()
def test_of_the_shipped_v_not_a_pixel_is_more_than_a_shade_off():
    agent = load_agent(REFERENCE / "carracing")
    z = torch.randn(16, agent.vae.z_size)
    images = Painter(agent.vae).decode(z), agent.vae.decode(z)
    torch.testing.assert_close(*images, atol=2e-6, rtol=0)
    ours, theirs = (to_frames(image).numpy().astype(int) for image in images)
    assert np.abs(ours - theirs).max() <= 1
    assert (ours != theirs).mean() < 1e-3  # where a shade stands on the edge between two numbers


def test_a_dream_is_painted_as_v_paints_its_z(mdnrnn, starts, vae):
    world = DreamWorld(mdnrnn, starts, 3, painter=vae)
    world.reset(seed=[1, 2, 3])
    with torch.inference_mode():
        expected = to_frames(vae.decode(world.z)).numpy().astype(int)
    assert np.abs(world.pictures().astype(int) - expected).max() <= 1
