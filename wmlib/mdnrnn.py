"""M: an LSTM with a mixture-density head (paper, section 2.2 and appendix A.2)."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlib.config import MDNRNNConfig, Task

State = tuple[Tensor, Tensor]
"""(h, c), (1, B, H) each, as nn.LSTM keeps them."""


@dataclass
class Prediction:
    """What M says of the next step. Mixtures are per element of z: (..., Z, K)."""

    logpi: Tensor
    mu: Tensor
    logsigma: Tensor
    reward: Tensor | None  # (...,)
    done_logit: Tensor | None  # (...,)


class MDNRNN(nn.Module):
    """Predicts z_{t+1}, and the step's reward and end, from z_t, a_t and its memory h_t.

    423,906 parameters for CarRacing with both heads: the paper's 422,368, and 1,024 more since torch's
    LSTM has a second bias, and 257 for each head.
    """

    def __init__(self, task: Task):
        super().__init__()
        self.task = task
        inputs = task.z_size + task.action_size + task.restart_input
        outputs = 3 * task.z_size * task.mixtures + task.predicts_reward + task.predicts_done
        self.lstm = nn.LSTM(inputs, task.hidden_size, batch_first=True)
        self.head = nn.Linear(task.hidden_size, outputs)

    def forward(
        self, z: Tensor, action: Tensor, state: State | None = None, restart: Tensor | None = None
    ) -> tuple[Prediction, State]:
        """Run over sequences.

        Args:
            z: (B, T, Z). action: (B, T, A). restart: (B, T), 1 where an episode begins.
            state: the memory before the first step; zeros if None.

        Returns:
            the predictions (B, T, ...), and the memory after the last step.
        """
        inputs = [z, action]
        if self.task.restart_input:
            inputs.append(restart[..., None])
        h, state = self.lstm(torch.cat(inputs, -1), state)  # (B, T, H)
        return self.predict(h), state

    def predict(self, h: Tensor) -> Prediction:
        """The head: h (..., H) to a prediction."""
        out = self.head(h).float()
        Z, K = self.task.z_size, self.task.mixtures
        mixture = out[..., : 3 * Z * K].unflatten(-1, (3, Z, K))  # (..., 3, Z, K)
        logpi, mu, logsigma = mixture.unbind(-3)
        rest = list(out[..., 3 * Z * K :].unbind(-1))
        reward = rest.pop(0) if self.task.predicts_reward else None
        done_logit = rest.pop(0) if self.task.predicts_done else None
        # A sigma of e^-7 is finer than V's own noise; without a floor one frame can ruin the NLL.
        return Prediction(logpi.log_softmax(-1), mu, logsigma.clamp(-7, 7), reward, done_logit)


class Stepper:
    """One step of M for many lanes: what `MDNRNN.lstm` computes, as a single product.

    It copies the weights when it is made.
    """

    def __init__(self, mdnrnn: MDNRNN):
        lstm = mdnrnn.lstm
        weight = torch.cat([lstm.weight_ih_l0, lstm.weight_hh_l0], 1).detach()
        self.weight = weight.T.contiguous()  # (inputs + H, 4 H)
        self.bias = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach()

    def __call__(self, inputs: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """inputs (N, z and action and perhaps restart), h and c (N, H), to the next h and c."""
        gates = torch.addmm(self.bias, torch.cat([inputs, h], 1), self.weight)  # (N, 4 H)
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class Imagination:
    """One step of M and a draw from its mixture, for many lanes at once: what a dream is made of.

    It computes what `MDNRNN` and `sample_mixture` do, laid out for speed: biases are one more row of the
    weights, a component's numbers for all of z lie side by side, buffers serve again, and
    tanh x is 2 sigmoid(2x) - 1. It copies the weights when it is made.

    Args:
        tau: temperature, as in `sample_mixture`.
        dtype: in which the two matrix products are computed; all else is float32.
    """

    def __init__(self, mdnrnn: MDNRNN, lanes: int, tau: float = 1.0, dtype: torch.dtype = torch.float32):
        self.task, self.tau = mdnrnn.task, tau
        Z, K, H = self.task.z_size, self.task.mixtures, self.task.hidden_size
        lstm, head = mdnrnn.lstm, mdnrnn.head
        bias = (lstm.bias_ih_l0 + lstm.bias_hh_l0)[:, None]
        weight = torch.cat([lstm.weight_ih_l0, lstm.weight_hh_l0, bias], 1).detach().clone()
        weight[2 * H : 3 * H] *= 2  # the gate with a tanh
        self.weight = weight.T.to(dtype).contiguous()  # (inputs + H + 1, 4 H)
        outputs = torch.arange(len(head.weight))
        outputs[: 3 * Z * K] = outputs[: 3 * Z * K].view(3, Z, K).transpose(1, 2).flatten()
        self.head = torch.cat([head.weight, head.bias[:, None]], 1).detach()[outputs].T.to(dtype)
        self.inputs = torch.ones(lanes, len(self.weight), dtype=dtype)  # the last is the bias's 1
        self.gates = torch.empty(lanes, 4 * H, dtype=dtype)
        self.out = torch.empty(lanes, len(outputs), dtype=dtype)

    def __call__(
        self, seen: Tensor, h: Tensor, c: Tensor, uniform: Tensor, normal: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """From step t to t + 1.

        Args:
            seen: (N, z and action and perhaps restart); N is at most `lanes`. h, c: (N, H).
            uniform, normal: (N, Z), the luck of this step.

        Returns:
            z (N, Z), h and c (N, H), and the outputs of the heads (N, 0 to 2): reward, logit of the end.
        """
        Z, K, H = self.task.z_size, self.task.mixtures, self.task.hidden_size
        inputs, gates, out = (x[: len(seen)] for x in (self.inputs, self.gates, self.out))
        inputs[:, : -H - 1] = seen
        inputs[:, -H - 1 : -1] = h
        torch.mm(inputs, self.weight, out=gates)
        i, f, g, o = gates.float().sigmoid_().chunk(4, 1)
        c = torch.addcmul(f * c, i, 2 * g - 1)
        h = o * (2 * (2 * c).sigmoid_() - 1)
        inputs[:, -H - 1 : -1] = h
        torch.mm(inputs[:, -H - 1 :], self.head, out=out)
        out = out.float()
        logits, mu, logsigma = out[:, : 3 * Z * K].view(-1, 3, K, Z).unbind(1)  # (N, K, Z) each
        weights = ((logits - logits.amax(1, keepdim=True)) / self.tau).exp_()
        cumulative = weights.cumsum(1)
        mark = uniform * cumulative[:, -1]
        z, sigma = mu[:, 0], logsigma[:, 0]
        for k in range(1, K):  # the last component whose predecessors' weights stay below the mark
            beyond = mark > cumulative[:, k - 1]
            z, sigma = torch.where(beyond, mu[:, k], z), torch.where(beyond, logsigma[:, k], sigma)
        z = z + sigma.clamp(-7, 7).exp() * math.sqrt(self.tau) * normal
        return z, h, c, out[:, 3 * Z * K :]


def mixture_nll(prediction: Prediction, z_next: Tensor) -> Tensor:
    """-log p(z_next) in nats, for each element: (..., Z). It may be negative: p is a density."""
    standardised = (z_next[..., None] - prediction.mu) * torch.exp(-prediction.logsigma)
    log_normal = -0.5 * (standardised.square() + math.log(2 * math.pi)) - prediction.logsigma
    return -torch.logsumexp(prediction.logpi + log_normal, dim=-1)


def sample_mixture(prediction: Prediction, uniform: Tensor, normal: Tensor, tau: float = 1.0) -> Tensor:
    """Draw z_{t+1} at temperature tau: mixture logits over tau, and sigma times sqrt(tau).

    Args:
        uniform: (..., Z) in [0, 1), picks the component. normal: (..., Z), standard normal noise.

    Returns:
        (..., Z)
    """
    cumulative = (prediction.logpi / tau).softmax(-1).cumsum(-1)  # (..., Z, K)
    # The last sum may round to just below 1; leaving it out keeps the index in range.
    k = (uniform[..., None] > cumulative[..., :-1]).sum(-1, keepdim=True)  # (..., Z, 1)
    mu = prediction.mu.gather(-1, k).squeeze(-1)
    sigma = prediction.logsigma.gather(-1, k).squeeze(-1).exp()
    return mu + sigma * math.sqrt(tau) * normal


def mdnrnn_loss(
    prediction: Prediction,
    z_next: Tensor,
    reward: Tensor,
    done: Tensor,
    mask: Tensor,
    config: MDNRNNConfig,
) -> tuple[Tensor, dict[str, Tensor]]:
    """NLL of z (mean over elements, as in the paper's code), plus the two heads' losses.

    Args:
        z_next: (B, T, Z). reward, done, mask: (B, T) float; mask is 0 beyond an episode's end.

    Returns:
        (loss, its parts by name).
    """

    def mean(values: Tensor) -> Tensor:  # (B, T) -> ()
        return (values * mask).sum() / mask.sum()

    parts = {"nll": mean(mixture_nll(prediction, z_next).mean(-1))}
    loss = parts["nll"]
    if prediction.reward is not None:
        error = prediction.reward - reward
        weight = torch.where(error > 0, config.optimism_weight, 1.0)
        parts["reward"] = mean(weight * error.square())
        loss = loss + config.reward_weight * parts["reward"]
    if prediction.done_logit is not None:
        positive = torch.tensor(config.done_positive_weight, device=done.device)
        parts["done"] = mean(
            F.binary_cross_entropy_with_logits(
                prediction.done_logit, done, pos_weight=positive, reduction="none"
            )
        )
        loss = loss + config.done_weight * parts["done"]
    return loss, parts
