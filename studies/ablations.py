"""What each part of the agent is worth, and what a dream teaches: each without, at equal effort.

    python -m studies.ablations --out studies/results/ablations.json

Parts: C is evolved in the game, without h, with a hidden layer, with an M that never learned. It begins
at zero, and moves in the combinations that foretell best of what it sees. Two rows need no search: the C
that sees all, with its weights on h put to zero, or with z drawn by chance from what V holds possible.
Dreams: C learns in dreams alone that are plain, tempered, with dropout, or taught in rounds (see
`studies.teaching`). All are scored on 100 tracks of the exact game.

Parts take some two and a half hours on two slow cores, dreams some two: `--only` takes one of them. What
the table holds of the same effort is not made again, and what was broken off goes on.
"""

import argparse
import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from studies.search import Effort, scored, search
from studies.table import Table, run
from studies.teaching import LESSONS, teach
from wmlib.agent import Agent, load_agent
from wmlib.config import REPORTING_SEEDS, ControllerConfig, Coordinates, Machine, RealConfig
from wmlib.controller import Controller
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.place import REFERENCE
from wmlib.runtime.seeds import generator_of, seed_of
from wmlib.worlds.real import RealWorld

FIRST_SEED = REPORTING_SEEDS + 600_000
"""Of the tracks for the scores: no other score stands on them."""
CONFIG = RealConfig(
    start="zero",
    population=32,
    episodes=3,
    sigma=0.3,
    weight_decay=0.0,
    patience=80,
    charge=True,
    average=3,
    coordinates=Coordinates("predictive", 24),
)
ALL, SILENT, DRAWN = "z and h", "its h put to zero", "its z drawn by chance"


def without(part: str, agent: Agent, seed: int) -> Agent:
    """The agent with C = 0, and without this part."""
    shapes = {
        "z alone": ControllerConfig(inputs="z"),
        "z, a hidden layer": ControllerConfig(inputs="z", hidden=40),
    }
    controller = Controller(agent.task, shapes.get(part, ControllerConfig()))
    if part == "z and h of an untrained M":
        torch.manual_seed(seed_of(seed, "untrained"))
        agent = replace(agent, mdnrnn=MDNRNN(agent.task).eval())
    return replace(agent, controller=controller, params=torch.zeros(controller.size))


PARTS = (ALL, "z alone", "z, a hidden layer", "z and h of an untrained M")


class SampledWorld(RealWorld):
    """The game as an agent sees it whose z is drawn by chance: mu + sigma epsilon, in place of mu."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self._generator = generator_of("sampled")

    def reset(self, **how):
        super().reset(**how)
        return self._drawn()

    def step(self, actions):
        _, *rest = super().step(actions)
        return self._drawn()[0], *rest

    def _drawn(self):
        see = self.perception
        noise = torch.randn(see.z.shape, generator=self._generator)
        see.z.add_((see.logvar / 2).exp() * noise)
        return see.features(), {}


def with_its_h_silent(agent: Agent) -> Agent:
    """C does not weigh h."""
    (inputs, outputs), *_ = agent.controller.layers
    params = agent.params.clone()
    params[agent.task.z_size * outputs : inputs * outputs] = 0
    return replace(agent, params=params)


def looked_at_again(name: str, row: dict, agent: Agent, effort: Effort) -> dict:
    """A row that needs no search, of the C that sees all."""
    agent = replace(without(ALL, agent, row["seed"]), params=torch.tensor(row["params"]))
    machine = Machine()
    if name == SILENT:
        with agent.real(effort.games, machine, CONFIG.horizon) as world:
            return {**scored(world, with_its_h_silent(agent), effort), "frames": 0}
    lanes, workers = machine.lanes_for(effort.games), machine.worker_count
    with SampledWorld(agent.vae, agent.mdnrnn, lanes, workers, CONFIG.horizon) as world:
        return {**scored(world, agent, effort), "frames": 0}


def parts(agent: Agent, seeds: Sequence[int], effort: Effort, folder: Path, table: Table) -> None:
    """The rows of C without a part of the agent."""
    for seed, part in itertools.product(seeds, PARTS):
        without_it = without(part, agent, seed)
        table.make(part, seed, partial(search, part, seed, CONFIG, without_it, effort, folder))
    for seed, name in itertools.product(seeds, (SILENT, DRAWN)):
        table.make(name, seed, partial(looked_at_again, name, table.row(ALL, seed), agent, effort))


def dreams(agent: Agent, seeds: Sequence[int], effort: Effort, folder: Path, table: Table) -> None:
    """The rows of C that learned in dreams alone."""
    for seed, (name, lesson) in itertools.product(seeds, LESSONS.items()):
        table.make(name, seed, partial(teach, name, seed, lesson, agent, effort, folder))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m studies.ablations",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, help="the table, a JSON file")
    add("--folder", type=Path, default=Path("runs/ablations"), help="where it works: %(default)s")
    add("--agent", type=Path, default=REFERENCE / "carracing", help="whose V and M: the shipped ones")
    add("--only", choices=("parts", "dreams"), help="one half of the table")
    add("--seeds", type=int, nargs="+", default=[1, 2, 3], help="1 2 3")
    add("--frames", type=int, default=300_000, help="driven in each search: %(default)s")
    add("--games", type=int, default=100, help="for each score: %(default)s")
    args = parser.parse_args(argv)
    agent, effort = load_agent(args.agent), Effort(args.frames, args.games, FIRST_SEED, "exact")
    table = Table(args.out, dataclasses.asdict(effort))
    for half in (parts, dreams):
        if args.only in (None, half.__name__):
            half(agent, args.seeds, effort, args.folder, table)
    print(table)


if __name__ == "__main__":
    run(main)
