"""Notebook 02."""

from collections.abc import Callable

import torch
from torch.distributions import Normal, kl_divergence

from wmlib.checks.exercise import ask, exercise, expect


@exercise(1)
def check_nats(nats: tuple[float, float]) -> None:
    """Two KLs, against torch.distributions."""
    clouds = Normal(torch.tensor([2.0, 0.0]), torch.tensor([1.0, torch.tensor(-3.0).exp()]))
    expected = kl_divergence(clouds, Normal(0.0, 1.0))
    answer = torch.as_tensor(nats, dtype=torch.float32)
    expect(answer.shape == (2,), "give two numbers, as a pair")
    for given, right, name in zip(answer, expected, ("first", "second"), strict=True):
        expect(bool((given - right).abs() < 0.01), f"the {name} is not {given:.3f}")


@exercise(2)
def check_reparameterised(sample: Callable) -> None:
    """Values, and gradients by finite differences."""
    generator = torch.Generator().manual_seed(0)
    mu, logvar, noise = torch.randn(3, 5, 4, generator=generator, dtype=torch.float64)
    mu.requires_grad_()
    logvar.requires_grad_()
    z = ask(sample, mu, logvar, noise)
    wanted = mu + logvar.exp().sqrt() * noise
    expect(torch.is_tensor(z) and z.shape == wanted.shape, "z must be a tensor of mu's shape")
    expect(torch.allclose(z, wanted), "z is not mu + sigma * noise; sigma is the root of exp(logvar)")
    expect(z.requires_grad, "no gradient passes")
    z.sum().backward()
    step = 1e-6
    slope = ((((logvar + step) / 2).exp() - (logvar / 2).exp()) * noise / step).detach()
    passes = mu.grad is not None and torch.allclose(mu.grad, torch.ones_like(mu))
    expect(passes, "the gradient with respect to mu should be 1")
    passes = logvar.grad is not None and torch.allclose(logvar.grad, slope, atol=1e-4)
    expect(passes, "the gradient with respect to logvar is not right")


@exercise(3)
def check_free_bits(loss: Callable) -> None:
    """The loss with free bits for each element of z, against torch.distributions."""
    generator = torch.Generator().manual_seed(0)
    x, reconstruction = torch.rand(2, 6, 3, 4, 4, generator=generator)
    mu = torch.randn(6, 5, generator=generator) * torch.tensor([0.0, 0.1, 0.5, 1.0, 2.0])
    logvar = torch.randn(6, 5, generator=generator) * 0.1
    for free in (0.0, 0.5, 2.0):
        answer = torch.as_tensor(ask(loss, x, reconstruction, mu, logvar, free))
        kl = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).mean(0)
        squared_error = sum(((a - b) ** 2).sum() for a, b in zip(x, reconstruction, strict=True)) / 6
        expected = squared_error + sum(max(float(k), free) for k in kl)
        expect(answer.shape == (), "the loss is one number")
        right = torch.isclose(answer, expected, rtol=1e-4)
        expect(bool(right), f"with {free} nats free it is {expected:.3f}, you gave {answer:.3f}")


@exercise(4)
def check_effect(effect: Callable) -> None:
    """What each element of z changes in a picture, for a decoder whose answer is known."""
    weight = torch.randn(6, 12, generator=torch.Generator().manual_seed(0))

    def decode(z: torch.Tensor) -> torch.Tensor:
        return (z @ weight).view(-1, 3, 2, 2)

    for step in (0.5, 2.0):
        answer = torch.as_tensor(ask(effect, decode, torch.ones(6), step))
        expected = step**2 * weight.square().sum(1)
        expect(answer.shape == (6,), f"6 elements of z, but an answer of shape {tuple(answer.shape)}")
        expect(torch.allclose(answer, expected, rtol=1e-3), f"for a step of {step} it is not right")
