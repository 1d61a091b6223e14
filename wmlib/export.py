"""Turn a finished run into a folder to ship: small weights, scores, and where they are from."""

import contextlib
import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import get_args

import torch

from wmlib.agent import load_agent
from wmlib.artifacts import ArtifactError, load_json, load_tensors, save_json, save_tensors, sha256
from wmlib.config import EvaluateConfig, Machine, StageName
from wmlib.envs.games import GameKind
from wmlib.evaluation import Score, evaluate
from wmlib.rollouts import game_versions
from wmlib.runlog import RunLog, read_events
from wmlib.worlds import RealWorld

WEIGHTS = ("vae", "mdnrnn", "dream_starts")
"""Files that are shipped in half precision. C stays as it is: it has 867 numbers."""
CONTROLLERS = {"controller": "score", "controller_dream": "score_dream"}
"""The controllers that are shipped and the files of their scores; the second learned in dreams alone."""

_MADE_WITH = ("torch", "numpy", "cma", "envpool")


def export_run(
    run: Path, out: Path, command: str, config: EvaluateConfig, game: GameKind, machine: Machine
) -> dict[str, Score]:
    """Write the agent of `run` to `out` and score what is shipped, rounding included.

    It is made in a neighbouring folder, and takes its place only when all is there.

    Args:
        command: what made the run, for the manifest.
        game: which CarRacing the scores are from: Gymnasium's own class, or ours.

    Raises:
        ArtifactError: the run is not finished, or a folder can't be written.
    """
    run, out = Path(run), Path(out)
    remedy = f"finish the run: python -m wmlib run --run-dir {run}, with the options it began with"
    stages = stages_of(run, remedy)
    # C goes on learning, and still in dreams, in the rounds.
    dreamer = "controller_rounds" if "rounds" in stages else "controller_dream"
    last = [stage for stage in stages if stage in ("dream", "rounds", "real")][-1]
    with _neighbour(out) as new:
        for name in (*WEIGHTS, *CONTROLLERS):
            source = run / f"{dreamer if name == 'controller_dream' else name}.safetensors"
            tensors, about = load_tensors(source, remedy)
            if name == "controller" and about.get("stage") != last:
                raise ArtifactError(f"{source} is of {about.get('stage')}, not yet of {last}; {remedy}")
            if name in WEIGHTS:
                tensors = {key: value.to(torch.float16) for key, value in tensors.items()}
            save_tensors(new / f"{name}.safetensors", tensors, about)
        scores = {}
        for name, score_file in CONTROLLERS.items():
            score = _score(new, f"{name}.safetensors", config, game, machine)
            save_json(new / f"{score_file}.json", score.as_dict())
            scores[name] = score
        save_json(new / "manifest.json", _manifest(run, new, command, game, scores))
    return scores


def stages_of(run: Path, remedy: str) -> list[str]:
    """The stages of a run's configuration."""
    path = run / "config.json"
    config = load_json(path, remedy)
    stages = config.get("stages") if isinstance(config, dict) else None
    if not isinstance(stages, list) or not all(stage in get_args(StageName) for stage in stages):
        raise ArtifactError(f"{path} is damaged or not ours; {remedy}")
    if not set(stages) & {"dream", "rounds", "real"}:
        raise ArtifactError(f"{path}: none of its stages makes a controller; {remedy}")
    return stages


@contextlib.contextmanager
def _neighbour(out: Path) -> Iterator[Path]:
    """A folder beside `out`, whose files move there at the end, or vanish if something fails."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as name:
            yield Path(name)
            for path in Path(name).iterdir():
                path.replace(out / path.name)
    except OSError as error:
        message = f"{out} can't be written ({error.strerror}); choose another --out"
        raise ArtifactError(message) from error


def _score(folder: Path, controller: str, config: EvaluateConfig, game: GameKind, machine: Machine):
    agent = load_agent(folder, controller)
    lanes = min(machine.lanes, config.episodes)
    with RealWorld(agent.vae, agent.mdnrnn, lanes, machine.worker_count, config.horizon, game) as world:
        return evaluate(world, agent.controller, agent.params, config, RunLog())


def _manifest(run: Path, out: Path, command: str, game: GameKind, scores: dict[str, Score]) -> dict:
    files = [f"{name}.safetensors" for name in (*WEIGHTS, *CONTROLLERS)]
    summary = ("n", "first_seed", "mean", "sd", "ci95")
    return {
        "command": command,
        "config": load_json(run / "config.json"),
        "wall_seconds": wall_seconds(read_events(run)),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "versions": game_versions() | {name: version(name) for name in _MADE_WITH if _installed(name)},
        "game": game,
        "scores": {name: {key: asdict(score)[key] for key in summary} for name, score in scores.items()},
        "sha256": {name: sha256(out / name) for name in files},
    }


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _processor() -> str:
    """Its name where the system tells, else its kind."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def wall_seconds(events: list[dict]) -> dict[str, float]:
    """How long each stage worked, all its sittings together, from the rows of a run's events."""
    spent: dict[str, float] = {}
    last: dict[str, float] = {}
    for row in events:
        stage, now = row["stage"], row["seconds"]
        if not row.get("began"):  # between two sittings nobody worked
            spent[stage] = spent.get(stage, 0.0) + now - last.get(stage, now)
        last[stage] = now
    return {stage: round(seconds, 1) for stage, seconds in spent.items()}
