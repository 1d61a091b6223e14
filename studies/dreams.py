"""How long a dream holds, as one who looks at it sees it: of any agent, shipped or in a run's folder.

    python -m studies.dreams data/reference/carracing --name laptop
    python -m studies.dreams data/reference/takecover --name laptop
    python -m studies.dreams runs/overnight --name overnight

Each writes its part of studies/results/dreams.json; the car's dreams are shown in a picture beside it.
Told are: frames for which a dream under the recorded actions stays nearer to the game than a picture
that stands still; of dreams under the agent, how many still show a road, or go on; and how many of the
games' ends M sees come. A quarter of an hour on two slow cores.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from studies.table import answer, run
from wmlib.agent import Agent, load_agent
from wmlib.config import FIDELITY_SEEDS
from wmlib.data.sequences import Sequences
from wmlib.measure.diagnostics import open_loop_drift
from wmlib.measure.fidelity import examine_ends
from wmlib.runtime.files import as_json
from wmlib.runtime.log import RunLog
from wmlib.vae import to_frames
from wmlib.worlds.play import play
from wmlib.worlds.record import record

RESULTS = Path("studies/results/dreams.json")
LOOKS = (100, 200, 400)
"""Frames after which a dream is looked at."""
AHEAD = 20
"""Frames from then on in which it should promise points."""
ROAD = (slice(20, 52), slice(20, 44))
"""Rows and columns of the frame that lie before the car."""
ROADS = 0.15
"""Share of grey from which on that is a road."""


def holds_for(agent: Agent, games: Sequences, painter: bool, horizon: int = 200) -> int:
    """Frames until a dream under the recorded actions is farther from the game than a picture that
    stands still.

    At its very beginning it may be farther: little has moved then, and z is drawn by chance. What
    counts is the end of the time in which it is nearer; 0 if it never is.
    """
    dream, still = open_loop_drift(agent.mdnrnn, games, horizon, painter=agent.vae if painter else None)
    nearer = dream <= still
    if not nearer.any():
        return 0
    first = int(nearer.argmax())
    farther = np.flatnonzero(~nearer[first:])
    return first + int(farther[0]) if len(farther) else horizon


def road_share(frames: np.ndarray) -> np.ndarray:
    """Share of grey in what lies before the car: frames (n, 64, 64, 3) uint8 to (n,).

    Asphalt is grey, 98 to 107 of each colour; grass is green.
    """
    part = frames[:, *ROAD].astype(int)
    grey = (np.ptp(part, axis=3) < 25) & (np.abs(part.mean(3) - 102) < 30)
    return grey.mean((1, 2))


def roads(agent: Agent, dreams: int, tau: float, pictures: Path) -> dict:
    """How many dreams under the agent still show a road, and still promise points."""
    with agent.dream(dreams, max(LOOKS) + AHEAD, tau) as world, torch.inference_mode():
        features, _ = world.reset(seed=FIDELITY_SEEDS + np.arange(dreams))
        rewards, seen = [], {}
        params = agent.params[None]
        for t in range(max(LOOKS) + AHEAD):
            if t in (0, *LOOKS):
                seen[t] = world.pictures()
            actions = agent.controller.act(params, features[None])[0]
            features, reward, *_ = world.step(actions)
            rewards.append(reward)
    rewards = np.array(rewards)
    _sheet(seen, pictures)
    return {
        str(t): {
            "road": int((road_share(seen[t]) > ROADS).sum()),
            "pays": int((rewards[t : t + AHEAD].sum(0) > 0).sum()),
        }
        for t in LOOKS
    }


def roads_in_games(agent: Agent, games: Sequences) -> dict:
    """The same of the games themselves, as V paints what it saw of them: what there should be."""
    first = np.concatenate([[0], np.cumsum(np.array(games.lengths) + 1)[:-1]])
    found = {}
    for t in LOOKS:
        rows = torch.from_numpy(first[np.array(games.lengths) > t] + t)
        if len(rows):
            frames = to_frames(agent.vae.decode(games.mu[rows])).numpy()
            found[str(t)] = {"road": int((road_share(frames) > ROADS).sum()), "n": len(rows)}
    return found


def lives(agent: Agent, dreams: int, tau: float) -> dict:
    """How many dreams under the agent go on, where M foretells an end; their mean length too."""
    seeds = FIDELITY_SEEDS + np.arange(dreams)
    with agent.dream(dreams, tau=tau, end="sampled") as world:
        lengths = play(world, agent.controller, agent.params[None], seeds)[0]  # a point a step
    return {"mean": float(lengths.mean()), **{str(t): int((lengths > t).sum()) for t in LOOKS}}


def _sheet(seen: dict[int, np.ndarray], path: Path) -> None:
    """Sixteen dreams, a row for each look."""
    rows = [np.concatenate(list(frames[:16]), 1) for frames in seen.values()]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(path)


@torch.inference_mode()
def examine(
    agent: Agent, games: int, dreams: int, tau: float, pictures: Path, horizon: int | None = None
) -> dict:
    """All that is asked of an agent's dream. horizon: frames after which its games are cut."""
    task, seeds = agent.task, FIDELITY_SEEDS + np.arange(games)
    with agent.real(games, horizon=horizon) as world:
        params = agent.params.expand(games, -1)
        seen = record(world, agent.controller, params, seeds, log=RunLog())
    lengths = np.array(seen.lengths)
    found = {
        "games": games,
        "first_seed": FIDELITY_SEEDS,
        "frames": int(lengths.sum()),
        "mean": float(seen.returns.mean()),
        "tau": tau,
        "holds_z": holds_for(agent, seen, painter=False),
        "holds_pictures": holds_for(agent, seen, painter=True),
        "dreams": dreams,
    }
    if task.predicts_reward:
        found["roads"] = roads(agent, dreams, tau, pictures)
        found["roads_in_games"] = roads_in_games(agent, seen)
    if task.predicts_done and seen.dones.any():
        found["ends"] = vars(examine_ends(agent.mdnrnn, seen))
    if not task.predicts_reward:
        found["dreams_last"] = lives(agent, dreams, tau)
        still = {str(t): int((lengths > t).sum()) for t in LOOKS}
        found["games_last"] = {"mean": float(lengths.mean()), **still}
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m studies.dreams",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add("agent", type=Path, help="a folder with an agent: what is shipped, or a run's")
    add("--name", required=True, help="what it is called in the results, as in laptop or overnight")
    add("--games", type=int, default=64, help="that it plays: %(default)s")
    add("--dreams", type=int, default=64, help="that it dreams: %(default)s")
    add("--tau", type=float, default=1.0, help="temperature of the dreams: %(default)s")
    add("--out", type=Path, default=RESULTS, help="where the answer is kept: %(default)s")
    args = parser.parse_args(argv)
    agent = load_agent(args.agent)
    pictures = args.out.with_name(f"dreams_{agent.task.name}_{args.name}.png")
    ask = partial(examine, agent, args.games, args.dreams, args.tau, pictures)
    found = answer(args.out, agent.task.name, args.name, ask=ask)
    print(as_json(found, indent=1))


if __name__ == "__main__":
    run(main)
