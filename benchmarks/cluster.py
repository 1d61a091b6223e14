"""python -m benchmarks.cluster: what it costs to have games played by dask's workers, and how it grows.

It measures on this machine, with 1, 2 and 4 workers, and writes what it found as JSON; `--page` then
writes the tables of docs/cluster.md from that file: those that were measured, and those that are
calculated from it.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.games import population
from benchmarks.table import machine
from wmlib.agent import Agent, load_agent
from wmlib.cluster import Cluster, Crew, Dreaming, Far, Rules
from wmlib.config import DreamSearch, Machine, Search
from wmlib.controller import Controller
from wmlib.evolution.cmaes import evolve
from wmlib.evolution.space import SearchSpace
from wmlib.runtime.disk import whole_file
from wmlib.runtime.files import REFERENCE, load_json, save_json
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog
from wmlib.worlds import RealWorld, play
from wmlib.worlds.perception import CHUNK

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "cluster.md"
MEASURED = ROOT / "benchmarks" / "cluster.json"
WORKERS = (1, 2, 4)


@dataclass(frozen=True)
class Size:
    """How much of everything is measured. games: of a generation in strong scaling, of each worker in
    weak. populations: of dream generations, 16 dreams each."""

    games: int
    horizon: int
    repeats: int
    round_trips: int
    populations: tuple[int, ...]
    dream_horizon: int


FULL = Size(32, 200, 3, 100, (4, 8, 16, 32, 64), 300)
QUICK = Size(8, 15, 1, 10, (4, 16), 20)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller, within two minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured here")
    parser.add_argument(
        "--page", action="store_true", help=f"measure nothing; write {PAGE.name} from {MEASURED.name}"
    )
    options = parser.parse_args(argv)
    if options.page:
        text = with_tables(PAGE.read_text(encoding="utf-8"), load_json(MEASURED))
        with whole_file(PAGE) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return 0
    found = measure(QUICK if options.quick else FULL)
    for name, text in tables(found).items():
        print(f"\n{name}\n{text}")
    if options.json:
        save_json(options.json, found)
    return 0


# What is measured


def measure(size: Size) -> dict:
    """Everything, as `tables` needs it. Workers have a thread each, so that here they are given one too,
    apart from what is called `here`."""
    agent = load_agent(REFERENCE / "carracing")
    found: dict = {"machine": machine(), "games": size.games, "horizon": size.horizon}
    print(found["machine"])
    params, seeds = _players(agent, size.games)
    with agent.real(size.games, Machine(), size.horizon) as world:
        found["here"] = _seconds(lambda: play(world, agent.controller, params, seeds), size.repeats)
    print(f"here: {found['here']:.2f} s a generation", flush=True)
    found["dreams"] = [{"population": p} for p in size.populations]
    for row in found["dreams"]:
        row["here"] = _dream_seconds(None, agent, row["population"], 0, size)
    found["one_core"] = _one_core(agent, size)
    found["cma"] = {"867": _cma_seconds(agent.controller), "64_games": 64 * 16}
    found["scaling"] = []
    for count in WORKERS:
        cluster = Cluster(f"local:{count}", RunLog(quiet=True))
        try:
            crew = Crew(cluster, lambda count=count: count)
            row = {"workers": count}
            row["strong"], row["sent"], row["received"] = _generation(crew, agent, size.games, size)
            row["weak"], _, _ = _generation(crew, agent, size.games // 2 * count, size)
            row["alone"], row["together"], row["client"] = _round_trips(crew, agent, size)
            found["scaling"].append(row)
            print(row, flush=True)
            if count == 2:
                for dreams in found["dreams"]:
                    batch = dreams["population"] * 16 // 2
                    dreams["spread"] = _dream_seconds(crew, agent, dreams["population"], batch, size)
        finally:
            cluster.shutdown()
    far = Far(crew, agent.task, Rules(1), {"vae": agent.vae, "mdnrnn": agent.mdnrnn})
    found["weights"] = sum(map(len, far.weights.values()))
    return found


def _players(agent: Agent, games: int) -> tuple[torch.Tensor, list[int]]:
    """A population that drives, on four tracks each."""
    return population(agent, games // 4), [1, 2, 3, 4]


def _seconds(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats + 1):  # at first, games have to be opened
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return median(times[1:])


def _generation(crew: Crew, agent: Agent, games: int, size: Size) -> tuple[float, float, float]:
    """Seconds of a generation; bytes sent and received with each order."""
    far = Far(crew, agent.task, Rules(size.horizon), {"vae": agent.vae, "mdnrnn": agent.mdnrnn})
    params, seeds = _players(agent, games)
    seconds = _seconds(lambda: play(far, agent.controller, params, seeds), size.repeats)
    traffic, before = crew.traffic, vars(crew.traffic).copy()
    play(far, agent.controller, params, seeds)
    orders = traffic.orders - before["orders"]
    each = [(getattr(traffic, name) - before[name]) / orders for name in ("sent", "received")]
    return seconds, *each


def _round_trips(crew: Crew, agent: Agent, size: Size) -> tuple[float, float, float]:
    """Seconds of an order of next to nothing: one after the other, and many at once; and of the client's
    processor, for each of many."""
    rules = Rules(1, dream=Dreaming(1.0, "cutoff", "float32"))
    far = Far(crew, agent.task, rules, {"mdnrnn": agent.mdnrnn, "starts": agent.starts}, batch=1)
    params = agent.params[None]
    alone = _seconds(lambda: play(far, agent.controller, params, [1]), size.round_trips)
    seeds = list(range(size.round_trips))
    began, used = time.perf_counter(), time.process_time()
    play(far, agent.controller, params, seeds)
    together, used = time.perf_counter() - began, time.process_time() - used
    return alone, together / len(seeds), used / len(seeds)


def _dream_seconds(crew: Crew | None, agent: Agent, members: int, batch: int, size: Size) -> float:
    """Seconds of a generation of dreams: whole and here, or in batches of the crew's."""
    search = DreamSearch(population=members, episodes=16, horizon=size.dream_horizon)
    dream = agent.dream_for(search, 1.0)
    if crew:
        rules = Rules(search.horizon, dream=Dreaming(1.0, search.end, "float32"))
        models = {"mdnrnn": agent.mdnrnn, "starts": agent.starts}
        dream = Far(crew, agent.task, rules, models, batch)
    params, seeds = population(agent, members), list(range(16))
    return _seconds(lambda: play(dream, agent.controller, params, seeds), size.repeats)


def _one_core(agent: Agent, size: Size) -> dict[str, float]:
    """On one core, milliseconds: a batch of V and M, a frame of a game, and its beginning."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with RealWorld(agent.vae, agent.mdnrnn, CHUNK, 1, size.horizon) as world:
            many = np.ones(CHUNK, bool)
            world.reset(seed=list(range(CHUNK)))  # the process is there, then
            began = time.perf_counter()
            frames = world.games.reset(list(range(CHUNK)))
            beginning = (time.perf_counter() - began) / CHUNK
            actions = np.tile([0.0, 0.3, 0.0], (CHUNK, 1))
            game = _seconds(lambda: world.games.step(actions, many), size.horizon) / CHUNK

            def see() -> None:
                world.perception.see(many, frames)
                world.perception.advance(torch.from_numpy(actions).float())

            batch = _seconds(see, size.horizon)
    finally:
        torch.set_num_threads(threads)
    return {"batch": 1000 * batch, "frame": 1000 * game, "beginning": 1000 * beginning}


def _cma_seconds(controller: Controller, generations: int = 6) -> float:
    """Seconds that CMA-ES itself takes for a generation of 64, in all of C's weights."""
    search = Search(generations=generations, population=64, episodes=1)
    space = SearchSpace.plain(controller, torch.zeros(controller.size))
    times: list[float] = []

    def nothing(params: torch.Tensor, seeds: np.ndarray) -> np.ndarray:
        times.append(time.perf_counter())
        return params.square().sum(1, keepdim=True).double().numpy()

    evolve(search, space, nothing, Job("cma"))
    return median(np.diff(times))


# What is calculated

BANDWIDTH = 125e6
"""Bytes a second of the client's network in the calculation: a gigabit."""
GAMES, FRAMES = 64 * 16, 1000
"""The paper's generation."""
CORES = (64, 256, 1024)


@dataclass(frozen=True)
class Plan:
    """Seconds of a generation of the paper's size over so many cores, by calculation, and of its parts.

    wide: games of an order. playing: what each worker plays. client: what the client's processor does
    for the orders. network: what goes through the client's network. first: what V and M cost once.
    """

    cores: int
    wide: int
    playing: float
    client: float
    network: float
    cma: float
    first: float

    @property
    def generation(self) -> float:
        # Orders are handed out while others are played, but the last one waits for all before it.
        return self.playing + self.client + self.network + self.cma

    @property
    def bottleneck(self) -> str:
        parts = {
            "playing": self.playing, "the client's orders": self.client,
            "the network": self.network, "CMA-ES": self.cma,
        }  # fmt: skip
        return max(parts, key=parts.__getitem__)


def plan(found: dict, cores: int) -> Plan:
    """Each worker plays its share of 1,024 games of 1,000 frames; each step costs it one batch of V and
    M, however few games it has."""
    one, row = found["one_core"], found["scaling"][-1]
    parts = max(GAMES // CHUNK, min(cores, GAMES))
    wide = math.ceil(GAMES / parts)
    turns = math.ceil(GAMES / wide / cores)
    step = one["batch"] + wide * one["frame"]
    playing = turns * (FRAMES * step + wide * one["beginning"]) / 1000
    orders = math.ceil(GAMES / wide)
    network = orders * (row["sent"] + row["received"]) / BANDWIDTH
    first = cores * found["weights"] / BANDWIDTH
    return Plan(cores, wide, playing, orders * row["client"], network, found["cma"]["867"], first)


# What the page shows


def tables(found: dict) -> dict[str, str]:
    """The page's tables, by name, as Markdown."""
    rows, one = found["scaling"], found["one_core"]
    scaling = _table(
        ["workers", "strong, s", "speed-up", "weak, s", "bytes there, back", "ms alone", "ms of many"],
        [
            [
                str(row["workers"]), f"{row['strong']:.2f}", f"{rows[0]['strong'] / row['strong']:.2f}",
                f"{row['weak']:.2f}", f"{row['sent']:,.0f}, {row['received']:,.0f}",
                f"{1000 * row['alone']:.1f}", f"{1000 * row['together']:.1f}",
            ]
            for row in rows
        ],
    )  # fmt: skip
    here = (
        f"Without a scheduler the generation of {found['games']} games of {found['horizon']} frames "
        f"took {found['here']:.2f} s. Measured on: {found['machine']}."
    )
    dreams = _table(
        ["population", "whole, here, s", "halves, by two workers, s"],
        [[str(r["population"]), f"{r['here']:.2f}", f"{r['spread']:.2f}"] for r in found["dreams"]],
    )
    plans = _table(
        [
            "cores", "games an order", "playing, s", "orders, s", "network, s", "CMA-ES, s",
            "**a generation, s**", "most of it is", "1,800 generations, days", "at first, s",
        ],
        [
            [
                f"{p.cores:,}", str(p.wide), f"{p.playing:.1f}", f"{p.client:.2f}", f"{p.network:.2f}",
                f"{p.cma:.2f}", f"**{p.generation:.0f}**", p.bottleneck,
                f"{1800 * p.generation / 86400:.1f}", f"{p.first:.0f}",
            ]
            for p in (plan(found, cores) for cores in CORES)
        ],
    )  # fmt: skip
    origin = (
        "Calculated from what was measured there: a batch of V and M takes a core "
        f"{one['batch']:.1f} ms, a frame of a game {one['frame']:.2f} ms, the beginning of a game "
        f"{one['beginning']:.0f} ms; an order takes the client's processor "
        f"{1000 * rows[-1]['client']:.1f} ms; V and M are {found['weights'] / 1e6:.0f} MB. And from a "
        f"network of {BANDWIDTH / 1e6:.0f} MB a second."
    )
    return {"scaling": f"{scaling}\n\n{here}", "dreams": dreams, "plan": f"{plans}\n\n{origin}"}


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_tables(page: str, found: dict) -> str:
    """The page with its tables written anew, each between its two marks."""
    for name, text in tables(found).items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        head, _, rest = page.partition(begin)
        _, _, tail = rest.partition(end)
        page = f"{head}{begin}{text}\n{end}{tail}"
    return page


if __name__ == "__main__":
    sys.exit(main())
