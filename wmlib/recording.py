"""Games of controllers, kept as what V saw of them."""

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from wmlib.controller import Controller
from wmlib.runlog import RunLog
from wmlib.sequences import Sequences, join
from wmlib.worlds import RealWorld


def record(
    world: RealWorld,
    controller: Controller,
    params: Tensor,
    seeds: np.ndarray,
    patience: int = 0,
    log: RunLog | None = None,
    name: str = "record",
) -> Sequences:
    """One game of each controller, kept as what V saw of it; as many at once as the world has lanes.

    Args:
        params: (N, D). seeds: (N,).
        patience: end a game after so many steps without a positive reward; 0 never does.
    """
    log = log or RunLog(quiet=True)
    with log.bar(len(params), name, "games") as bar:
        parts = [
            _record_at_once(world, controller, some, seeds_of_some, patience, bar)
            for some, seeds_of_some in zip(
                params.split(world.lanes), torch.as_tensor(seeds).split(world.lanes), strict=True
            )
        ]
    return join(parts)


def _record_at_once(
    world: RealWorld, controller: Controller, params: Tensor, seeds: Tensor, patience: int, bar: tqdm
) -> Sequences:
    """`record`, of no more games than the world has lanes."""
    games = len(params)
    spare = world.lanes - games
    playing = np.arange(world.lanes) < games
    params = torch.cat([params, params[:1].expand(spare, -1)])
    lane_seeds = [*seeds.tolist(), *[None] * spare]
    features, _ = world.reset(seed=lane_seeds, options={"reset_mask": playing.copy()})
    see = world.perception
    mus, logvars, actions, rewards, dones = [see.z.clone()], [see.logvar.clone()], [], [], []
    lengths, waited = np.zeros(world.lanes, int), np.zeros(world.lanes, int)
    while playing.any():
        action = controller.act(params, features[:, None])[:, 0]
        features, reward, terminated, truncated, _ = world.step(action)
        mus.append(see.z.clone())
        logvars.append(see.logvar.clone())
        actions.append(action)
        rewards.append(torch.from_numpy(np.array(reward, np.float32)))
        dones.append(torch.from_numpy((terminated & playing).astype(np.float32)))
        lengths += playing
        waited = np.where(reward > 0, 0, waited + 1)
        bored = (waited >= patience) if patience else np.zeros(world.lanes, bool)
        finished = playing & (terminated | truncated | bored)
        world.stop(finished)
        playing &= ~finished
        bar.update(int(finished.sum()))

    def cut(steps: list[Tensor], extra: int = 0) -> Tensor:
        whole = torch.stack(steps, 1)  # (N, T, ...)
        return torch.cat([whole[lane, : n + extra] for lane, n in enumerate(lengths[:games])])

    return Sequences(
        cut(mus, 1), cut(logvars, 1), cut(actions), cut(rewards), cut(dones), lengths[:games].tolist()
    )


def returns_of(data: Sequences) -> np.ndarray:
    """The sum of rewards of each episode."""
    return np.array([float(part.sum()) for part in data.rewards.split(data.lengths)])
