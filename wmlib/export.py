"""Turn a finished run into a folder to ship: small weights, scores, and where they are from."""

import os
import platform
from dataclasses import asdict
from pathlib import Path

import torch

from wmlib.agent import load_agent
from wmlib.artifacts import load_json, load_tensors, save_json, save_tensors, sha256
from wmlib.config import EvaluateConfig, Machine
from wmlib.envs.games import GameKind
from wmlib.evaluation import Score, evaluate
from wmlib.rollouts import game_versions
from wmlib.runlog import RunLog, read_events
from wmlib.worlds import RealWorld

WEIGHTS = ("vae", "mdnrnn", "dream_starts")
"""Files that are shipped in half precision. C stays as it is: it has 867 numbers."""
CONTROLLERS = {"controller": "score", "controller_dream": "score_dream"}
"""The controllers that are shipped and the files of their scores; the second learned in dreams alone."""


def export_run(
    run: Path, out: Path, command: str, config: EvaluateConfig, game: GameKind, machine: Machine
) -> dict[str, Score]:
    """Write the agent of `run` to `out` and score what was written, rounding included.

    Args:
        command: what made the run, for the manifest.
        game: which CarRacing the scores are from: Gymnasium's own class, or ours.

    Raises:
        ArtifactError: the run is not finished, or a folder can't be written.
    """
    run, out = Path(run), Path(out)
    remedy = f"finish the run with: python -m wmlib run --run-dir {run}"
    for name in (*WEIGHTS, *CONTROLLERS):
        source = run / f"{name}.safetensors"
        if name == "controller_dream" and (run / "controller_rounds.safetensors").exists():
            source = run / "controller_rounds.safetensors"  # it went on learning, and still in dreams
        tensors, about = load_tensors(source, remedy)
        if name in WEIGHTS:
            tensors = {key: value.to(torch.float16) for key, value in tensors.items()}
        save_tensors(out / f"{name}.safetensors", tensors, about)
    scores = {}
    for name, score_file in CONTROLLERS.items():
        score = _score(out, f"{name}.safetensors", config, game, machine)
        save_json(out / f"{score_file}.json", score.as_dict())
        scores[name] = score
    save_json(out / "manifest.json", _manifest(run, out, command, game, scores))
    return scores


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
        "versions": game_versions() | {"torch": torch.__version__},
        "game": game,
        "scores": {name: {key: asdict(score)[key] for key in summary} for name, score in scores.items()},
        "sha256": {name: sha256(out / name) for name in files},
    }


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
