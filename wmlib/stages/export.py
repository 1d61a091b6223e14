"""Turn a finished run into a folder to ship: small weights, scores, and where they are from."""

import contextlib
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from wmlib.agent import load_agent
from wmlib.config import STAGES, EvaluateConfig, Machine, makers
from wmlib.envs.games import GameKind
from wmlib.measure.evaluation import Score, evaluate
from wmlib.runtime.cores import core_count
from wmlib.runtime.files import ArtifactError, load_json, load_tensors, save_json, save_tensors, sha256
from wmlib.runtime.log import RunLog, read_events
from wmlib.runtime.versions import game_versions, installed_versions
from wmlib.task import task_names

WEIGHTS = ("vae", "mdnrnn", "dream_starts")
"""Files that are shipped in half precision. C stays as it is: it has 867 numbers, or 1,088."""
SCORES = {"controller": "score", "controller_dream": "score_dream"}
"""The controllers that are shipped and the files of their scores. The second learned in dreams alone;
where the first did so too, there is no second."""

_MADE_WITH = ("torch", "numpy", "cma", "envpool")


def export_run(
    run: Path, out: Path, command: str, config: EvaluateConfig, game: GameKind, machine: Machine
) -> dict[str, Score]:
    """Write the agent of `run` to `out` and score what is shipped, rounding included.

    It is made in a neighbouring folder, and takes its place only when all is there.

    Args:
        command: what made the run, for the manifest.
        game: which kind of the game the scores are from (see `GameKind`).

    Raises:
        ArtifactError: the run is not finished, or a folder can't be written.
    """
    run, out = Path(run), Path(out)
    remedy = f"finish the run: python -m wmlib run --run-dir {run}, with the options it began with"
    stages = config_of(run, remedy)["stages"]
    evolved = [stage for stage in stages if stage in makers("controller")]
    last = evolved[-1]
    sources = {name: name for name in (*WEIGHTS, "controller")}
    dreams = [stage for stage in evolved if stage != "real"]
    if last == "real" and dreams:  # before it, C learned in dreams, in the last of these the longest
        sources["controller_dream"] = f"controller_{dreams[-1]}"
    with _neighbour(out) as new:
        for name, source_name in sources.items():
            source = run / f"{source_name}.safetensors"
            tensors, about = load_tensors(source, remedy)
            if name == "controller" and about.get("stage") != last:
                raise ArtifactError(f"{source} is of {about.get('stage')}, not yet of {last}; {remedy}")
            if name in WEIGHTS:
                tensors = {key: value.to(torch.float16) for key, value in tensors.items()}
            save_tensors(new / f"{name}.safetensors", tensors, about)
        scores = {}
        for name in [name for name in sources if name in SCORES]:
            score = _score(new, f"{name}.safetensors", config, game, machine)
            save_json(new / f"{SCORES[name]}.json", score.as_dict())
            scores[name] = score
        for name, score_file in SCORES.items():  # of an earlier agent, which had more of them
            if name not in sources:
                (out / f"{name}.safetensors").unlink(missing_ok=True)
                (out / f"{score_file}.json").unlink(missing_ok=True)
        save_json(new / "manifest.json", _manifest(run, new, command, game, scores, sorted(sources)))
    return scores


def config_of(run: Path, remedy: str) -> dict:
    """A run's configuration, task and stages checked."""
    path = run / "config.json"
    config = load_json(path, remedy)
    stages = config.get("stages") if isinstance(config, dict) else None
    known = isinstance(stages, list) and all(stage in STAGES for stage in stages)
    if not known or config.get("task") not in task_names():
        raise ArtifactError(f"{path} is damaged or not ours; {remedy}")
    if set(stages).isdisjoint(makers("controller")):
        raise ArtifactError(f"{path}: none of its stages makes a controller; {remedy}")
    return config


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


def _score(
    folder: Path, controller: str, config: EvaluateConfig, game: GameKind, machine: Machine
) -> Score:
    agent = load_agent(folder, controller)
    with agent.real(config.episodes, machine, config.horizon, game) as world:
        return evaluate(world, agent.controller, agent.params, config, RunLog())


def _manifest(
    run: Path, out: Path, command: str, game: GameKind, scores: dict[str, Score], names: list[str]
) -> dict:
    files = [f"{name}.safetensors" for name in names]
    summary = ("n", "first_seed", "mean", "sd", "ci95")
    return {
        "command": command,
        "config": load_json(run / "config.json"),
        "wall_seconds": wall_seconds(read_events(run)),
        "machine": {
            "processor": _processor(),
            "cores": core_count(),
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "versions": game_versions() | installed_versions(_MADE_WITH),
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
