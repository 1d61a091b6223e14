"""Turn a finished run into a folder to ship: small weights, scores, and where they are from."""

import contextlib
import os
import platform
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from wmlib.agent import load_agent
from wmlib.config import EvaluateConfig, Machine, RunConfig, StageName, makers
from wmlib.envs.games import GameKind
from wmlib.measure.evaluation import Score, digest_of_agent, score_of
from wmlib.runtime.cores import core_count, processor
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.files import load_json, load_tensors, save_json, save_tensors, sha256, signature
from wmlib.runtime.log import RunLog, each_event
from wmlib.runtime.place import GAME
from wmlib.runtime.seeds import digest_of
from wmlib.runtime.source import parts_of
from wmlib.runtime.versions import game_versions, installed_versions
from wmlib.stages.folder import GOES_WITH, RunFolder
from wmlib.task import Task, find_task
from wmlib.worlds.play import play

WEIGHTS = ("vae", "mdnrnn", "dream_starts")
"""Files that are shipped in half precision. C stays as it is: it has 867 numbers, or 1,088."""
SCORES = {"controller": "score", "controller_dream": "score_dream"}
"""The controllers that are shipped and the files of their scores. The second learned in dreams alone;
where the first did so too, there is no second."""

_MADE_WITH = ("torch", "numpy", "cma", "envpool")


PART = 128
"""Games of a score that are played, and kept, together."""


@dataclass(frozen=True)
class Scoring:
    """How what is shipped is scored.

    config: games, seeds and horizon for the first controller; the seeds of the others follow.
    dream_episodes: games for the one that learned in dreams alone. check: whether each is scored a
    second time, on the seeds that follow. game: in which kind of the game (see `GameKind`).
    """

    config: EvaluateConfig
    dream_episodes: int
    check: bool = False
    game: GameKind = "stock"

    def of_each(self, controllers: Iterable[str]) -> Iterator[tuple[str, EvaluateConfig]]:
        """Each controller's name, and the games for its score: no two have any in common."""
        first = self.config.first_seed
        for name in controllers:
            episodes = self.config.episodes if name == "controller" else self.dream_episodes
            yield name, replace(self.config, first_seed=first, episodes=episodes)
            first += episodes * (2 if self.check else 1)

    @staticmethod
    def after(config: EvaluateConfig) -> EvaluateConfig:
        """As many games, on the seeds that follow."""
        return replace(config, first_seed=config.first_seed + config.episodes)


def export_run(
    run: Path,
    out: Path,
    command: str,
    made: RunConfig,
    plan: Scoring,
    machine: Machine,
) -> dict[str, Score]:
    """Write the agent of `run` to `out` and score what is shipped, rounding included.

    It is made in a neighbouring folder, which takes the place of `out` only when all is there. What else
    `out` holds stays.

    Args:
        command: what made the run, for the manifest. made: the configuration that it stands for.
        plan: how it is scored. What was scored before it was broken off is kept, in the run's folder.

    Raises:
        ArtifactError: the stages of the run did not record this configuration, or what they made is no
            longer there; or a folder can't be written.
    """
    run, out = Path(run), Path(out).resolve()
    files = RunFolder(made, run, RunLog(quiet=True))
    unfinished = [stage for stage in made.stages if stage != "evaluate" and not files.is_done(stage)]
    if unfinished:
        raise ArtifactError(
            f"{run} does not hold the stage {unfinished[0]} as this command makes it: {command}; finish "
            "the run with it, or say with --made-by which command it was"
        )
    controllers = _controllers(made)
    with _in_place_of(out) as new:
        shipped: dict[str, str] = {}
        for name in (*WEIGHTS, *controllers):
            stage = controllers.get(name, controllers["controller"])
            kind = "controller" if name in controllers else name
            tensors, about = load_tensors(files.newest(stage, kind))
            if name in WEIGHTS:
                tensors = {key: value.to(torch.float16) for key, value in tensors.items()}
            origin = {key: shipped[key] for key in GOES_WITH[kind]}  # rounded, they are others
            about["made_from"] = {**about["made_from"], **origin}
            save_tensors(new / f"{name}.safetensors", tensors, about)
            shipped[name] = signature(new / f"{name}.safetensors")
        if files.task.source:
            shutil.copyfile(run / GAME, new / GAME)
        scores, checks = {}, {}
        for name, config in plan.of_each(controllers):
            where = new, f"{name}.safetensors", files.task, plan.game, machine, run / "scores"
            scores[name] = _score(*where, config)
            if plan.check:
                checks[name] = _score(*where, plan.after(config))
            save_json(new / f"{SCORES[name]}.json", {**scores[name].as_dict(), "made_from": shipped})
        told = _told(scores, checks)
        save_json(
            new / "manifest.json", _manifest(run, new, command, made, plan.game, told, sorted(shipped))
        )
    return scores


def _controllers(made: RunConfig) -> dict[str, StageName]:
    """The controllers to ship, and the stages that made them."""
    evolved = [stage for stage in made.stages if stage in makers("controller")]
    if not evolved:
        raise ConfigError(f"stages is {made.stages}: none of them makes a controller to export")
    dreams = [stage for stage in evolved if stage != "real"]
    if evolved[-1] == "real" and dreams:  # before it C learned in dreams, in the last the longest
        return {"controller": "real", "controller_dream": dreams[-1]}
    return {"controller": evolved[-1]}


@contextlib.contextmanager
def _in_place_of(out: Path) -> Iterator[Path]:
    """A new folder beside `out`, which takes its place at the end, or vanishes if something fails."""
    new, old = (out.parent / f".{out.name}.{os.getpid()}{end}" for end in ("", ".old"))
    replaced = {f"{name}.safetensors" for name in SCORES} | {f"{name}.json" for name in SCORES.values()}
    replaced.add(GAME)
    try:
        new.mkdir(parents=True)
        yield new
        for path in out.iterdir() if out.exists() else ():
            if path.name not in replaced and not (new / path.name).exists():
                (shutil.copytree if path.is_dir() else shutil.copy2)(path, new / path.name)
        if out.exists():
            out.rename(old)
        try:
            new.rename(out)
        except OSError:
            if old.exists():
                old.rename(out)
            raise
    except OSError as error:
        message = f"{out} can't be written ({error.strerror}); choose another --out"
        raise ArtifactError(message) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _score(
    folder: Path,
    controller: str,
    task: Task,
    game: GameKind,
    machine: Machine,
    kept: Path,
    config: EvaluateConfig,
) -> Score:
    """The score of what is shipped. Parts of it are kept as they are done: it may take an hour."""
    agent = load_agent(folder, controller, task)
    digest = digest_of(digest_of_agent(agent), game, config.horizon, game_versions(*task.packages))
    returns: list[float] = []
    for first in range(config.first_seed, config.first_seed + config.episodes, PART):
        count = min(PART, config.first_seed + config.episodes - first)
        seeds = np.arange(first, first + count)
        path = kept / f"export-{digest[:16]}-{first}-{count}.json"
        if path.exists():
            done = load_json(path, "delete it: these games are then played again")
        else:
            with agent.real(count, machine, config.horizon, game) as world:
                done = play(world, agent.controller, agent.params[None], seeds)[0].tolist()
            save_json(path, done)
        returns += done
    return score_of(np.array(returns), task.name, "real", config.first_seed)


def _told(scores: dict[str, Score], checks: dict[str, Score]) -> dict[str, dict]:
    """What the manifest says of the scores."""

    def summary(score: Score) -> dict:
        return {key: asdict(score)[key] for key in ("n", "first_seed", "mean", "sd", "ci95")}

    return {
        name: summary(score) | ({"check": summary(checks[name])} if name in checks else {})
        for name, score in scores.items()
    }


def _manifest(
    run: Path,
    out: Path,
    command: str,
    made: RunConfig,
    game: GameKind,
    scores: dict[str, dict],
    names: list[str],
) -> dict:
    files = [f"{name}.safetensors" for name in names]
    task, config = find_task(made.task), asdict(made)
    if task.source:  # where it lay here is nobody's business
        path, name = parts_of(task.source)
        files.append(GAME)
        config["task"] = f"{GAME}:{name}"
        command = command.replace(str(path), GAME)
    return {
        "command": command,
        "config": config,
        "wall_seconds": wall_seconds(each_event(run)),
        "machine": {
            "processor": processor(),
            "cores": core_count(),
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "versions": game_versions(*task.packages) | installed_versions(_MADE_WITH),
        "game": game,
        "scores": scores,
        "sha256": {name: sha256(out / name) for name in files},
    }


def wall_seconds(events: Iterable[dict]) -> dict[str, float]:
    """How long each stage worked, all its sittings together, from the rows of a run's events."""
    spent: dict[str, float] = {}
    last: dict[str, float] = {}
    for row in events:
        stage, now = row["stage"], row["seconds"]
        if not row.get("began"):  # between two sittings nobody worked
            spent[stage] = spent.get(stage, 0.0) + now - last.get(stage, now)
        last[stage] = now
    return {stage: round(seconds, 1) for stage, seconds in spent.items()}
