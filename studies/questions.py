"""What holds the car back: cheap questions first, so that their answers put the levers in order.

    python -m studies.questions endings        how games end that are not finished: 256 of them
    python -m studies.questions ranking        how much of a ranking is luck, by the number of tracks
    python -m studies.questions eyes           what V and M hold of the driver's and explorers' frames
    python -m studies.questions basis          how many combinations of features tell what a driver does

Each writes a part of studies/results/questions.json. Whether the search was starved, `studies.levers`
and the curve of a longer run tell. On two slow cores endings and ranking take ten minutes and 50, the
others some four each.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from studies.driving import AHEAD, Drive, drive_again, drives
from studies.table import answer, run
from wmlib.agent import Agent, load_agent
from wmlib.config import FIDELITY_SEEDS, CollectConfig, Machine
from wmlib.data.sequences import Sequences
from wmlib.evolution.cmaes import scores_in
from wmlib.evolution.space import SearchSpace
from wmlib.measure.diagnostics import linear_probe
from wmlib.measure.evaluation import bootstrap_interval
from wmlib.runtime.files import as_json
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog
from wmlib.runtime.place import REFERENCE
from wmlib.stages.collect import collect
from wmlib.training import encode_store
from wmlib.vae import reconstruction_error, to_images
from wmlib.worlds.moments import features_of
from wmlib.worlds.record import record

RESULTS = Path("studies/results/questions.json")
ENDINGS = ("finished", "out of time", "missed tiles", "spun")
TRACKS = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64)


def driver_games(agent: Agent, games: int) -> tuple[Sequences, np.ndarray]:
    """Games that the agent drives on validation tracks, in the exact game, and their seeds."""
    seeds = FIDELITY_SEEDS + np.arange(games)
    with agent.real(games) as world:
        params = agent.params.expand(games, -1)
        return record(world, agent.controller, params, seeds, log=RunLog()), seeds


def endings(agent: Agent, games: int) -> dict:
    """How games end, and what they cost."""
    seen, seeds = driver_games(agent, games)
    driven = drives(seen, seeds)
    of = {ending: [d for d in driven if d.ending == ending] for ending in ENDINGS}
    returns = np.array([d.reward for d in driven])
    finished = float(np.mean([d.reward for d in of["finished"]])) if of["finished"] else float("nan")
    return {
        "n": games,
        "first_seed": FIDELITY_SEEDS,
        "frames": sum(seen.lengths),
        "mean": float(returns.mean()),
        "sd": float(returns.std(ddof=1)),
        "ci95": bootstrap_interval(returns),
        "endings": {ending: _summary(part, finished, games) for ending, part in of.items()},
    }


def _summary(part: list[Drive], finished: float, games: int) -> dict:
    """n; their mean; by how many points they lower the mean of all, below that of the finished."""
    if not part:
        return {"n": 0}
    return {
        "n": len(part),
        "mean": float(np.mean([d.reward for d in part])),
        "costs": float(sum(finished - d.reward for d in part) / games),
        "missed": float(np.mean([len(d.missed) for d in part])),
        "tiles": float(np.mean([d.tiles for d in part])),
        "speed": float(np.mean([d.speed.mean() for d in part])),
        "grass": float(np.mean([(d.grass >= 2).sum() for d in part])),
        "stretches": dict(sorted(Counter(_stretches(d.missed) for d in part).items())),
    }


def _stretches(missed: np.ndarray) -> int:
    """In how many places tiles are missing."""
    return int((np.diff(missed) > 1).sum() + 1) if len(missed) else 0


def ranking(agent: Agent, games: int) -> dict:
    """Candidates of a late generation on common tracks: what part of their differences is theirs."""
    own, _ = driver_games(agent, 16)
    features = features_of(agent.mdnrnn, own)
    space = SearchSpace.predictive(agent.controller, agent.params, features, 24)
    rng = np.random.default_rng(0)
    params = space.params(rng.standard_normal((games, space.size)) * 0.06)
    seeds = FIDELITY_SEEDS + 10_000 + np.arange(games)
    with agent.real(games * games, Machine(), kind="sketch") as world:
        returns = scores_in(world, agent.controller)(params, seeds)
        frames = world.steps_played
    asked = {"candidates": games, "tracks": games, "first_seed": int(seeds[0]), "sigma": 0.06}
    return asked | {"frames": frames} | reliability(returns)


def reliability(returns: np.ndarray) -> dict:
    """Of returns (P, R): the parts of their variance, and the correlation of a ranking by k common
    tracks with the true one, by two-way analysis of variance."""
    candidates, tracks = returns.shape
    whole, mine, theirs = returns.mean(), returns.mean(1), returns.mean(0)
    rest = returns - mine[:, None] - theirs + whole
    noise = (rest**2).sum() / ((candidates - 1) * (tracks - 1))
    of_candidate = max(0.0, mine.var(ddof=1) - noise / tracks)
    of_track = max(0.0, theirs.var(ddof=1) - noise / candidates)
    return {
        "sd_candidate": float(np.sqrt(of_candidate)),
        "sd_track": float(np.sqrt(of_track)),
        "sd_rest": float(np.sqrt(noise)),
        "correlation": {k: float(np.sqrt(of_candidate / (of_candidate + noise / k))) for k in TRACKS},
    }


def eyes(agent: Agent, games: int) -> dict:
    """V's error, and linear probes of what a driver ought to know."""
    driven, seeds = driver_games(agent, games)
    folder = Path("runs/questions/explored")
    config = CollectConfig(episodes=games, horizon=200, first_seed=FIDELITY_SEEDS - 600_000)
    job = Job("collect", 1, RunLog(), folder, "explored")
    store = collect(agent.task, config, Machine(), job)
    explored = encode_store(agent.vae, store)
    return {
        "games": games,
        "first_seed": FIDELITY_SEEDS,
        "driver": _seen(agent, driven, seeds),
        "explorers": _seen(agent, explored, np.array(store.seeds)),
    }


def _seen(agent: Agent, games: Sequences, seeds: np.ndarray) -> dict:
    ends, rng = np.cumsum(games.lengths), np.random.default_rng(0)
    errors, truth, z, zh = [], [], [], []
    features = features_of(agent.mdnrnn, games)
    for number, (seed, end, length) in enumerate(zip(seeds, ends, games.lengths, strict=True)):
        actions = games.actions[end - length : end].numpy()
        chosen = np.sort(rng.choice(np.arange(50, length), min(24, length - 50), replace=False))
        drive, frames = drive_again(seed, actions, chosen)
        images = to_images(torch.from_numpy(frames))
        with torch.inference_mode():
            errors.append(reconstruction_error(agent.vae, images).numpy())
        rows = chosen[chosen < len(drive.speed)]
        truth.append(np.column_stack([column[rows] for column in drive.truth.values()]))
        features_here = features[number][rows + 1].numpy()  # what is seen after the step
        z.append(features_here[:, : agent.task.z_size])
        zh.append(features_here)
    truth, z, zh = map(np.concatenate, (truth, z, zh))
    names = ["offset", "heading", "slip", "speed", *(f"bend in {d:g} m" for d in AHEAD)]
    return {
        "frames": len(truth),
        "squared_error": float(np.concatenate(errors).mean()),
        "r2_z": {name: linear_probe(z, truth[:, i]) for i, name in enumerate(names)},
        "r2_zh": {name: linear_probe(zh, truth[:, i]) for i, name in enumerate(names)},
    }


def basis(agent: Agent, games: int) -> dict:
    """How much of a driver's outputs the first k predictive combinations tell, linearly."""
    driven, _ = driver_games(agent, games)
    features = features_of(agent.mdnrnn, driven)
    every = torch.cat([f[50:] for f in features]).numpy()
    inputs, outputs = agent.controller.layers[0]
    weights = agent.params[: inputs * outputs].view(inputs, outputs).numpy()
    raw = every @ weights + agent.params[inputs * outputs :].numpy()
    space = SearchSpace.predictive(agent.controller, agent.params, features, None)
    rows = np.random.default_rng(0).choice(len(every), min(8000, len(every)), replace=False)
    rows.sort()
    names = list(agent.task.actions)
    counts = [k for k in (4, 8, 16, 24, 32, 48, 64, 96, 128, 192) if k < inputs] + [inputs]
    return {
        "games": games,
        "first_seed": FIDELITY_SEEDS,
        "frames": sum(driven.lengths),
        "r2": {
            name: {
                k: linear_probe((every @ space.basis[:, :k].numpy())[rows], raw[rows, i], 1e-6)
                for k in counts
            }
            for i, name in enumerate(names)
        },
    }


QUESTIONS = {
    "endings": (endings, 256),
    "ranking": (ranking, 48),
    "eyes": (eyes, 48),
    "basis": (basis, 32),
}
"""Each, and how many games it asks by default."""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m studies.questions",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add("question", choices=QUESTIONS)
    add("--agent", type=Path, default=REFERENCE / "carracing", help="a folder of weights: the shipped")
    add("--games", type=int, help="by default 256, 48 (candidates, and as many tracks), 48 and 32")
    add("--name", default="laptop", help="what the agent is called in the results: %(default)s")
    add("--out", type=Path, default=RESULTS, help="where the answer is kept: %(default)s")
    args = parser.parse_args(argv)
    ask, games = QUESTIONS[args.question]
    agent = load_agent(args.agent)
    found = answer(args.out, args.name, args.question, ask=partial(ask, agent, args.games or games))
    print(as_json(found, indent=1))


if __name__ == "__main__":
    run(main)
