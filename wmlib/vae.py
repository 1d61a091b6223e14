"""V: the variational autoencoder (paper, section 2.1 and appendix A.1)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlib.runtime.convolution import Conv2d, ConvTranspose2d


class VAE(nn.Module):
    """Compresses a 64x64 frame to z, and paints a frame from z. 4,348,547 parameters at z = 32."""

    def __init__(self, z_size: int = 32):
        super().__init__()
        self.z_size = z_size
        self.encoder = nn.Sequential(
            Conv2d(3, 32, 4), nn.ReLU(),  # (B, 32, 31, 31)
            Conv2d(32, 64, 4), nn.ReLU(),  # (B, 64, 14, 14)
            Conv2d(64, 128, 4), nn.ReLU(),  # (B, 128, 6, 6)
            Conv2d(128, 256, 4), nn.ReLU(),  # (B, 256, 2, 2)
        )  # fmt: skip
        self.to_mu = nn.Linear(1024, z_size)
        self.to_logvar = nn.Linear(1024, z_size)
        self.from_z = nn.Linear(z_size, 1024)
        self.decoder = nn.Sequential(
            ConvTranspose2d(1024, 128, 5), nn.ReLU(),  # (B, 128, 5, 5)
            ConvTranspose2d(128, 64, 5), nn.ReLU(),  # (B, 64, 13, 13)
            ConvTranspose2d(64, 32, 6), nn.ReLU(),  # (B, 32, 30, 30)
            ConvTranspose2d(32, 3, 6), nn.Sigmoid(),  # (B, 3, 64, 64)
        )  # fmt: skip

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, 64, 64) in [0, 1] to mu and logvar, (B, Z) each."""
        features = self.encoder(x).flatten(1)  # (B, 1024)
        return self.to_mu(features), self.to_logvar(features)

    def decode(self, z: Tensor) -> Tensor:
        """z (B, Z) to images (B, 3, 64, 64) in [0, 1]."""
        return self.decoder(self.from_z(z)[:, :, None, None])

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruct x by way of z = mu + sigma * noise. Returns (reconstruction, mu, logvar)."""
        mu, logvar = self.encode(x)
        z = mu + (logvar / 2).exp() * noise
        return self.decode(z), mu, logvar


def kl_per_latent(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, 1)) of each element, in nats. Same shape as mu."""
    return -0.5 * (1 + logvar - mu.square() - logvar.exp())


def vae_loss(
    x: Tensor, reconstruction: Tensor, mu: Tensor, logvar: Tensor, free_bits: float = 0.5
) -> tuple[Tensor, Tensor, Tensor]:
    """The squared error summed over a frame, and the KL below which nothing is gained.

    The sum matters: with a mean over pixels the KL would outweigh the picture, and z would go silent.

    Returns:
        (loss, squared error a frame, KL a frame in nats): means over the batch.
    """
    squared_error = (reconstruction - x).square().flatten(1).sum(1).mean()
    kl = kl_per_latent(mu, logvar).sum(1)  # (B,)
    floor = free_bits * mu.shape[1]
    return squared_error + kl.clamp(min=floor).mean(), squared_error, kl.mean()


def to_images(frames: Tensor) -> Tensor:
    """Stored frames (B, 64, 64, 3) uint8 to images (B, 3, 64, 64) in [0, 1], channels last."""
    return frames.permute(0, 3, 1, 2).float() / 255


def to_frames(images: Tensor) -> Tensor:
    """Images (B, 3, 64, 64) in [0, 1] to frames (B, 64, 64, 3) uint8."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def sample_z(mu: Tensor, logvar: Tensor, generator: torch.Generator) -> Tensor:
    """z ~ N(mu, sigma^2), with the noise drawn from `generator`."""
    noise = torch.randn(mu.shape, generator=generator)
    return mu + (logvar / 2).exp() * noise.to(mu.device)


def count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def reconstruction_error(vae: VAE, images: Tensor) -> Tensor:
    """Squared error of each frame, decoded from mu, summed over pixels: (B,)."""
    mu, _ = vae.encode(images)
    return F.mse_loss(vae.decode(mu), images, reduction="none").flatten(1).sum(1)
