"""About how long a run takes on this machine: its work is counted, and a little of each kind is timed.

A configuration says how much there is to do, apart from how long games last: `LASTS` has that from
recorded runs. `costs_here` does a little of each kind of work, for a moment. What whole runs take beyond
the sum of such moments (games that wait for the last one, batches that are not full) is in `BEYOND`.

    python -m wmlib.measure.pace RUN_FOLDER [PROFILE]

says of a finished run of a profile, by default laptop, what each stage took in its last sitting, and
what is foretold for it here.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wmlib.agent import Agent, load_agent
from wmlib.config import (
    DreamSearch,
    LearnOnConfig,
    MDNRNNConfig,
    Precision,
    RunConfig,
    Search,
    VAEConfig,
    Validation,
)
from wmlib.envs.frames import to_frame
from wmlib.mdnrnn import MDNRNN, mdnrnn_loss
from wmlib.runtime.cores import core_count
from wmlib.runtime.device import best_device, uses_bfloat16
from wmlib.runtime.log import each_event
from wmlib.runtime.place import AGENTS, REFERENCE
from wmlib.task import Task, find_profile, find_task
from wmlib.vae import VAE, to_images, vae_loss
from wmlib.worlds.perception import CHUNK, Perception

Work = Counter
"""How often each kind of work is done: begin (games begun), exact, sketch, stock or envpool (frames of
that game), see (frames that V and M are shown), vae and mdnrnn (frames that they are trained on),
dream (steps)."""


@dataclass(frozen=True)
class Lasts:
    """Frames for which games last, unless their horizon ends them: those of explorers, of candidates
    that patience may end, of an agent, and in dreams."""

    explorer: int = 10**9
    candidate: int = 10**9
    agent: int = 10**9
    dream: int = 10**9


LASTS = {"carracing": Lasts(candidate=750), "takecover": Lasts(300, 700, 800, 450)}

BEYOND = {"begin": 1.2, "see": 1.5, "vae": 1.15, "mdnrnn": 1.15, "dream": 1.3}
"""How much more a kind of work takes in whole runs than here; that of games is `BEYOND_OF_GAMES`."""
BEYOND_OF_GAMES = 1.5


def work_of(config: RunConfig) -> dict[str, Work]:
    """What each stage of a run has to do, by the stage's name."""
    lasts = LASTS.get(config.task, Lasts())
    return {stage: _STAGES[stage](config, lasts) for stage in config.stages}


def notebook_work() -> dict[str, tuple[str, Work]]:
    """What each notebook has to do in the laptop profile: the game, and the work. Beside a stage of the
    profile it is what its own cells do, counted by hand: a share of a notebook's minutes, but for 02."""
    laptop = work_of(find_profile("laptop", "carracing"))
    car, doom = "carracing", "takecover"
    return {
        "00": (car, _games("exact", 3, 600)),
        "01": (car, laptop["collect"] + _games("exact", 100, 800, 0)),
        "02": (car, laptop["vae"] + Work(vae=(900 + 900 + 300) * 100, see=20_000)),
        "03": (car, laptop["mdnrnn"] + _games("exact", 16, 300)),
        "04": (car, _games("exact", 1200, 150)),
        "05": (car, _games("exact", 400, 600) + Work(dream=(40 + 64 + 40 + 40) * 64 * 8 * 200)),
        "06": (doom, _games("exact", 700, 700) + Work(dream=16 * 1024 * 450 + 10 * 512 * 2000)),
    }


def _games(kind: str, games: float, frames: int, seen: int = 1) -> Work:
    """seen: how often V looks at each frame."""
    return Work({"begin": games, kind: games * frames, "see": seen * games * frames})


def _training(vae: VAEConfig | None = None, mdnrnn: MDNRNNConfig | None = None) -> Work:
    work = Work()
    if vae:
        work["vae"] = vae.steps * vae.batch_size
    if mdnrnn:
        work["mdnrnn"] = mdnrnn.steps * mdnrnn.batch_size * mdnrnn.sequence_length
    return work


def _asleep(search: DreamSearch, lasts: Lasts) -> Work:
    dreams = search.generations * search.population * search.episodes
    return Work({"dream": dreams * min(search.horizon, lasts.dream)})


def _tests(plan: Validation, search: Search, lasts: Lasts) -> Work:
    games = -(-search.generations // plan.every) * plan.episodes
    return _games("exact", games, min(plan.horizon, lasts.agent))


def _encoding(config: RunConfig, lasts: Lasts) -> Work:
    """The explorers' games through V; both ways, where a mirror shows the same game."""
    plan, ways = config.collect, 1 + find_task(config.task).symmetric
    return Work({"see": ways * plan.episodes * min(plan.horizon, lasts.explorer)})


def _collect(config: RunConfig, lasts: Lasts) -> Work:
    plan = config.collect
    length = lasts.agent if plan.policy == "agent" else lasts.explorer
    looks = int(plan.policy == "agent")
    return _games(config.machine.backend, plan.episodes, min(plan.horizon, length), looks)


def _vae(config: RunConfig, lasts: Lasts) -> Work:
    return _training(vae=config.vae)


def _mdnrnn(config: RunConfig, lasts: Lasts) -> Work:
    return _encoding(config, lasts) + _training(mdnrnn=config.mdnrnn)


def _dream(config: RunConfig, lasts: Lasts) -> Work:
    return _asleep(config.dream, lasts) + _tests(config.dream.validation, config.dream, lasts)


def _learning_on(plan: LearnOnConfig, config: RunConfig, lasts: Lasts) -> Work:
    """Its games are seen while they are played, and again by the new V, like the explorers' games."""
    games = _games(config.machine.backend, plan.episodes, min(plan.horizon, lasts.agent), 2)
    return games + _encoding(config, lasts) + _training(plan.vae, plan.mdnrnn)


def _iterate(config: RunConfig, lasts: Lasts) -> Work:
    plan = config.iterate
    asleep = _asleep(plan.dream, lasts) + _tests(plan.dream.validation, plan.dream, lasts)
    return _learning_on(plan, config, lasts) + asleep


def _refit(config: RunConfig, lasts: Lasts) -> Work:
    return _learning_on(config.refit, config, lasts)


def _rounds(config: RunConfig, lasts: Lasts) -> Work:
    plan = config.rounds
    one = _games(config.machine.backend, plan.games, min(plan.horizon, lasts.candidate))
    one += _training(mdnrnn=plan.mdnrnn) + _asleep(plan.dream, lasts)
    if plan.validation:
        one += _games("exact", plan.validation.episodes, min(plan.validation.horizon, lasts.agent))
    return _times(one, plan.rounds) + _encoding(config, lasts)


def _real(config: RunConfig, lasts: Lasts) -> Work:
    plan = config.real
    games = plan.generations * plan.population * (plan.episodes + plan.finals / 2)
    games += plan.population * (plan.coordinates.kind != "weights")
    played = _games(config.machine.backend, games, min(plan.horizon, lasts.candidate))
    return played + _tests(plan.validation, plan, lasts)


def _evaluate(config: RunConfig, lasts: Lasts) -> Work:
    plan = config.evaluate
    return _games("exact", plan.episodes, min(plan.horizon, lasts.agent))


def _times(work: Work, count: float) -> Work:
    return Work({kind: count * amount for kind, amount in work.items()})


_STAGES: dict[str, Callable[[RunConfig, Lasts], Work]] = {
    "collect": _collect, "vae": _vae, "mdnrnn": _mdnrnn, "dream": _dream, "iterate": _iterate,
    "rounds": _rounds, "refit": _refit, "real": _real, "evaluate": _evaluate,
}  # fmt: skip


def seconds_for(work: Work, costs: Mapping[str, float]) -> float:
    """What the work takes, where a unit of each kind takes so many seconds (see `costs_here`).

    Raises:
        KeyError: a kind of work was not measured.
    """
    return sum(
        amount * costs[kind] * BEYOND.get(kind, BEYOND_OF_GAMES)
        for kind, amount in work.items()
        if amount
    )


def costs_here(
    agent: Agent, games: Sequence[str], moment: float, known: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Seconds that a unit of each kind of work takes on this machine, on all cores that are ours.

    Args:
        games: the kinds of the game that are of interest. moment: seconds for each kind of work; what
            can't be done in so many takes longer. known: costs that need not be measured.
    """
    task, cores, costs = agent.task, core_count(), dict(known or {})
    for kind in games:
        begin, frame = _game_costs(task, kind, moment)
        costs = {"begin": begin / cores} | costs | {kind: frame / cores}
    costs["see"] = _each(_seeing(agent), moment) / CHUNK
    if "vae" not in costs:
        costs["vae"] = _each(_vae_step(task), moment) / 100
    costs["mdnrnn"] = _each(_mdnrnn_step(task), moment) / (100 * 20)
    precision = find_profile("laptop", task).dream.precision
    costs["dream"] = _each(_dreaming(agent, precision), moment) / DREAMS
    return costs


DREAMS = 1024
"""A generation of the laptop profiles."""


def _each(work: Callable[[], object], moment: float) -> float:
    """Seconds that the work takes, once it is under way: the quickest of what fits into the moment, for
    others may be at work here too."""
    work()
    taken: list[float] = []
    while not taken or sum(taken) < moment:
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


OPENING = 50
"""First frames of a game, which may take longer than others: the car's camera comes down then."""


def _game_costs(task: Task, kind: str, moment: float) -> tuple[float, float]:
    """Seconds for a game to begin, with what its opening takes more than later frames; and seconds for
    each of those; on one core."""
    spec, explorer = task.game(kind), next(iter(task.explorers.values()))(task, 1)
    game, one = spec.make(), np.ones(1, bool)
    game.reset(seed=0)
    began = time.perf_counter()
    picture, _ = game.reset(seed=1)
    explorer.restart(one, [1], to_frame(picture, spec.kept_rows)[None])
    times = [time.perf_counter()]
    over = False
    while not over and (len(times) <= OPENING + 10 or times[-1] - times[OPENING] < moment):
        picture, _, ended, cut, _ = game.step(explorer.act(one, None)[0])
        to_frame(picture, spec.kept_rows)
        over = ended or cut
        times.append(time.perf_counter())
    game.close()
    opening = min(OPENING, len(times) // 2)
    frame = float(np.median(np.diff(times[opening:])))
    return max(0.0, times[opening] - began - opening * frame), frame


def _seeing(agent: Agent) -> Callable[[], None]:
    """V and M are shown a frame in each of as many lanes as they take at once."""
    eyes, lanes = Perception(agent.vae, agent.mdnrnn, CHUNK), np.ones(CHUNK, bool)
    frames, actions = np.zeros((CHUNK, 64, 64, 3), np.uint8), torch.zeros(CHUNK, agent.task.action_size)

    def look() -> None:
        eyes.advance(actions)
        eyes.see(lanes, frames)

    return look


def _step_of(model: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], None]:
    """A step of a training on this machine's device, as `wmlib.training` makes it."""
    device = next(model.parameters()).device
    half = uses_bfloat16("auto", device)
    optimiser = torch.optim.Adam(model.parameters(), fused=True)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            value = loss()
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        value.item()

    return step


def _vae_step(task: Task) -> Callable[[], None]:
    device = best_device()
    vae = VAE(task.z_size).to(device, memory_format=torch.channels_last)
    frames = torch.randint(0, 256, (100, 64, 64, 3), dtype=torch.uint8)

    def loss() -> torch.Tensor:
        x = to_images(frames.to(device))
        reconstruction, *z = vae(x, torch.randn(100, task.z_size).to(device))
        return vae_loss(x, reconstruction.float(), *(part.float() for part in z))[0]

    return _step_of(vae, loss)


def _mdnrnn_step(task: Task) -> Callable[[], None]:
    """Sequences of 20 steps in place of 200: M takes them one step after the other."""
    device = best_device()
    mdnrnn, shape = MDNRNN(task).to(device), (100, 20)
    z = torch.randn(100, 21, task.z_size).to(device)
    actions, nothing = torch.zeros(*shape, task.action_size).to(device), torch.zeros(shape).to(device)

    def loss() -> torch.Tensor:
        said, _ = mdnrnn(z[:, :-1], actions, None, nothing.bool())
        return mdnrnn_loss(said, z[:, 1:], nothing, nothing, nothing + 1, MDNRNNConfig())[0]

    return _step_of(mdnrnn, loss)


def _dreaming(agent: Agent, precision: Precision) -> Callable[[], None]:
    """A step of a generation, in which C acts."""
    world = agent.dream(DREAMS, precision=precision)
    params = agent.params.expand(DREAMS, -1)
    world.reset(seed=[lane % 16 for lane in range(DREAMS)])

    @torch.inference_mode()
    def step() -> None:
        world.step(agent.controller.act(params, world.features()[:, None])[:, 0])

    return step


STARTS = 15.0
"""Seconds for a notebook to begin, load its packages and draw its pictures."""


@dataclass(frozen=True)
class Foretold:
    """About how many seconds a thing takes on this machine."""

    profiles: dict[tuple[str, str], dict[str, float]]
    """(game, profile) -> stage -> seconds"""
    notebooks: dict[str, float]
    """number -> seconds, in the laptop profile"""


def foretell(moment: float = 0.25) -> Foretold:
    """Time each kind of work for a moment, and calculate from that. Takes some five seconds."""
    costs, profiles, known = {}, {}, {}
    for name in AGENTS:
        works = {each: work_of(find_profile(each, name)) for each in find_task(name).profiles}
        agent = load_agent(REFERENCE / name)
        costs[name] = costs_here(agent, _games_in(works.values()), moment, known)
        known = {"vae": costs[name]["vae"]}  # V is nearly the same in all games
        for each, stages in works.items():
            profiles[name, each] = {
                stage: seconds_for(work, costs[name]) for stage, work in stages.items()
            }
    notebooks = {
        number: STARTS + seconds_for(work, costs[name])
        for number, (name, work) in notebook_work().items()
    }
    return Foretold(profiles, notebooks)


def _games_in(works: Iterable[dict[str, Work]]) -> list[str]:
    """The kinds of the game that are played there."""
    found = {kind for stages in works for work in stages.values() for kind in work}
    return sorted(found & {"exact", "sketch"})


def main(folder: Path, profile: str = "laptop") -> None:
    """Print what each stage of a finished run took, and what is foretold for it here."""
    config = find_profile(profile, json.loads((folder / "config.json").read_text())["task"])
    stages = work_of(config)
    costs = costs_here(load_agent(REFERENCE / config.task), _games_in([stages]), moment=1.0)
    print(f"{'stage':<12}{'took, s':>10}{'foretold, s':>14}{'ratio':>8}")
    for row in each_event(folder):
        if "wall_seconds" in row:
            took, said = row["wall_seconds"], seconds_for(stages[row["stage"]], costs)
            print(f"{row['stage']:<12}{took:>10.0f}{said:>14.0f}{said / took:>8.2f}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
