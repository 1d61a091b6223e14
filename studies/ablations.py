"""What each part of the agent is worth: C evolved in the game without it, for as many frames.

    python -m studies.ablations --out studies/results/ablations.json

C begins at zero, and moves in the combinations that foretell best of what it sees. Its mean is scored on
100 tracks of the exact game. Two rows need no search: the C that sees all, with its weights on h put to
zero, or with z drawn by chance from what V holds possible.
"""

import argparse
import itertools
from dataclasses import replace
from pathlib import Path

import torch

from studies.search import Effort, Table, scored, search
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
ALL = "z and h"


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


def looked_at_again(row: dict, agent: Agent, effort: Effort) -> list[dict]:
    """The rows that need no search, of the C that sees all."""
    agent = replace(without(ALL, agent, row["seed"]), params=torch.tensor(row["params"]))
    machine = Machine()
    lanes, workers = machine.lanes_for(effort.games), machine.worker_count
    rows = []
    with agent.real(effort.games, machine) as world:
        rows.append({"name": "its h put to zero", **scored(world, with_its_h_silent(agent), effort)})
    with SampledWorld(agent.vae, agent.mdnrnn, lanes, workers) as world:
        rows.append({"name": "its z drawn by chance", **scored(world, agent, effort)})
    return [{"seed": row["seed"], **each} for each in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--out", type=Path, required=True, help="the table, as JSON; what it holds is kept"
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--agent", type=Path, default=REFERENCE / "carracing", help="whose V and M")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--frames", type=int, default=1_000_000, help="driven in each search")
    parser.add_argument("--games", type=int, default=100, help="on which its mean is scored")
    args = parser.parse_args()
    agent, table = load_agent(args.agent), Table(args.out)
    effort = Effort(args.frames, args.games, FIRST_SEED, "exact")
    for seed, part in itertools.product(args.seeds, PARTS):
        if not table.has(part, seed):
            table.add(search(part, seed, CONFIG, without(part, agent, seed), effort, args.folder))
    for row in [row for row in table.rows if row["name"] == ALL]:
        if not table.has("its z drawn by chance", row["seed"]):
            for more in looked_at_again(row, agent, effort):
                table.add(more)


if __name__ == "__main__":
    main()
