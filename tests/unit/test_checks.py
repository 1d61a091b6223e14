"""Right answers are tried by the solutions; here are wrong ones, and those that were not attempted."""

import numpy as np
import pytest
import torch

from wmlib import checks

WRONG = {
    "check_compression": 32,
    "check_action": lambda raw: np.tanh(raw),
    "check_interval": lambda returns: (returns.min(), returns.max()),
    "check_gigabytes": 122.99,
    "check_walk": lambda keep, noise: noise,
    "check_tiles": lambda rewards, tiles: int((np.asarray(rewards) > 0).sum()),
    "check_hold": lambda rng, steps, mean_length: rng.uniform([-1, 0, 0], 1, (steps, 3)),
    "check_nats": (2.0, 0.0),
    "check_reparameterised": lambda mu, logvar, noise: mu + logvar.exp() * noise,
    "check_free_bits": lambda x, reconstruction, mu, logvar, free: (x - reconstruction).square().sum(),
    "check_effect": lambda decode, z, step: z,
    "check_surprise": 3.69,
    "check_mixture_nll": lambda logpi, mu, logsigma, y: (
        -(logpi.exp() * torch.exp(-0.5 * ((y[:, None] - mu) / logsigma.exp()) ** 2)).sum(-1).log()
    ),
    "check_lstm_step": lambda x, h, c, W, U, b: (h, c),
    "check_moments": lambda logpi, mu, logsigma, tau: (
        (logpi.exp() * mu).sum(-1),
        (logpi.exp() * (2 * logsigma).exp()).sum(-1),
    ),
    "check_controller_size": 867,
    "check_mean_step": lambda mean, sigma, y, f: mean + sigma * y[np.argsort(f)[: len(y) // 2]].mean(0),
    "check_lead": lambda scores: (int(scores.mean(1).argmax()), (0.0, 40.0)),
    "check_strategy": lambda f, mean, budget: mean,
    "check_kept": lambda promised, real: int(promised.argmax()),
    "check_rank_correlation": lambda promised, real: np.corrcoef(promised, real)[0, 1],
    "check_rollout": lambda step, act, z, h, horizon: sum(
        step(z, h, act(z, h))[2] for _ in range(horizon)
    ),
    "check_odds": lambda said, weight: said / weight,
    "check_survival": lambda p: (1 - p).sum(),
    "check_alarms": lambda games, slack: (np.mean([g.any() for g in games]), 0.0),
    "check_stretched": lambda raw, low, high: raw.tanh().clamp(low, high),
    "check_explore": lambda rng, steps, choices: rng.integers(choices, size=steps),
    "check_pay": lambda caught, rng: caught + 0.1 * rng.normal(size=len(caught)),
    "check_half": lambda sd, n: sd,
    "check_flattery": lambda rng, tests, error: error,
    "check_tracks": lambda wanted, candidate, rest: int((rest / candidate) ** 2 * wanted**2) + 1,
    "check_reward_loss": lambda said, paid, factor: factor * (said - paid).square().mean(),
}


def test_every_checker_is_tried_here():
    assert set(checks.__all__) == WRONG.keys()


@pytest.mark.parametrize("name", checks.__all__)
def test_a_wrong_answer_is_refused(name):
    with pytest.raises(AssertionError, match=r"exercise \d: "):
        getattr(checks, name)(WRONG[name])


@pytest.mark.parametrize("name", checks.__all__)
def test_what_was_not_attempted_is_an_error_only_where_that_is_asked_for(name, monkeypatch, capsys):
    check = getattr(checks, name)
    monkeypatch.setenv("WMLIB_STRICT_CHECKS", "")
    check(None)
    assert "not attempted yet" in capsys.readouterr().out
    if callable(WRONG[name]):

        def unwritten(*_):
            raise NotImplementedError

        check(unwritten)
        check(lambda *_: None)
    monkeypatch.setenv("WMLIB_STRICT_CHECKS", "1")
    with pytest.raises(AssertionError, match="not attempted"):
        check(None)
