"""M: an LSTM with a mixture-density head (paper, section 2.2 and appendix A.2)."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlib.config import MDNRNNConfig
from wmlib.task import Task

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

    done_positive_weight = 1.0  # how much more an end weighed than another step when it was trained

    def __init__(self, task: Task):
        super().__init__()
        self.task = task
        inputs = task.z_size + task.action_size + task.restart_input
        outputs = 3 * task.z_size * task.mixtures + task.predicts_reward + task.predicts_done
        self.lstm = nn.LSTM(inputs, task.hidden_size, batch_first=True)
        self.head = nn.Linear(task.hidden_size, outputs)

    def forward(
        self, z: Tensor, action: Tensor, state: State | None = None, fresh: Tensor | None = None
    ) -> tuple[Prediction, State]:
        """Run over sequences.

        Args:
            z: (B, T, Z). action: (B, T, A). fresh: (B, T), true where an episode begins.
            state: the memory before the first step; zeros if None.

        Returns:
            the predictions (B, T, ...), and the memory after the last step.
        """
        h, state = self.lstm(self.inputs(z, action, fresh), state)  # (B, T, H)
        return self.predict(h), state

    def inputs(self, z: Tensor, action: Tensor, fresh: Tensor | None = None) -> Tensor:
        """What the LSTM is fed: z (..., Z), the action (..., A) and, where the task says so, whether the
        episode has just begun: fresh (...)."""
        parts = [z, action]
        if self.task.restart_input:
            parts.append(fresh[..., None].to(z.dtype))
        return torch.cat(parts, -1)

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
