"""M against torch.distributions' mixtures, torch's own LSTM and hand-computed cases."""

import math

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal

from wmlib.config import MDNRNNConfig, Task
from wmlib.mdnrnn import (
    MDNRNN,
    Imagination,
    Prediction,
    Stepper,
    mdnrnn_loss,
    mixture_nll,
    sample_mixture,
)
from wmlib.vae import count_parameters

DOOM = Task(
    "doom", action_size=1, z_size=64, hidden_size=512, sees_cell=True, predicts_reward=False,
    restart_input=True,
)  # fmt: skip


def random_prediction(*shape, K=5):
    logits, mu, logsigma = torch.randn(3, *shape, K)
    return Prediction(logits.log_softmax(-1), mu, logsigma, None, None)


def as_distribution(p):
    return MixtureSameFamily(Categorical(logits=p.logpi), Normal(p.mu, p.logsigma.exp()))


def test_parameter_counts(mdnrnn):
    # The paper's M has 422,368; torch's second LSTM bias adds 1,024; each head adds 257.
    assert count_parameters(mdnrnn) == 422_368 + 1_024 + 2 * 257 == 423_906
    # The paper's 1,678,785 and torch's second bias.
    assert count_parameters(MDNRNN(DOOM)) == 1_678_785 + 4 * 512 == 1_680_833


def test_nll_against_torch_distributions():
    prediction, z = random_prediction(6, 3), torch.randn(6, 3)
    torch.testing.assert_close(mixture_nll(prediction, z), -as_distribution(prediction).log_prob(z))


def test_nll_stays_finite_far_away_and_may_be_negative():
    sharp = Prediction(
        torch.zeros(1, 1, 1), torch.zeros(1, 1, 1), torch.full((1, 1, 1), -5.0), None, None
    )
    assert mixture_nll(sharp, torch.full((1, 1), 1e3)).isfinite().all()
    # At its centre a Gaussian of sigma e^-5 has the density e^5 / sqrt(2 pi).
    assert mixture_nll(sharp, torch.zeros(1, 1)).item() == pytest.approx(0.5 * math.log(2 * math.pi) - 5)


def test_samples_follow_the_mixture():
    one = random_prediction(1)
    n = 200_000
    many = Prediction(*(t.expand(n, 1, 5) for t in (one.logpi, one.mu, one.logsigma)), None, None)
    g = torch.Generator().manual_seed(0)
    z = sample_mixture(many, torch.rand(n, 1, generator=g), torch.randn(n, 1, generator=g))
    expected = as_distribution(one)
    assert z.mean().item() == pytest.approx(expected.mean.item(), abs=0.03)
    assert z.var().item() == pytest.approx(expected.variance.item(), rel=0.03)


@pytest.mark.parametrize("tau", [0.25, 2.0])
def test_temperature_divides_logits_and_widens_sigma(tau):
    one = random_prediction(1)
    n = 200_000
    many = Prediction(*(t.expand(n, 1, 5) for t in (one.logpi, one.mu, one.logsigma)), None, None)
    g = torch.Generator().manual_seed(0)
    z = sample_mixture(many, torch.rand(n, 1, generator=g), torch.randn(n, 1, generator=g), tau)
    heated = MixtureSameFamily(
        Categorical(logits=one.logpi / tau), Normal(one.mu, one.logsigma.exp() * math.sqrt(tau))
    )
    assert z.mean().item() == pytest.approx(heated.mean.item(), abs=0.03)
    assert z.var().item() == pytest.approx(heated.variance.item(), rel=0.03)


def test_a_uniform_draw_of_almost_one_takes_the_last_component():
    p = Prediction(
        torch.tensor([[[0.5, 0.5]]]).log(),
        torch.tensor([[[1.0, 2.0]]]),
        torch.full((1, 1, 2), -7.0),
        None,
        None,
    )
    top = torch.full((1, 1), 1.0)
    assert sample_mixture(p, top, torch.zeros(1, 1)).item() == 2.0


def test_the_stepper_is_torchs_lstm(mdnrnn, task):
    z, actions = torch.randn(4, 9, 32), torch.rand(4, 9, 3)
    h = c = torch.zeros(4, 256)
    step = Stepper(mdnrnn)
    for t in range(9):
        h, c = step(torch.cat([z[:, t], actions[:, t]], 1), h, c)
    expected, (_, c_n) = mdnrnn.lstm(torch.cat([z, actions], -1))
    torch.testing.assert_close(h, expected[:, -1], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(c, c_n[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("task", [Task("carracing", 3, 32, 256), DOOM], ids=lambda task: task.name)
@pytest.mark.parametrize("tau", [0.5, 1.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_imagination_is_m_and_a_draw_from_its_mixture(task, tau, dtype):
    mdnrnn = MDNRNN(task)
    with torch.no_grad():
        mdnrnn.head.weight *= 10  # components that differ
    lanes = 200
    seen = torch.randn(lanes, mdnrnn.lstm.input_size)
    h, c = torch.rand(lanes, task.hidden_size) - 0.5, torch.randn(lanes, task.hidden_size)
    uniform, normal = torch.rand(lanes, task.z_size), torch.randn(lanes, task.z_size)
    imagine = Imagination(mdnrnn, lanes, tau, dtype)
    imagine(torch.randn_like(seen), c, h, normal, uniform)  # buffers that hold another step
    z, h_next, c_next, heads = imagine(seen, h, c, uniform, normal)

    out, (_, c_expected) = mdnrnn.lstm(seen[:, None], (h[None], c[None]))
    prediction = mdnrnn.predict(out[:, 0])
    expected = sample_mixture(prediction, uniform, normal, tau)
    heads_expected = [value for value in (prediction.reward, prediction.done_logit) if value is not None]
    same = 1e-4 if dtype == torch.float32 else 0.05
    torch.testing.assert_close(h_next, out[:, 0], rtol=same, atol=same)
    torch.testing.assert_close(c_next, c_expected[0], rtol=same, atol=same)
    torch.testing.assert_close(heads, torch.stack(heads_expected, 1), rtol=2 * same, atol=2 * same)
    # A draw at the border of two components may fall on either side.
    close = torch.isclose(z, expected, rtol=4 * same, atol=4 * same)
    assert close.float().mean() > (0.9999 if dtype == torch.float32 else 0.97)


def test_a_sequence_in_pieces_is_the_sequence(mdnrnn):
    z, actions = torch.randn(2, 10, 32), torch.rand(2, 10, 3)
    whole, _ = mdnrnn(z, actions)
    first, state = mdnrnn(z[:, :4], actions[:, :4])
    second, _ = mdnrnn(z[:, 4:], actions[:, 4:], state)
    torch.testing.assert_close(torch.cat([first.mu, second.mu], 1), whole.mu, rtol=1e-4, atol=1e-5)


def test_the_loss_by_hand():
    prediction = Prediction(
        torch.zeros(1, 3, 1, 1), torch.zeros(1, 3, 1, 1), torch.zeros(1, 3, 1, 1),
        reward=torch.tensor([[1.0, 0.0, 9.0]]), done_logit=torch.zeros(1, 3),
    )  # fmt: skip
    config = MDNRNNConfig(optimism_weight=5.0, done_positive_weight=10.0)
    mask = torch.tensor([[1.0, 1.0, 0.0]])  # the third step lies beyond the episode
    reward, done = torch.tensor([[0.0, 2.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    loss, parts = mdnrnn_loss(prediction, torch.zeros(1, 3, 1), reward, done, mask, config)
    assert parts["nll"].item() == pytest.approx(0.5 * math.log(2 * math.pi))
    assert parts["reward"].item() == pytest.approx((5 * 1.0 + 4.0) / 2)  # optimism costs five times
    assert parts["done"].item() == pytest.approx((math.log(2) + 10 * math.log(2)) / 2)
    assert loss.item() == pytest.approx(sum(p.item() for p in parts.values()))


def test_a_task_without_reward_and_with_restart():
    m = MDNRNN(DOOM)
    prediction, _ = m(torch.randn(2, 5, 64), torch.rand(2, 5, 1), None, torch.zeros(2, 5))
    assert prediction.reward is None and prediction.done_logit.shape == (2, 5)
    assert prediction.mu.shape == (2, 5, 64, 5)
