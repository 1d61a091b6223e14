"""What temperature does: C learns in dreams of several tau, and is then put into the game (section 4.3).

In a cold dream M always draws what it holds for likeliest. C finds where M is wrong, and lives there for
ever; in the game it dies. In a hot dream it can't rely on anything, and learns to be careful.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from wmlib.agent import Agent
from wmlib.config import VALIDATION_SEEDS, DreamSearch, EvaluateConfig, Machine, TableConfig
from wmlib.data.sequences import Sequences
from wmlib.evolution.cmaes import evolve, scores_in
from wmlib.evolution.space import SearchSpace, fitted_space
from wmlib.measure.evaluation import Score, evaluate
from wmlib.runtime.disk import ArtifactError, alone
from wmlib.runtime.files import as_json, load_json, save_json, save_tensors
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog, as_points
from wmlib.runtime.seeds import digest_of, digest_of_weights
from wmlib.worlds.record import record

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
    """A name of its own for each tau: 1.3 is controller_tau_1.3.safetensors."""
    short = f"{tau:g}"
    return f"controller_tau_{short if float(short) == tau else repr(float(tau))}.safetensors"


def table(agent: Agent, config: TableConfig, machine: Machine, job: Job) -> list[Row]:
    """A row for each tau. What the job's folder holds of the same agent and configuration is not made
    again.

    It leaves there each controller, and `temperature.json` with all rows.

    Raises:
        ArtifactError: another process is making a table there, a table of another agent or other options
            is there, or a file is damaged.
    """
    longest = min(config.dream.horizon, agent.task.horizon)
    config = replace(config, dream=replace(config.dream, horizon=longest))
    folder, learned = job.path, learned_from(agent, config, job.seed)
    games = EvaluateConfig(config.episodes, config.first_seed, agent.task.horizon)
    scored = digest_of(learned, digest_of_weights(agent.vae), games)
    with alone(folder, "--out"):
        rows, space = load_rows(folder, scored, learned, games), None
        for tau in config.taus:
            if tau in rows:
                continue
            space = space or _space(agent, config, machine, job)
            path = folder / controller_file(tau)
            learning = job.part(keep=f"checkpoints/{path.name}", of=(learned, tau))
            params = learn_at(tau, agent, space, config.dream, learning)
            learner = replace(agent, params=params)
            rows[tau] = measure(tau, learner, config.dream, games, machine, job.log)
            about = agent.about | {"stage": job.name, "tau": tau, "validated": None}
            save_tensors(path, {"params": params}, about)
            _save(folder, scored, learned, rows)
    return [rows[tau] for tau in config.taus]


def _space(agent: Agent, config: TableConfig, machine: Machine, job: Job) -> SearchSpace:
    """The coordinates that the configuration asks for, around C = 0.

    Those that have to be fitted are fitted to games that the agent plays, as many as a generation has
    candidates.
    """

    def look() -> Sequences:
        games = config.dream.population
        seeds = job.rng("games").integers(0, VALIDATION_SEEDS, games)
        with agent.real(games, machine, config.dream.horizon) as game:
            return record(game, agent.controller, agent.params.expand(games, -1), seeds, log=job.log)

    beginner = replace(agent, params=torch.zeros_like(agent.params))
    return fitted_space(config.coordinates, beginner, look, job.seed_of(), config.dream.precision)


def learn_at(
    tau: float, agent: Agent, space: SearchSpace, search: DreamSearch, job: Job
) -> torch.Tensor:
    """Evolve C in M's dream of this temperature alone. Returns the last mean of the search, (D,)."""
    score = scores_in(agent.dream_for(search, tau), agent.controller, search.patience)
    return evolve(search, space, score, job).best


def measure(
    tau: float, agent: Agent, search: DreamSearch, games: EvaluateConfig, machine: Machine, log: RunLog
) -> Row:
    """Score the agent in the dream that its C learned in, and in the game."""
    C, params = agent.controller, agent.params
    dream = agent.dream(games.episodes, search.horizon, tau, search.end)
    dreamt = evaluate(dream, C, params, games, log, "dream")
    with agent.real(games.episodes, machine, games.horizon) as game:
        return Row(tau, dreamt, evaluate(game, C, params, games, log))


def learned_from(agent: Agent, config: TableConfig, seed: int) -> str:
    """A digest of all that a C depends on which learns in the agent's dreams."""
    starts = agent.starts.mu.tolist(), agent.starts.logvar.tolist()
    parts = (
        agent.task.as_dict(),
        agent.controller.config,
        config.dream,
        config.coordinates,
        seed,
        agent.mdnrnn.done_positive_weight,
        starts,
        digest_of_weights(agent.mdnrnn),
    )
    if config.coordinates.kind != "weights":  # fitted to what the agent sees when it plays
        parts += (digest_of_weights(agent.vae), agent.params.tolist())
    return digest_of(*parts)


def _save(folder: Path, scored: str, learned: str, rows: dict[float, Row]) -> None:
    content = [asdict(rows[tau]) for tau in sorted(rows)]
    about = {"digest": scored, "learned": learned}
    save_json(folder / TABLE, {**about, "rows": content, "sha256": _sha256(content)})


def _sha256(rows: list[dict]) -> str:
    return hashlib.sha256(as_json(rows).encode()).hexdigest()


def read_table(folder: Path) -> tuple[list[Row], str]:
    """The rows that `table` left in a folder, and the digest of what they depend on.

    Raises:
        ArtifactError: there are none, or they are damaged.
    """
    rows, about = _read(folder)
    return rows, about["digest"]


def _read(folder: Path) -> tuple[list[Row], dict]:
    path = folder / TABLE
    remedy = "delete it: the table is then made again, from checkpoints where there are any"
    content = load_json(path, remedy)
    try:
        if content["sha256"] != _sha256(content["rows"]):
            raise ValueError("its sha256 differs")
        rows = [
            Row(_number(row["tau"]), *(_score(row[world]) for world in ("dream", "real")))
            for row in content["rows"]
        ]
        return rows, {"digest": str(content["digest"]), "learned": content.get("learned")}
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} is damaged or not ours ({error}); {remedy}") from error


def _score(row: dict) -> Score:
    low, high = map(_number, row["ci95"])
    numbers = {key: _number(row[key]) for key in ("n", "first_seed", "mean", "sd")}
    returns = [_number(each) for each in row["returns"]]
    return Score(**row | numbers | {"ci95": (low, high), "returns": returns})


def _number(value: object) -> float:
    if not isinstance(value, int | float | None):
        raise TypeError(f"{value!r:.40} is no number")
    return math.nan if value is None else value  # which JSON lacks


def load_rows(folder: Path, scored: str, learned: str, games: EvaluateConfig) -> dict[float, Row]:
    """The rows of a table whose controllers are there. Where the same controllers are wanted on more
    games than before, there are none: they are scored anew.

    Raises:
        ArtifactError: a table of another digest is there, which would be lost.
    """
    if not (folder / TABLE).exists():
        return {}
    rows, of = _read(folder)
    if of["digest"] != scored:
        before = {(row.real.first_seed, row.real.n < games.episodes) for row in rows}
        if of["learned"] == learned and before <= {(games.first_seed, True)}:
            return {}
        raise ArtifactError(
            f"{folder / TABLE} is of another agent or other options; choose another --out, or delete it"
        )
    return {row.tau: row for row in rows if (folder / controller_file(row.tau)).is_file()}


def as_text(rows: Sequence[Row]) -> str:
    """The table; of the paper's game, ours beside the paper's."""
    heads = f"{'tau':>5}  {'in the dream':>14}  {'in the game':>14}  {'95 % interval':>15}"
    same_game = all(row.real.task == "takecover" for row in rows)
    lines = [heads + "   the paper's: dream, game" * same_game]
    for row in rows:
        low, high = map(as_points, row.real.ci95)
        paper = PAPER.get(row.tau) if same_game else None
        beside = f"{paper[0]:>12}, {paper[1]} ± {paper[2]}" if paper else ""
        lines.append(
            f"{row.tau:>5.2f}  {_spread(row.dream):>14}  {_spread(row.real):>14}  "
            f"{f'{low} to {high}':>15} {beside}".rstrip()
        )
    return "\n".join(lines)


def _spread(score: Score) -> str:
    return f"{as_points(score.mean)} ± {as_points(score.sd)}"
