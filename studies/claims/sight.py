"""V, and the games that it learns from: notebooks 01 and 02."""

import numpy as np
import torch

from studies.claims.lab import FRESH, Lab, Study, half_width
from wmlib.config import VAEConfig
from wmlib.data.explorers import BrownianPolicy, WhitePolicy
from wmlib.envs.carracing import CarRacing
from wmlib.measure.diagnostics import examine_vae
from wmlib.task import find_task
from wmlib.training import FitPlan, fit
from wmlib.vae import VAE, to_frames, to_images, vae_loss

STEPS, SQUARE = 200, 10.0
"""Frames of an explorer's game; metres of the side of a square."""


def explore(lab: Lab, name: str, seed: int) -> dict:
    """How much ground explorers cover, and how far they turn. (No picture is drawn: it is quick.)"""
    games = lab.share(256)
    places = [_places(name, FRESH + 1000 * seed + game) for game in range(games)]
    squares = np.array([len({tuple(place) for place in way // SQUARE}) for way in places])
    turned = np.array([_turned(way) for way in places])
    low, high = np.quantile(turned, [0.25, 0.75])
    return {
        "n": games,
        "squares": float(squares.mean()),
        "half": half_width(squares),
        "degrees": float(np.median(turned)),
        "quartiles": [float(low), float(high)],
    }


def _places(name: str, seed: int) -> np.ndarray:
    """Where the car was, (STEPS, 2), metres."""
    game = CarRacing()
    game.draws = False
    game.reset(seed=seed)
    lane, here, task = np.array([True]), [], find_task("carracing")
    if name == "white noise":
        actions = iter(np.random.default_rng(seed).uniform([-1, 0, 0], 1, (STEPS, 3)))
    else:
        policy = {"jumps": WhitePolicy, "wanders": BrownianPolicy}[name](task, 1)
        policy.restart(lane, [seed], None)
        actions = (policy.act(lane, None)[0].astype(float) for _ in range(STEPS))
    for action in actions:
        *_, over, _, _ = game.step(action)
        here.append(tuple(game.car.hull.position))  # else it moves on with the car
        if over:
            break
    return np.array(here)


def _turned(way: np.ndarray) -> float:
    """Degrees between the leftmost and the rightmost heading of a drive."""
    steps = np.diff(way, axis=0)
    moving = steps[np.linalg.norm(steps, axis=1) > 0.1]
    if not len(moving):
        return 0.0
    return float(np.degrees(np.ptp(np.unwrap(np.arctan2(moving[:, 1], moving[:, 0])))))


FREE = {"free bits 0": 0.0, "free bits 0.5": 0.5, "free bits 1": 1.0}


def picture(lab: Lab, name: str, seed: int) -> dict:
    """An autoencoder, or a V with so many free nats for each element: what it keeps, and what it paints
    of z that no frame had. Strangeness: squared error to the nearest real frame."""
    store = lab.games("carracing", lab.share(1000, 4))
    fresh = lab.games("carracing", lab.share(64, 4), FRESH)
    vae = _trained(lab, name, seed, store)
    rng = np.random.default_rng(seed)
    seen = fresh.sample_frames(rng, lab.share(1000, 20))
    report, pairs = examine_vae(vae, seen), rng.choice(len(seen), (lab.share(60), 2))
    flat = to_images(torch.from_numpy(store.sample_frames(rng, lab.share(2000, 20)))).flatten(1)
    with torch.inference_mode():
        mu = vae.encode(to_images(torch.from_numpy(seen)))[0]
        of = {
            "frame": mu[pairs[:, 0]],
            "half_way": (mu[pairs[:, 0]] + mu[pairs[:, 1]]) / 2,
            "invented": torch.randn(
                len(pairs), mu.shape[1], generator=torch.Generator().manual_seed(seed)
            ),
        }
        far = {key: _strangeness(vae, z, flat) for key, z in of.items()}
    return {
        "n": len(pairs),
        "squared_error": report.squared_error,
        "kl": float(report.kl.sum()),
        "active": len(report.active),
        **far,
    }


def _trained(lab: Lab, name: str, seed: int, store) -> VAE:
    """By the loop of notebook 02, on the games of the store."""
    size = {"steps": lab.share(900), "batch_size": lab.length(100, 8)}
    config = VAEConfig(free_bits=FREE.get(name, 0.0), **size)
    job = lab.job("vae", seed, name, config, len(store))
    torch.manual_seed(job.seed_of("weights"))
    vae = VAE(32).to(memory_format=torch.channels_last)

    def loss_of_step(step: int):
        x = to_images(torch.from_numpy(store.sample_frames(job.rng("frames", step), config.batch_size)))
        if name not in FREE:  # an autoencoder: z is a point, and costs nothing
            error = (vae.decode(vae.encode(x)[0]) - x).square().flatten(1).sum(1).mean()
            return error, {"squared_error": error}
        noise = torch.randn(len(x), 32, generator=job.generator(step))
        loss, error, kl = vae_loss(x, *vae(x, noise), config.free_bits)
        return loss, {"squared_error": error, "kl": kl}

    plan = FitPlan(config.steps, config.learning_rate, False, "float32", checkpoints=2)
    fit(vae, loss_of_step, plan, job)
    return vae


def _strangeness(vae: VAE, z: torch.Tensor, real: torch.Tensor) -> float:
    x = to_images(to_frames(vae.decode(z))).flatten(1)
    return float(torch.cdist(x, real).square().min(1).values.mean())


STUDIES = {
    "explore": Study(("white noise", "jumps", "wanders"), explore, seeds=(1,), minutes=2),
    "picture": Study(("autoencoder", *FREE), picture, minutes=60),
}
