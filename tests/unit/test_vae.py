"""V against the paper's counts, torch.distributions and hand-computed cases."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from wmlib.vae import (
    VAE,
    count_parameters,
    kl_per_latent,
    reconstruction_error,
    sample_z,
    to_frames,
    to_images,
    vae_loss,
)


@pytest.mark.parametrize(("z_size", "count"), [(32, 4_348_547), (64, 4_446_915)])
def test_the_papers_parameter_counts(z_size, count):
    assert count_parameters(VAE(z_size)) == count


def test_shapes_and_range(vae):
    x = torch.rand(2, 3, 64, 64)
    mu, logvar = vae.encode(x)
    assert mu.shape == logvar.shape == (2, 32)
    picture = vae.decode(mu)
    assert picture.shape == x.shape and picture.min() >= 0 and picture.max() <= 1


def test_kl_against_torch_distributions():
    mu, logvar = torch.randn(7, 4), torch.randn(7, 4)
    expected = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(kl_per_latent(mu, logvar), expected)


def test_the_loss_sums_over_pixels_and_respects_free_bits():
    x, reconstruction = torch.zeros(2, 3, 64, 64), torch.full((2, 3, 64, 64), 0.1)
    mu = torch.zeros(2, 4)
    mu[1] = 3.0  # KL of 4 elements: 4 * 3^2 / 2 = 18 nats; the first frame's KL is 0
    loss, error, kl = vae_loss(x, reconstruction, mu, torch.zeros(2, 4), free_bits=0.5)
    assert error.item() == pytest.approx(12288 * 0.01, rel=1e-4)
    assert kl.item() == pytest.approx(9.0)
    # Per frame max(KL, 4 * 0.5): (2 + 18) / 2 = 10.
    assert loss.item() == pytest.approx(122.88 + 10.0, rel=1e-4)


def test_sampling_has_the_right_mean_and_deviation():
    mu, logvar = torch.full((20_000, 1), 2.0), torch.full((20_000, 1), np.log(0.25))
    z = sample_z(mu, logvar, torch.Generator().manual_seed(1))
    assert z.mean().item() == pytest.approx(2.0, abs=0.02)
    assert z.std().item() == pytest.approx(0.5, abs=0.02)


def test_frames_survive_the_trip_to_images_and_back():
    frames = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    assert torch.equal(to_frames(to_images(frames)), frames)


def test_reconstruction_goes_by_z_and_its_error_by_the_mean(vae):
    x, noise = torch.rand(3, 3, 64, 64), torch.randn(3, 32)
    reconstruction, mu, logvar = vae(x, noise)
    torch.testing.assert_close(reconstruction, vae.decode(mu + (logvar / 2).exp() * noise))
    with torch.inference_mode():
        expected = (vae(x, torch.zeros(3, 32))[0] - x).square().sum((1, 2, 3))
        torch.testing.assert_close(reconstruction_error(vae, x), expected, rtol=1e-4, atol=1e-2)
