"""M against torch.distributions' mixtures, torch's own LSTM and hand-computed cases."""

import math

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal

from wmlib.config import MDNRNNConfig
from wmlib.mdnrnn import MDNRNN, Prediction, mdnrnn_loss, mixture_nll, sample_mixture
from wmlib.task import Task
from wmlib.vae import count_parameters

DOOM = Task(
    "doom", actions={"step": (-1, 1)}, z_size=64, hidden_size=512, sees_cell=True, predicts_reward=False,
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


def test_what_the_lstm_is_fed_holds_the_start_only_where_the_task_says_so(mdnrnn):
    z, action, fresh = torch.randn(4, 64), torch.rand(4, 1), torch.tensor([True, False, False, True])
    fed = MDNRNN(DOOM).inputs(z, action, fresh)
    assert torch.equal(fed, torch.cat([z, action, torch.tensor([[1.0], [0.0], [0.0], [1.0]])], 1))
    z, action = torch.randn(4, 32), torch.rand(4, 3)
    assert torch.equal(mdnrnn.inputs(z, action, fresh), torch.cat([z, action], 1))


def test_the_heads_are_reward_and_end_in_this_order(mdnrnn):
    with torch.no_grad():
        mdnrnn.head.weight.zero_()
        mdnrnn.head.bias.zero_()
        mdnrnn.head.bias[-2:] = torch.tensor([3.0, -4.0])
        mdnrnn.head.bias[: 3 * 32 * 5].view(3, 32, 5)[2, 7, 1] = -20.0
    said = mdnrnn.predict(torch.randn(6, 256))
    assert said.reward.tolist() == [3.0] * 6 and said.done_logit.tolist() == [-4.0] * 6
    assert said.logsigma[0, 7].tolist() == [0.0, -7.0, 0.0, 0.0, 0.0]  # no finer than V's own noise
    torch.testing.assert_close(said.logpi.exp(), torch.full((6, 32, 5), 0.2))


def test_ends_weigh_no_more_than_other_steps_until_a_training_says_so(mdnrnn):
    assert mdnrnn.done_positive_weight == 1.0
    mdnrnn.done_positive_weight = 10.0
    assert MDNRNN(mdnrnn.task).done_positive_weight == 1.0  # each M has its own
