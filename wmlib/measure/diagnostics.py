"""Questions to put to V and M, each with an answer that a learner can read."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wmlib.data.sequences import Sequences
from wmlib.mdnrnn import MDNRNN, mixture_nll, sample_mixture
from wmlib.runtime.seeds import generator_of
from wmlib.vae import VAE, kl_per_latent, reconstruction_error, sample_z, to_images
from wmlib.worlds.moments import memories


@dataclass(frozen=True)
class VAEReport:
    """squared_error: a frame, summed over pixels (mean over frames); mean_picture_error: the same for
    a V that always paints the average frame. kl: nats of each element of z, (Z,)."""

    squared_error: float
    mean_picture_error: float
    kl: np.ndarray

    @property
    def active(self) -> np.ndarray:
        """The elements of z that carry anything, most active first."""
        order = np.argsort(-self.kl)
        return order[self.kl[order] > 0.1]


@torch.inference_mode()
def examine_vae(vae: VAE, frames: np.ndarray) -> VAEReport:
    """Reconstruction and activity on frames (n, 64, 64, 3) uint8."""
    images = to_images(torch.from_numpy(frames))
    errors, kls = [], []
    for part in images.split(64):
        errors.append(reconstruction_error(vae, part))
        kls.append(kl_per_latent(*vae.encode(part)))
    baseline = (images - images.mean(0)).square().flatten(1).sum(1).mean()
    return VAEReport(float(torch.cat(errors).mean()), float(baseline), torch.cat(kls).mean(0).numpy())


@dataclass(frozen=True)
class MDNRNNReport:
    """NLL in nats for an element of z. constant: one Gaussian for all frames. copy_last: a Gaussian
    around the last z. reward_r2 is NaN for an M that foretells no reward. recall and false_alarms of the
    end: fractions at a probability of one half; recall is NaN where no episode ends."""

    nll: float
    nll_constant: float
    nll_copy_last: float
    reward_r2: float
    ends: int
    recall: float
    false_alarms: float


@torch.inference_mode()
def examine_mdnrnn(mdnrnn: MDNRNN, data: Sequences) -> MDNRNNReport:
    """How well M predicts recorded episodes, beside predictors that need no M."""
    nll, constant, copied, rewards, predicted, ends, alarms = [], [], [], [], [], [], []
    z_all = sample_z(data.mu, data.logvar, generator_of("examine"))
    mean, sd = z_all.mean(0), z_all.std(0)
    first = 0
    for episode, steps in enumerate(data.lengths):
        z = z_all[first + episode : first + episode + steps + 1]
        _, h = memories(mdnrnn, data, episode)
        prediction = mdnrnn.predict(h[1:])
        nll.append(mixture_nll(prediction, z[1:]).mean(1))
        constant.append(-torch.distributions.Normal(mean, sd).log_prob(z[1:]).mean(1))
        copied.append(z[1:] - z[:-1])
        rewards.append(data.rewards[first : first + steps])
        predicted.append(
            prediction.reward if prediction.reward is not None else torch.full((steps,), torch.nan)
        )
        ends.append(data.dones[first : first + steps] > 0.5)
        silent = torch.zeros(steps, dtype=torch.bool)
        alarms.append(silent if prediction.done_logit is None else prediction.done_logit > 0)
        first += steps
    change = torch.cat(copied)
    copy_last = -torch.distributions.Normal(0.0, change.std(0)).log_prob(change).mean()
    end, alarm = torch.cat(ends), torch.cat(alarms)
    reward, guess = torch.cat(rewards), torch.cat(predicted)
    return MDNRNNReport(
        nll=float(torch.cat(nll).mean()),
        nll_constant=float(torch.cat(constant).mean()),
        nll_copy_last=float(copy_last),
        reward_r2=float(1 - (reward - guess).square().mean() / reward.var(correction=0)),
        ends=int(end.sum()),
        recall=float((alarm & end).sum() / end.sum()) if end.any() else float("nan"),
        false_alarms=float((alarm & ~end).sum() / (~end).sum()),
    )


@torch.inference_mode()
def open_loop_drift(
    mdnrnn: MDNRNN,
    data: Sequences,
    horizon: int = 50,
    warm_up: int = 50,
    tau: float = 1.0,
    painter: VAE | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """How far a dream strays from the game under the same actions.

    M first follows each episode for `warm_up` steps; then it dreams on its own, while the game's own
    actions go on.

    Args:
        painter: V, to compare what it paints from z; without it z itself is compared.

    Returns:
        (horizon,) root-mean-square distances of the dream from the game, and of a predictor that repeats
        the last z. Of z: over its active elements, in units of their deviation (silent elements are
        noise, and left out). Of pictures: over their numbers, each from 0 to 1.
    """
    activity = kl_per_latent(data.mu, data.logvar).mean(0)
    active = activity >= activity.amax().clamp(max=0.1)  # all that say something; one at least
    deviation = data.mu.std(0)[active]
    generator = generator_of("drift")

    def squares(guess: Tensor, truth: Tensor) -> Tensor:  # (horizon or 1, Z) each, to (horizon,)
        if painter is not None:
            return (painter.decode(guess) - painter.decode(truth)).square().flatten(1).mean(1)
        return ((guess - truth)[:, active] / deviation).square().mean(1)

    errors, copied, first = [], [], 0
    for episode, steps in enumerate(data.lengths):
        frame = first + episode
        if steps > warm_up + horizon:
            z = data.mu[frame : frame + steps + 1]
            actions = data.actions[first : first + steps]
            # M is told that a game begins, then never again.
            fresh = torch.arange(warm_up + 1)[None] == 0
            _, state = mdnrnn(z[None, :warm_up], actions[None, :warm_up], None, fresh[:, :-1])
            now = z[warm_up][None]
            dreamt = []
            for k in range(horizon):
                prediction, state = mdnrnn(
                    now[None], actions[None, None, warm_up + k], state, fresh[:, -1:]
                )
                uniform = torch.rand(1, 1, z.shape[1], generator=generator)
                normal = torch.randn(1, 1, z.shape[1], generator=generator)
                now = sample_mixture(prediction, uniform, normal, tau)[0]
                dreamt.append(now[0])
            truth = z[warm_up + 1 : warm_up + horizon + 1]
            errors.append(squares(torch.stack(dreamt), truth))
            copied.append(squares(z[warm_up][None], truth))
        first += steps
    if not errors:
        raise ValueError(f"no episode is longer than {warm_up + horizon} steps")
    return tuple(torch.stack(e).mean(0).sqrt().numpy() for e in (errors, copied))


def linear_probe(features: np.ndarray, target: np.ndarray, ridge: float = 1e-2, folds: int = 5) -> float:
    """R^2 of a linear fit: what C could read off.

    Each fold of neighbouring rows is foretold from the others. 0 is as good as the target's mean; below
    0 is worse than that.
    """
    residual = np.empty(len(target))
    for test in np.array_split(np.arange(len(target)), folds):
        train = np.setdiff1d(np.arange(len(target)), test)
        mean, sd = features[train].mean(0), features[train].std(0) + 1e-6
        x = np.column_stack([(features - mean) / sd, np.ones(len(features))])
        gram = x[train].T @ x[train] + ridge * len(train) * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, x[train].T @ target[train])
        residual[test] = target[test] - x[test] @ weights
    return float(1 - np.mean(residual**2) / np.var(target))
