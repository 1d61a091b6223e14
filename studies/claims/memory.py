"""M: notebook 03, and what 06 asks of it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from studies.claims.lab import DRIVEN, Lab, Study, half_width
from studies.driving import drive_again
from wmlib.data.sequences import Sequences
from wmlib.mdnrnn import MDNRNN, Prediction, mixture_nll, sample_mixture
from wmlib.runtime.seeds import generator_of
from wmlib.vae import kl_per_latent, sample_z
from wmlib.worlds.moments import features_of, memories

# One Gaussian or five


def five(lab: Lab, task: str, seed: int) -> dict:
    """Ms with one Gaussian for each element and with five, trained alike, on games that neither has met:
    what five save, in nats. And what the same five lose if each mixture gives way to one Gaussian of its
    mean and variance (the stand-in of notebooks 03 and 06)."""
    fresh = lab.fresh(task)
    came = sample_z(fresh.mu, fresh.logvar, generator_of(seed, "came"))
    one, many = (lab.first_m(task, seed, parts) for parts in (1, 5))
    alone, mixed, stand_in = [], [], []
    frames = np.cumsum([0, *(length + 1 for length in fresh.lengths)])
    for game, first in enumerate(frames[:-1]):
        truth = came[first + 1 : frames[game + 1]]
        with torch.inference_mode():
            by_one, by_many = (m.predict(memories(m, fresh, game)[1][1:]) for m in (one, many))
            for kept, said in ((alone, by_one), (mixed, by_many), (stand_in, as_one(by_many))):
                kept.append(mixture_nll(said, truth).mean(0).numpy())
    alone, mixed, stand_in = map(np.array, (alone, mixed, stand_in))  # (games, Z) each
    saved, activity = alone - mixed, kl_per_latent(fresh.mu, fresh.logvar).mean(0).numpy()
    order = np.argsort(-activity)
    active = order[activity[order] > 0.1]
    most = int(saved.mean(0).argmax())
    return {
        "n": len(saved),
        "nll_one": float(alone.mean()),
        "nll_five": float(mixed.mean()),
        "saved": float(saved.mean()),
        "half": half_width(saved.mean(1)),
        "active": len(active),
        "saved_active": float(saved[:, active].mean()),
        "half_active": half_width(saved[:, active].mean(1)),
        "most": float(saved[:, most].mean()),  # of the element that gains most
        "half_most": half_width(saved[:, most]),
        "stand_in": float((stand_in - mixed).mean()),
        "by_element": saved.mean(0)[order].tolist(),
    }


def as_one(guess: Prediction) -> Prediction:
    """One Gaussian with the mixture's mean and variance."""
    weights = guess.logpi.exp()
    mean = (weights * guess.mu).sum(-1, keepdim=True)
    square = (weights * (guess.mu.square() + (2 * guess.logsigma).exp())).sum(-1, keepdim=True)
    return Prediction(torch.zeros_like(mean), mean, (square - mean.square()).log() / 2, None, None)


# What h tells of the speed


PENALTY = 0.3
"""Of the ridge regression. It was fixed before these games were looked at."""


def speed(lab: Lab, whose: str, seed: int) -> dict:
    """How much of the speed z tells, and z with h: R^2 over games of which none helped in the fit."""
    data, speeds, of_game = _driven(lab, seed)
    agent = lab.agents["carracing"]
    mdnrnn = agent.mdnrnn
    if whose == "untrained M":
        torch.manual_seed(seed)
        mdnrnn = MDNRNN(agent.task).eval()
    begin = lab.length(50)
    with_h = torch.cat([f[begin:-1] for f in features_of(mdnrnn, data)]).numpy()
    of_z = with_h[:, : agent.task.z_size]
    missed, spread = (_missed(x, speeds, of_game) for x in (of_z, with_h)), _spread(speeds, of_game)
    by_z, by_zh = missed
    games = len(spread)
    drawn = np.random.default_rng(0).integers(0, games, (2000, games))
    low, high = np.quantile((by_z - by_zh)[drawn].sum(1) / spread[drawn].sum(1), [0.025, 0.975])
    return {
        "n": games,
        "r2_z": float(1 - by_z.sum() / spread.sum()),
        "r2_zh": float(1 - by_zh.sum() / spread.sum()),
        "gain": float((by_z - by_zh).sum() / spread.sum()),
        "low": float(low),
        "high": float(high),
    }


def _driven(lab: Lab, seed: int) -> tuple[Sequences, np.ndarray, np.ndarray]:
    """Games of the agent with shaking hands; at each step from the 50th on, the speed before it, and the
    number of its game."""
    store = lab.driven(lab.share(32, 3), lab.length(300), DRIVEN + 1000 * seed)
    begin, speeds, of_game = lab.length(50), [], []
    for game, episode in enumerate(store):
        drive, _ = drive_again(episode.seed, episode.actions)
        speeds.append(np.hypot(drive.speed, drive.slip)[begin - 1 : len(episode) - 1])
        of_game.append(np.full(len(speeds[-1]), game))
    return lab.encoded("carracing", store), np.concatenate(speeds), np.concatenate(of_game)


def _missed(x: np.ndarray, truth: np.ndarray, of_game: np.ndarray) -> np.ndarray:
    """The squared error in each game, by a linear fit to the other games."""
    x, mean = (x - x.mean(0)) / (x.std(0) + 1e-6), truth.mean()
    errors = []
    for game in np.unique(of_game):
        here, others = of_game == game, of_game != game
        gram = x[others].T @ x[others] + PENALTY * others.sum() * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, x[others].T @ (truth[others] - mean))
        errors.append(np.square(truth[here] - mean - x[here] @ weights).sum())
    return np.array(errors)


def _spread(truth: np.ndarray, of_game: np.ndarray) -> np.ndarray:
    return np.array([np.square(truth[of_game == g] - truth.mean()).sum() for g in np.unique(of_game)])


# Why dreams stray


LOOKS = (1, 5, 10, 25, 50, 100)
"""Frames with closed eyes after which dreams are looked at."""


@dataclass(frozen=True)
class Apart:
    """Distances after each frame with closed eyes, (horizon,): of the dream from the game, of two dreams
    from each other, and of a picture that stands still from the game."""

    game: np.ndarray
    dreams: np.ndarray
    still: np.ndarray


def drift(lab: Lab, name: str, seed: int) -> dict:
    """Two dreams of one moment, under the same actions, differ by chance alone. If M were right, the
    game would be one more of them. As much as it is farther away, M is mistaken."""
    whose, where = name.split(", ")
    mdnrnn = lab.agents["carracing"].mdnrnn if whose == "taught M" else lab.first_m("carracing", seed)
    data = lab.fresh("carracing") if where == "explorers' games" else _driven(lab, seed)[0]
    warm_up, horizon = lab.length(50, 20), lab.length(100, 20)
    apart = astray(mdnrnn, data, warm_up, horizon, seed)
    looks = [k for k in LOOKS if k <= horizon]
    at = {f"{key}": [float(values[k - 1]) for k in looks] for key, values in vars(apart).items()}
    return {"n": sum(n > warm_up + horizon for n in data.lengths), "frames": looks, **at}


@torch.inference_mode()
def astray(mdnrnn: MDNRNN, data: Sequences, warm_up: int, horizon: int, seed: int) -> Apart:
    """Dreams under the recorded actions, from frame `warm_up` of each game that is long enough."""
    activity = kl_per_latent(data.mu, data.logvar).mean(0)
    active = activity >= activity.amax().clamp(max=0.1)
    deviation = data.mu.std(0)[active]
    z, actions = _long_ones(data, warm_up + horizon)
    _, begun = mdnrnn(z[:, :warm_up], actions[:, :warm_up])
    dreams = []
    for luck in (1, 2):
        chance, now, state, dreamt = generator_of(seed, "drift", luck), z[:, warm_up], begun, []
        for t in range(warm_up, warm_up + horizon):
            said, state = mdnrnn(now[:, None], actions[:, t : t + 1], state)
            uniform = torch.rand(said.mu.shape[:-1], generator=chance)
            normal = torch.randn(said.mu.shape[:-1], generator=chance)
            now = sample_mixture(said, uniform, normal)[:, 0]
            dreamt.append(now)
        dreams.append(torch.stack(dreamt, 1))  # (games, horizon, Z)

    def far(a: Tensor, b: Tensor) -> np.ndarray:
        return ((a - b)[..., active] / deviation).square().mean((0, 2)).sqrt().numpy()

    truth = z[:, warm_up + 1 : warm_up + horizon + 1]
    by_dream = np.sqrt(np.mean([far(dream, truth) ** 2 for dream in dreams], 0))
    return Apart(by_dream, far(*dreams), far(z[:, warm_up : warm_up + 1], truth))


def _long_ones(data: Sequences, least: int) -> tuple[Tensor, Tensor]:
    """z (n, least + 1, Z) and actions (n, least, A) of games longer than that, from their beginning."""
    ends, z, actions = np.cumsum(data.lengths), [], []
    for game, (end, length) in enumerate(zip(ends, data.lengths, strict=True)):
        if length > least:
            first = end - length
            z.append(data.mu[first + game : first + game + least + 1])
            actions.append(data.actions[first : first + least])
    return torch.stack(z), torch.stack(actions)


DRIFTS = tuple(
    f"{whose}, {where}"
    for whose in ("first M", "taught M")
    for where in ("explorers' games", "driver's games")
)
STUDIES = {
    "five": Study(("carracing", "takecover"), five, minutes=150),
    "speed": Study(("trained M", "untrained M"), speed, minutes=6),
    "drift": Study(DRIFTS, drift, minutes=30),
}
