"""How long a dream holds, as one who looks at it sees it.

    python -m studies.dreams carracing --name laptop
    python -m studies.dreams takecover --name laptop

Each writes its part of studies/results/dreams.json, and pictures beside it.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from wmlib.agent import Agent, load_agent
from wmlib.config import FIDELITY_SEEDS
from wmlib.data.sequences import Sequences
from wmlib.measure.diagnostics import open_loop_drift
from wmlib.measure.fidelity import examine_ends
from wmlib.runtime.files import load_json, save_json
from wmlib.runtime.log import RunLog
from wmlib.runtime.place import REFERENCE
from wmlib.worlds.record import record

RESULTS = Path("studies/results/dreams.json")
LOOKS = (100, 200, 400)
"""Frames after which a dream is looked at."""
ROAD = (slice(20, 52), slice(20, 44))
"""Rows and columns of the frame that lie before the car."""


def holds_for(agent: Agent, games: Sequences, painter: bool, horizon: int = 200) -> int:
    """Frames after which a dream under the recorded actions is as far from the game as a picture that
    stands still."""
    dream, still = open_loop_drift(agent.mdnrnn, games, horizon, painter=agent.vae if painter else None)
    farther = np.flatnonzero(dream > still)
    return int(farther[0]) if len(farther) else horizon


def road_share(frames: np.ndarray) -> np.ndarray:
    """Share of grey in what lies before the car: frames (n, 64, 64, 3) uint8 to (n,).

    Asphalt is grey, 98 to 107 of each colour; grass is green. In a game it is about half.
    """
    part = frames[:, *ROAD].astype(int)
    grey = (np.ptp(part, axis=3) < 25) & (np.abs(part.mean(3) - 102) < 30)
    return grey.mean((1, 2))


def roads(agent: Agent, dreams: int, tau: float, pictures: Path) -> dict:
    """How many dreams under the agent still show a road, and still promise points."""
    with agent.dream(dreams, max(LOOKS) + 20, tau) as world, torch.inference_mode():
        features, _ = world.reset(seed=FIDELITY_SEEDS + np.arange(dreams))
        rewards, seen = [], {}
        params = agent.params[None]
        for t in range(max(LOOKS) + 20):
            if t in (0, *LOOKS):
                seen[t] = world.pictures()
            actions = agent.controller.act(params, features[None])[0]
            features, reward, *_ = world.step(actions)
            rewards.append(reward)
    rewards = np.array(rewards)
    _sheet(seen, pictures)
    return {
        str(t): {
            "road": int((road_share(seen[t]) > 0.15).sum()),
            "pays": int((rewards[t : t + 20].sum(0) > 0).sum()),
        }
        for t in LOOKS
    }


def _sheet(seen: dict[int, np.ndarray], path: Path) -> None:
    """Sixteen dreams, a row for each look."""
    rows = [np.concatenate(list(frames[:16]), 1) for frames in seen.values()]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(path)


def examine(agent: Agent, games: int, tau: float, pictures: Path) -> dict:
    """All that is asked of an agent's dream."""
    seeds = FIDELITY_SEEDS + np.arange(games)
    with agent.real(games) as world:
        params = agent.params.expand(games, -1)
        seen = record(world, agent.controller, params, seeds, log=RunLog())
    found = {
        "games": games,
        "holds_z": holds_for(agent, seen, painter=False),
        "holds_pictures": holds_for(agent, seen, painter=True),
    }
    if agent.task.predicts_reward:
        found |= {"dreams": 64, "tau": tau, "after": roads(agent, 64, tau, pictures)}
    if agent.task.predicts_done and seen.dones.any():
        found["ends"] = vars(examine_ends(agent.mdnrnn, seen))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("--agent", type=Path, help="a folder of weights; by default the shipped one")
    parser.add_argument("--name", default="laptop", help="the agent's name in the results")
    parser.add_argument("--games", type=int, default=64)
    parser.add_argument("--tau", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    agent = load_agent(args.agent or REFERENCE / args.task)
    pictures = args.out.with_name(f"dreams_{args.task}_{args.name}.png")
    found = examine(agent, args.games, args.tau, pictures)
    kept = load_json(args.out, "delete it") if args.out.exists() else {}
    kept.setdefault(args.task, {})[args.name] = found
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_json(args.out, kept)
    print(found)


if __name__ == "__main__":
    main()
