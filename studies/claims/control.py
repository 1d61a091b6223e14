"""C: notebooks 04 and 05."""

from dataclasses import replace

import cma
import numpy as np
import torch

from studies.claims.lab import Lab, Study, half_width
from studies.driving import drives
from studies.questions import reliability
from wmlib.agent import Agent
from wmlib.config import ControllerConfig, Search, Validation
from wmlib.controller import Controller
from wmlib.data.sequences import Sequences
from wmlib.evolution.cmaes import Judge, evolve, scores_in
from wmlib.evolution.space import SearchSpace
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.job import Job
from wmlib.worlds.moments import features_of
from wmlib.worlds.play import play
from wmlib.worlds.record import record

TRIED = 1_810_000
"""Seeds of games in which what has learned is tried; nothing was chosen by them."""


def _car(lab: Lab, mdnrnn: MDNRNN | None = None, controller: Controller | None = None) -> Agent:
    """The shipped agent's V, with this M, and a C of zeros."""
    agent = lab.agents["carracing"]
    controller = controller or agent.controller
    nothing = torch.zeros(controller.size)
    return replace(agent, mdnrnn=mdnrnn or agent.mdnrnn, controller=controller, params=nothing)


def _combinations(lab: Lab, agent: Agent, seed: int) -> SearchSpace:
    """A dozen that last, as in notebook 04."""
    seen = lab.learned_from("carracing").some(np.random.default_rng(seed), 60)
    return SearchSpace.predictive(
        agent.controller, agent.params, features_of(agent.mdnrnn, seen), components=12
    )


# What luck moves


def luck(lab: Lab, _: str, seed: int) -> dict:
    """Evolve as notebook 04 does, then let the last population drive on new tracks. slope: points there
    for each point that a candidate claimed above the others."""
    agent, people, tracks = _car(lab), lab.share(16, 4), 2
    space, frames = _combinations(lab, agent, seed), lab.length(250)
    options = {"popsize": people, "seed": seed, "verbose": -9}
    strategy = cma.CMAEvolutionStrategy(np.zeros(space.size), 0.3, options)
    with agent.real(people * tracks, lab.machine, frames, "sketch") as world:
        for generation in range(lab.share(30)):
            candidates = np.array(strategy.ask())
            seeds = np.random.default_rng([seed, generation]).integers(0, 1_000_000, tracks)
            points = play(world, agent.controller, space.params(candidates), seeds, patience=50)
            strategy.tell(candidates, (-points.mean(1)).tolist())
    new = TRIED + np.arange(lab.share(16))
    with agent.real(people * len(new), lab.machine, frames, "sketch") as world:
        again = play(world, agent.controller, space.params(candidates), new, patience=50)  # (people, n)
    claimed, worth = points.mean(1), again.mean(1)
    best = int(claimed.argmax())
    parts = reliability(again)
    return {
        "n": people,
        "tracks": len(new),
        "slope": float(np.polyfit(claimed, worth, 1)[0]),
        "best_claimed": float(claimed[best]),
        "best_worth": float(worth[best]),
        "all_claimed": float(claimed.mean()),
        "all_worth": float(worth.mean()),
        **{key: parts[key] for key in ("sd_candidate", "sd_track", "sd_rest")},
    }


# Learn asleep: what is promised and what is paid, generation by generation


FRAMES = 200
"""Of dreams and of games alike: promise and pay are of the same frames."""
CAREFUL = {"sigma": 0.05, "weight_decay": 300.0}
GREEDY = {"sigma": 0.15, "weight_decay": 0.0}
WAYS = {
    "careful": CAREFUL,
    "greedy": GREEDY,
    "greedy, tau 1.3": GREEDY | {"tau": 1.3},
    "greedy, taught M": GREEDY | {"taught": True},
    "careful, z alone": CAREFUL | {"inputs": "z"},
}
"""All with the shipped V. M has met explorers alone, but where it is taught: that is the shipped one."""


def asleep(lab: Lab, name: str, seed: int) -> dict:
    """Evolve in the dream. Every other generation the mean plays in both worlds, over the same frames:
    a driver cheats by what the dream promises it beyond what the game pays. The best in these tests is
    then tried on other tracks."""
    way = dict(WAYS[name])
    tau, taught = way.pop("tau", 1.0), way.pop("taught", False)
    controller = Controller(
        lab.agents["carracing"].task, ControllerConfig(inputs=way.pop("inputs", "zh"))
    )
    agent = _car(lab, None if taught else lab.first_m("carracing", seed), controller)
    frames, tests = lab.length(FRAMES), lab.share(12)
    size = {"population": lab.share(64, 8), "episodes": lab.share(8)}
    search = Search(generations=lab.share(40), horizon=frames, **size, **way)
    dreams = agent.dream(search.population * search.episodes, frames, tau)
    same, promised, paid = agent.dream(tests, frames, tau), [], []
    with agent.real(tests, lab.machine, frames) as game:

        def both(params, seeds):
            promised.append(play(same, controller, params, seeds)[0])
            paid.append(play(game, controller, params, seeds)[0])
            return paid[-1][None]

        space, judge = SearchSpace.plain(controller, agent.params), Judge(both, Validation(2, tests))
        job = Job("dream", seed, lab.log)
        progress = evolve(search, space, scores_in(dreams, controller), job, judge)
    cheats = [dreamt - real for dreamt, real in zip(promised, paid, strict=True)]
    best, last = (
        _tried(lab, replace(agent, params=params), frames) for params in (progress.best, progress.last)
    )
    return {
        "frames": frames,
        "tests": tests,
        "generations": [generation for generation, _ in progress.validated],
        "promised": [float(returns.mean()) for returns in promised],
        "paid": [float(returns.mean()) for returns in paid],
        "cheats": [float(each.mean()) for each in cheats],
        "half": [half_width(each) for each in cheats],
        "peak": progress.validated[int(np.argmax([score for _, score in progress.validated]))][0],
        "last": last["points"],
        "last_half": last["points_half"],
        **best,
    }


def _tried(lab: Lab, agent: Agent, frames: int) -> dict:
    """A driver on other tracks."""
    seeds = TRIED + np.arange(lab.share(16))
    return driving(recorded(lab, agent, seeds, frames), seeds)


def recorded(lab: Lab, agent: Agent, seeds: np.ndarray, frames: int) -> Sequences:
    with agent.real(len(seeds), lab.machine, frames) as game:
        params = agent.params.expand(len(seeds), -1)
        return record(game, agent.controller, params, seeds)


BEGIN = 50
"""Frames in which the camera zooms in, and cars set off: no steadiness is asked of them."""


def driving(games: Sequences, seeds: np.ndarray) -> dict:
    """Points; and how steadily the car goes: means over the games, and half their intervals. wheel: how
    far it moves from one frame to the next. sway: degrees by which the car's heading strays, to and fro,
    from its own mean over half a second. off: metres from the middle of the road."""
    wheel, sway, off, trace = [], [], [], []
    for drive, actions in zip(drives(games, seeds), games.actions.split(games.lengths), strict=True):
        begin = min(BEGIN, len(actions) // 2)
        steering = actions[begin:, 0].numpy()
        heading = np.degrees(np.unwrap(drive.heading))[begin:]
        wheel.append(np.abs(np.diff(steering)).mean())
        sway.append((heading - _smoothed(heading)).std())
        off.append(np.abs(drive.offset[begin:]).mean())
        if not trace:
            shown = steering[:120], (heading - _smoothed(heading))[:120]
            trace = [values.round(3).tolist() for values in shown]
    found = {"points": games.returns, "wheel": wheel, "sway": sway, "off": off}
    means = {key: float(np.mean(values)) for key, values in found.items()}
    halves = {f"{key}_half": half_width(values) for key, values in found.items()}
    return {"n": len(wheel), **means, **halves, "steering": trace[0], "heading": trace[1]}


def _smoothed(values: np.ndarray, over: int = 25) -> np.ndarray:
    """The mean over half a second around each frame."""
    over = min(over, len(values))
    weight = np.convolve(np.ones(len(values)), np.ones(over), "same")
    return np.convolve(values, np.ones(over), "same") / weight


# What h is worth to our driver: copies of it that see less


SEES = {"z and h": "zh", "z alone": "z", "h alone": "h"}


def copies(lab: Lab, name: str, seed: int) -> dict:
    """C's copies by least squares, as in notebook 05, on other tracks for each seed."""
    agent, games, frames = lab.agents["carracing"], lab.share(16), lab.length(400)
    shown = TRIED + 10_000 * seed + np.arange(games)
    kept = lab.job("whole", seed, games, frames)
    seen = Sequences.load(kept, agent.task, "delete it")
    if seen is None:
        seen = recorded(lab, agent, shown, frames)
        seen.save(kept)
    x = torch.cat(features_of(agent.mdnrnn, seen))
    inputs, outputs = agent.controller.layers[0]
    said = x @ agent.params[: inputs * outputs].view(inputs, outputs) + agent.params[inputs * outputs :]
    less = Controller(agent.task, ControllerConfig(inputs=SEES[name]))
    x = torch.cat([x[:, less.sees], torch.ones(len(x), 1)], 1).double()
    weights = torch.linalg.lstsq(x, said.double()).solution.float()
    told = 1 - (said - x.float() @ weights).var(0) / said.var(0)
    copy = replace(agent, controller=less, params=weights.flatten())
    tracks = shown + 5_000
    return {"told": told.tolist(), **driving(recorded(lab, copy, tracks, frames), tracks)}


# A trained M's memory, or an untrained one's


def awake(lab: Lab, whose: str, seed: int) -> dict:
    """Evolve in the game, its look-alike, with one or the other memory; then drive the game itself."""
    mdnrnn = lab.agents["carracing"].mdnrnn
    if whose == "untrained M":
        torch.manual_seed(seed)
        mdnrnn = MDNRNN(mdnrnn.task).eval()
    agent, frames = _car(lab, mdnrnn), lab.length(250)
    size = {"generations": lab.share(20), "population": lab.share(16, 4), "episodes": 2}
    search = Search(sigma=0.3, average=3, **size)
    with agent.real(search.population * 2, lab.machine, frames, "sketch") as world:
        score = scores_in(world, agent.controller, patience=50)
        found = evolve(search, _combinations(lab, agent, seed), score, Job("real", seed, lab.log))
    seeds = TRIED + np.arange(lab.share(32))
    with agent.real(len(seeds), lab.machine, frames) as game:
        points = play(game, agent.controller, found.best[None], seeds)[0]
    return {
        "n": len(seeds), "frames": frames, "points": float(points.mean()), "half": half_width(points)
    }  # fmt: skip


STUDIES = {
    "luck": Study(("the last population",), luck, minutes=40),
    "asleep": Study(tuple(WAYS), asleep, minutes=110),
    "copies": Study(tuple(SEES), copies, minutes=10),
    "awake": Study(("trained M", "untrained M"), awake, minutes=40),
}
