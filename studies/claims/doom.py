"""Temperature: notebook 06."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from studies.claims.lab import Lab, Study, half_width
from wmlib.agent import Agent, load_agent
from wmlib.config import TAUS, Coordinates, DreamSearch, EvaluateConfig, TableConfig
from wmlib.data.sequences import Sequences
from wmlib.evolution.cmaes import evolve, scores_in
from wmlib.evolution.space import SearchSpace, fitted_space
from wmlib.mdnrnn import MDNRNN, sample_mixture
from wmlib.measure.temperature import controller_file, learn_at, measure
from wmlib.runtime.job import Job
from wmlib.runtime.place import REFERENCE
from wmlib.runtime.seeds import generator_of
from wmlib.task import find_profile
from wmlib.worlds.moments import moments
from wmlib.worlds.play import play
from wmlib.worlds.record import record

TRIED = 1_820_000
"""Seeds of games and dreams in which players are compared; nothing was chosen by them."""
PLAYERS = {
    "the agent": "controller.safetensors",
    "who stays": "",
    "learned at 0.1": controller_file(0.1),
    "learned at 1.3": controller_file(1.3),
}


def _player(lab: Lab, name: str) -> Agent:
    """The shipped V and M, with this C."""
    agent = lab.agents["takecover"]
    if not PLAYERS[name]:
        return replace(agent, params=torch.zeros_like(agent.params))
    return replace(agent, params=load_agent(REFERENCE / "takecover", PLAYERS[name]).params)


# The order over tau


HEATS = (0.1, 0.5, 1.0, 1.15, 1.3, 1.5)


def players(lab: Lab, name: str, seed: int) -> dict:
    """How long a player lives in dreams of six temperatures, under the same luck. step: how much longer
    than in the same dreams of the temperature before."""
    agent, dreams, horizon = _player(lab, name), lab.share(500), lab.length(2100)
    seeds = TRIED + 10_000 * seed + np.arange(dreams)
    lived = np.array([
        play(agent.dream(dreams, horizon, tau), agent.controller, agent.params[None], seeds)[0]
        for tau in HEATS
    ])  # fmt: skip
    steps = np.diff(lived, axis=0)
    return {
        "n": dreams,
        "taus": list(HEATS),
        "lived": lived.mean(1).tolist(),
        "half": [half_width(each) for each in lived],
        "step": steps.mean(1).tolist(),
        "step_half": [half_width(each) for each in steps],
    }


# A hot school and a cold one


def school(lab: Lab, name: str, seed: int) -> dict:
    """C learns in dreams alone, as notebook 06 does it; its last mean is scored, in its dream and in the
    game."""
    agent, horizon = lab.agents["takecover"], lab.length(2100)
    search = find_profile("laptop", "takecover").dream
    search = replace(search, horizon=horizon, start="zero", average=3)
    size = {"generations": lab.share(16), "population": lab.share(search.population, 8)}
    size["episodes"] = lab.share(search.episodes)
    if name == "cold":
        size |= {"generations": lab.share(10), "episodes": lab.share(8), "average": 1}
        way = {"tau": 0.1, "end": "cutoff", "sigma": 0.1, "coordinates": Coordinates("weights")}
        search = replace(search, **way)
    search = replace(search, **size)
    beginner = replace(agent, params=torch.zeros_like(agent.params))

    def look() -> Sequences:
        return _games(lab, agent, 700_000 + 1000 * seed, lab.share(64))

    space = fitted_space(search.coordinates, beginner, look, seed, search.precision)
    dreams = agent.dream_for(search, search.tau)
    found = evolve(search, space, scores_in(dreams, agent.controller), Job("dream", seed, lab.log))
    seeds = TRIED + 10_000 * seed + np.arange(lab.share(64))
    asleep = agent.dream(len(seeds), horizon, search.tau, search.end)
    promised = play(asleep, agent.controller, found.best[None], seeds)[0]
    with agent.real(len(seeds), lab.machine, horizon) as game:
        paid = play(game, agent.controller, found.best[None], seeds)[0]
    return {
        "n": len(seeds),
        "promised": float(promised.mean()),
        "paid": float(paid.mean()),
        "half": half_width(paid),
        "cheats": float((promised - paid).mean()),
        "cheats_half": half_width(promised - paid),
    }


def _games(lab: Lab, agent: Agent, first_seed: int, games: int) -> Sequences:
    """Games that the agent plays."""
    kept = lab.job("takecover-played", first_seed, games, agent.params.tolist(), lab.length(2100))
    seen = Sequences.load(kept, agent.task, "delete it")
    if seen is None:
        with agent.real(games, lab.machine, lab.length(2100)) as game:
            params = agent.params.expand(games, -1)
            seen = record(game, agent.controller, params, first_seed + np.arange(games))
        seen.save(kept)
    return seen


# Deaths that a dream lets off


BEFORE, AFTER = 25, 75
"""Tics before a death at which M closes its eyes; tics after it for which the dream is watched."""


def deaths(lab: Lab, name: str, seed: int) -> dict:
    """In how many cases a dream from shortly before a death goes on long after it; and from as many
    moments at which nobody died in the game. The actions are those of the game as long as it lasts, then
    C's."""
    agent = _player(lab, name)
    games = _games(lab, agent, TRIED + 1_000 * seed, lab.share(64))
    ends = np.cumsum(games.lengths)
    died = games.dones[ends - 1].numpy() > 0.5
    rng, least = np.random.default_rng(seed), BEFORE + 2
    long = BEFORE + AFTER + 4
    dying = [n - 1 if d and n > least else None for n, d in zip(games.lengths, died, strict=True)]
    living = [int(rng.integers(BEFORE, n - AFTER - 2)) if n > long else None for n in games.lengths]
    counts = [sum(t is not None for t in at) for at in (dying, living)]
    found: dict = dict(zip(("n", "n_living"), counts, strict=True))
    for tau in (0.1, 1.15):
        for what, at in (("deaths", dying), ("others", living)):
            on = goes_on(agent, games, at, tau, seed)
            share = float(on.mean()) if len(on) else float("nan")
            found |= {f"{what}_{tau}": share, f"{what}_{tau}_half": half_width(on)}
    return found


@torch.inference_mode()
def goes_on(agent: Agent, games: Sequences, at: list[int | None], tau: float, seed: int) -> np.ndarray:
    """Whether the dream that begins `BEFORE` tics before step `at` of a game still goes on `AFTER` tics
    after it, (n,) bool. Games without such a step are left out."""
    mdnrnn, C = agent.mdnrnn, agent.controller
    chosen = [np.array([t - BEFORE] if t is not None else [], int) for t in at]
    which = np.array([g for g, t in enumerate(at) if t is not None])
    if not len(which):
        return np.zeros(0, bool)
    begins = np.array([at[g] for g in which]) - BEFORE
    which = which[np.lexsort((which, begins))]  # `moments` gives them in the order of time
    start = moments(mdnrnn, games, chosen)
    z, h, c = start.mu, start.h, start.c
    first = np.cumsum([0, *games.lengths])[which]
    last = np.array([at[g] for g in which])
    chance, over = generator_of(seed, "goes on", tau), np.zeros(len(which), bool)
    for t in range(BEFORE + AFTER + 1):
        actions = C.act(agent.params[None], agent.task.features(z, h, c)[None])[0]
        if t <= BEFORE:  # the game's own, up to the step at which it ended
            actions = games.actions[torch.from_numpy(first + last - BEFORE + t)]
        z, h, c, ends = _step(mdnrnn, z, actions, h, c, tau, chance)
        over |= ends
    return ~over


def _step(mdnrnn: MDNRNN, z: Tensor, actions: Tensor, h: Tensor, c: Tensor, tau: float, chance):
    inputs = mdnrnn.inputs(z, actions, torch.zeros(len(z), dtype=torch.bool))
    out, (h, c) = mdnrnn.lstm(inputs[:, None], (h[None], c[None]))
    said = mdnrnn.predict(out[:, 0])
    uniform = torch.rand(z.shape, generator=chance)
    z = sample_mixture(said, uniform, torch.randn(z.shape, generator=chance), tau)
    return z, h[0], c[0], (said.done_logit > 0).numpy()


# The table, made with an M that has met explorers alone


def first_table(lab: Lab, name: str, seed: int) -> dict:
    """A row of the paper's table by an M that never met C: does a cold dream teach nothing then?"""
    agent, tau = lab.agents["takecover"], float(name)
    agent = replace(agent, mdnrnn=lab.first_m("takecover", seed))
    horizon, games = lab.length(2100), lab.share(100)
    search = DreamSearch(
        generations=lab.share(16), population=lab.share(64, 8), episodes=lab.share(16), horizon=horizon
    )
    space = SearchSpace.plain(agent.controller, torch.zeros_like(agent.params))
    params = learn_at(tau, agent, space, search, Job("table", seed, lab.log))
    scored = EvaluateConfig(games, TableConfig().first_seed, horizon)
    row = measure(tau, replace(agent, params=params), search, scored, lab.machine, lab.log)
    stays = agent.dream(games, horizon, tau)
    nobody = play(stays, agent.controller, torch.zeros(1, len(params)), TRIED + np.arange(games))[0]
    return {
        "n": games,
        "dream": row.dream.mean,
        "real": row.real.mean,
        "half": half_width(np.array(row.real.returns)),
        "stays": float(nobody.mean()),  # who stays, in the same dreams: does anything fly there?
        "stays_half": half_width(nobody),
    }


STUDIES = {
    "players": Study(tuple(PLAYERS), players, seeds=(1,), minutes=12),
    "school": Study(("hot", "cold"), school, minutes=60),
    "deaths": Study(("the agent", "learned at 0.1"), deaths, seeds=(1,), minutes=5),
    "table": Study(tuple(map(str, TAUS)), first_table, seeds=(1,), minutes=130),
}
