"""What temperature does: C learns in dreams of several tau, and is then put into the game (section 4.3).

In a cold dream M always draws what it holds for likeliest. C finds where M is wrong, and lives there for
ever; in the game it dies. In a hot dream it can't rely on anything, and learns to be careful.
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from wmlib.agent import Agent
from wmlib.artifacts import ArtifactError, alone, load_json, save_json, save_tensors
from wmlib.config import VALIDATION_SEEDS, EvaluateConfig, EvolutionConfig, Machine
from wmlib.evaluation import Score, evaluate
from wmlib.evolution import dream_of, evolve
from wmlib.recording import record
from wmlib.runlog import RunLog
from wmlib.searchspace import SearchSpace, fitted_space
from wmlib.training import seed_of
from wmlib.worlds import DreamWorld, RealWorld, play

STAGE = "temperature"
TABLE = "temperature.json"
PAPER = {
    0.1: (2086, 193, 58), 0.5: (2060, 196, 50), 1.0: (1145, 868, 511), 1.15: (918, 1092, 556),
    1.3: (732, 753, 139),
}  # fmt: skip
"""The paper's table: tau to the mean in the dream, and mean and deviation in the game (100 games)."""


@dataclass(frozen=True)
class Row:
    """What became of a C that learned at one tau: its scores in that dream and in the game.

    The controller is the last mean of the search: the game had no say in it.
    """

    tau: float
    dream: Score
    real: Score


def controller_file(tau: float) -> str:
    return f"controller_tau_{tau:g}.safetensors"


def learn_at(
    tau: float,
    agent: Agent,
    space: SearchSpace,
    config: EvolutionConfig,
    seed: int,
    log: RunLog,
    checkpoint: Path | None = None,
    digest: str = "",
) -> torch.Tensor:
    """Evolve C in M's dream of this temperature alone.

    Args:
        space: the coordinates in which C is searched.
        config: how; its temperature and its tests in the game are not looked at.

    Returns:
        the last mean of the search, (D,).
    """
    config = dataclasses.replace(config, temperature=tau)
    dream = dream_of(config, agent.mdnrnn, agent.starts, agent.end_weight)
    progress = evolve(
        config, space, lambda params, seeds: play(dream, agent.controller, params, seeds), None,
        STAGE, seed, log, checkpoint, digest,
    )  # fmt: skip
    return progress.best


def space_for(
    agent: Agent, config: EvolutionConfig, machine: Machine, seed: int, log: RunLog
) -> SearchSpace:
    """The coordinates that the configuration asks for, around C = 0.

    Those that have to be fitted are fitted to games that the agent plays, as many as a generation has
    candidates.
    """
    origin = torch.zeros(agent.controller.size)
    if config.components < 0:
        return SearchSpace.plain(agent.controller, origin)
    games = config.population
    seeds = np.random.default_rng(seed_of(seed, STAGE, "games")).integers(0, VALIDATION_SEEDS, games)
    lanes = min(machine.lanes, games)
    with RealWorld(agent.vae, agent.mdnrnn, lanes, machine.worker_count, config.horizon) as game:
        players = agent.params.expand(games, -1)
        seen = record(game, agent.controller, players, seeds, log=log, name=STAGE)
    return fitted_space(
        config, agent.controller, origin, agent.mdnrnn, seen, agent.end_weight, seed_of(seed, STAGE)
    )


def measure(
    tau: float,
    agent: Agent,
    params: torch.Tensor,
    config: EvaluateConfig,
    dream: EvolutionConfig,
    machine: Machine,
    log: RunLog,
) -> Row:
    """Score C in the dream that it learned in, and in the game.

    Args:
        params: (D,). config: how many games, on which seeds. dream: its horizon and its end.
    """
    lanes = min(machine.lanes, config.episodes)
    sleep = DreamWorld(
        agent.mdnrnn, agent.starts, config.episodes, dream.horizon, tau, dream.end, agent.end_weight
    )
    dreamt = evaluate(sleep, agent.controller, params, config, log, "dream")
    with RealWorld(agent.vae, agent.mdnrnn, lanes, machine.worker_count, config.horizon) as game:
        real = evaluate(game, agent.controller, params, config, log)
    return Row(tau, dreamt, real)


def table(
    agent: Agent,
    taus: Sequence[float],
    dream: EvolutionConfig,
    config: EvaluateConfig,
    machine: Machine,
    folder: Path,
    seed: int,
    log: RunLog,
) -> list[Row]:
    """A row for each tau. What `folder` holds of the same agent and configuration is not made again.

    It leaves there each controller, and `temperature.json` with all rows.

    Raises:
        ArtifactError: another process is making a table there, or a file is damaged.
    """
    learned = _learned_from(agent, dream, seed)
    scored = _digest(agent.vae, learned, config)
    with alone(folder, "--out"):
        rows, space = _load(folder, scored), None
        for tau in taus:
            if tau in rows:
                continue
            space = space or space_for(agent, dream, machine, seed, log)
            path = folder / controller_file(tau)
            checkpoint = folder / "checkpoints" / path.name
            params = learn_at(tau, agent, space, dream, seed, log, checkpoint, f"{learned}-{tau}")
            rows[tau] = measure(tau, agent, params, config, dream, machine, log)
            about = agent.about | {"stage": STAGE, "tau": tau, "validated": None}
            save_tensors(path, {"params": params}, about)
            _save(folder, scored, rows)
    return [rows[tau] for tau in taus]


def _learned_from(agent: Agent, dream: EvolutionConfig, seed: int) -> str:
    """A digest of all that a C depends on which learns in the agent's dreams."""
    starts = agent.starts.mu.tolist(), agent.starts.logvar.tolist()
    parts = (agent.task, agent.controller.config, dream, seed, agent.end_weight, starts)
    if dream.components >= 0:  # coordinates fitted to what the agent sees when it plays
        parts += (_digest(agent.vae), agent.params.tolist())
    return _digest(agent.mdnrnn, *parts)


def _digest(module: torch.nn.Module, *parts: object) -> str:
    """Of a network's weights and whatever else."""
    digest = hashlib.sha256(repr(parts).encode())
    for tensor in module.state_dict().values():
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _save(folder: Path, digest: str, rows: dict[float, Row]) -> None:
    content = [asdict(rows[tau]) for tau in sorted(rows)]
    save_json(
        folder / TABLE,
        {"digest": digest, "rows": content, "sha256": _sha256(content)},
    )


def _sha256(rows: list[dict]) -> str:
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def read_table(folder: Path) -> tuple[list[Row], str]:
    """The rows that `table` left in a folder, and the digest of what they depend on.

    Raises:
        ArtifactError: there are none, or they are damaged.
    """
    path = folder / TABLE
    remedy = "delete it: the table is then made again, from checkpoints where there are any"
    content = load_json(path, remedy)
    try:
        if content["sha256"] != _sha256(content["rows"]):
            raise ValueError("its sha256 differs")
        rows = [
            Row(row["tau"], *(_score(row[world]) for world in ("dream", "real")))
            for row in content["rows"]
        ]
        return rows, content["digest"]
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} is damaged or not ours ({error}); {remedy}") from error


def _score(row: dict) -> Score:
    return Score(**row | {"ci95": tuple(row["ci95"])})


def _load(folder: Path, digest: str) -> dict[float, Row]:
    """The rows of this digest whose controllers are there. Controllers of others are of no use."""
    found: dict[float, Row] = {}
    if (folder / TABLE).exists():
        rows, of = read_table(folder)
        for row in rows:
            path = folder / controller_file(row.tau)
            if of != digest:
                path.unlink(missing_ok=True)
            elif path.is_file():
                found[row.tau] = row
    return found


def as_text(rows: Sequence[Row]) -> str:
    """The table, ours beside the paper's."""
    heads = f"{'tau':>5}  {'in the dream':>14}  {'in the game':>14}  {'95 % interval':>15}"
    lines = [heads + "   the paper's: dream, game"]
    for row in rows:
        low, high = row.real.ci95
        paper = PAPER.get(row.tau)
        beside = f"{paper[0]:>12}, {paper[1]} ± {paper[2]}" if paper else ""
        lines.append(
            f"{row.tau:>5.2f}  {_spread(row.dream):>14}  {_spread(row.real):>14}  "
            f"{f'{low:.0f} to {high:.0f}':>15} {beside}"
        )
    return "\n".join(lines)


def _spread(score: Score) -> str:
    return f"{score.mean:.0f} ± {score.sd:.0f}"
