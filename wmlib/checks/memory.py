"""Notebook 03."""

import math
from collections.abc import Callable

import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal

from wmlib.checks.exercise import ask, exercise, expect


def _mixture() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """logpi, mu, logsigma of some mixtures, (50, 4) each."""
    generator = torch.Generator().manual_seed(0)
    logits, mu, logsigma = torch.randn(3, 50, 4, generator=generator, dtype=torch.float64)
    return logits.log_softmax(-1), mu, logsigma


def _oracle(logpi: torch.Tensor, mu: torch.Tensor, sigma: torch.Tensor) -> MixtureSameFamily:
    return MixtureSameFamily(Categorical(logits=logpi), Normal(mu, sigma))


@exercise(1)
def check_surprise(surprise: float) -> None:
    """The NLL at the top of a narrow normal distribution."""
    expected = -float(Normal(0.0, 0.01).log_prob(torch.tensor(0.0)))
    right = math.isclose(float(surprise), expected, abs_tol=0.01)
    expect(right, f"{surprise} is not it; mind the sign, and take the natural logarithm")


@exercise(2)
def check_mixture_nll(nll: Callable) -> None:
    """The NLL of mixtures, near and far."""
    logpi, mu, logsigma = _mixture()
    for y in (torch.zeros(50, dtype=torch.float64), torch.full((50,), 300.0, dtype=torch.float64)):
        answer = torch.as_tensor(ask(nll, logpi, mu, logsigma, y))
        expected = -_oracle(logpi, mu, logsigma.exp()).log_prob(y)
        expect(answer.shape == (50,), f"50 values, but an answer of shape {tuple(answer.shape)}")
        expect(bool(answer.isfinite().all()), f"for y = {y[0]:.0f} some of it is not finite")
        expect(torch.allclose(answer, expected, rtol=1e-6), f"for y = {y[0]:.0f} it is not right")


@exercise(3)
def check_lstm_step(step: Callable) -> None:
    """One step of an LSTM, against torch's cell."""
    torch_cell = torch.nn.LSTMCell(3, 5)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in torch_cell.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        x, h, c = (torch.randn(7, n, generator=generator) for n in (3, 5, 5))
        expected = torch_cell(x, (h, c))
        W, U = torch_cell.weight_ih.T, torch_cell.weight_hh.T
        answer = ask(step, x, h, c, W, U, torch_cell.bias_ih + torch_cell.bias_hh)
    expect(isinstance(answer, tuple | list) and len(answer) == 2, "return two things: h and c")
    for name, given, right in zip("hc", answer, expected, strict=True):
        expect(given.shape == right.shape, f"{name} has the shape {tuple(given.shape)}, not (7, 5)")
        expect(torch.allclose(given, right, atol=1e-5), f"the next {name} is not right")


@exercise(4)
def check_moments(moments: Callable) -> None:
    """Mean and variance of tempered mixtures."""
    logpi, mu, logsigma = _mixture()
    for tau in (1.0, 0.5, 1.5):
        tempered = _oracle(logpi / tau, mu, logsigma.exp() * math.sqrt(tau))
        answer = ask(moments, logpi, mu, logsigma, tau)
        expect(isinstance(answer, tuple | list) and len(answer) == 2, "return mean and variance")
        for name, given in zip(("mean", "variance"), answer, strict=True):
            right = getattr(tempered, name)
            close = given.shape == right.shape and torch.allclose(given, right, rtol=1e-6)
            expect(close, f"the {name} at tau = {tau} is not right")
