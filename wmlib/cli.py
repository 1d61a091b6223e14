"""What each command of `python -m wmlib` does. Options come from the dataclasses, by tyro."""

import argparse
import functools
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from wmlib.artifacts import REFERENCE, ArtifactError
from wmlib.config import (
    PROFILES,
    ConfigError,
    EvaluateConfig,
    EvolutionConfig,
    RunConfig,
    find_profile,
    find_task,
)


@dataclass(frozen=True)
class RunOptions:
    """Where a run lives and what it is made of."""

    run_dir: Path = Path("runs/carracing-laptop")
    """Folder of the run: made if missing, gone on with if there. By default runs/TASK-PROFILE."""
    profile: str = "laptop"
    """smoke (a minute, for tests), laptop (made for two hours) or paper (months)."""
    config: Annotated[RunConfig, tyro.conf.arg(name="")] = PROFILES["carracing"]["laptop"]


@dataclass(frozen=True)
class EvaluateOptions:
    """Score an agent over many games."""

    task: str = "carracing"
    """The game."""
    world: Literal["real", "dream"] = "real"
    """The game itself, or M's dream of it."""
    episodes: int = EvaluateConfig.episodes
    """Games to play."""
    first_seed: int = EvaluateConfig.first_seed
    """The first game's seed; the others follow."""
    horizon: int | None = None
    """Frames after which a game is cut; by default the task's own number."""
    run_dir: Path | None = None
    """Folder of the run; by default the agent that comes with this package."""
    controller: str = "controller.safetensors"
    """File of the controller, in that folder."""
    game: Literal["stock", "exact"] = "stock"
    """Gymnasium's own class, or ours: faster, with the same pixels and scores."""
    temperature: float = 1.0
    """tau of the dream, from 0.05 to 10."""
    lanes: int = 32
    """Games held open at once."""
    workers: int = 0
    """Processes that run games; 0 takes one for each core."""
    json: bool = False
    """Print the score as JSON on stdout."""


@dataclass(frozen=True)
class PlayOptions:
    """The agent in the real game and in its dream, side by side."""

    run_dir: Path | None = None
    """Folder of the run; by default the agent that comes with this package."""
    out: Path = Path("play.gif")
    """The GIF to write."""
    seed: int = 1_500_000
    """Seed of the game and of the dream; one that no score is reported from."""
    steps: int = 300
    """Frames to show."""
    task: str = "carracing"
    """The game."""


@dataclass(frozen=True)
class ExportOptions:
    """Turn a finished run into a folder that can be shipped, and score what is shipped."""

    run_dir: Path = Path("runs/carracing-laptop")
    """Folder of the finished run."""
    out: Path = REFERENCE / "carracing"
    """Folder to write."""
    made_by: str = "python -m wmlib run"
    """The command that made the run, for the manifest."""
    episodes: int = EvaluateConfig.episodes
    """Games for each score."""
    horizon: int = EvaluateConfig.horizon
    """Frames after which a game is cut."""
    game: Literal["stock", "exact"] = "stock"
    """Gymnasium's own class, or ours: faster, with the same pixels and scores."""
    lanes: int = 32
    """Games held open at once."""
    workers: int = 0
    """Processes that run games; 0 takes one for each core."""


def run_command(command: str, argv: Sequence[str]) -> int:
    """Run a command; errors that a user can mend are one line, without a traceback."""
    try:
        return _COMMANDS[command](list(argv))
    except (ConfigError, ArtifactError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        from wmlib.envs.games import GameError

        if not isinstance(error, GameError):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = shlex.join(["python", "-m", "wmlib", command, *argv])
        then = "goes on from here" if command in RUNNING else "begins anew"
        print(f"\nstopped. The same command {then}: {again}", file=sys.stderr)
        return 130


def _run_options(command: str, argv: list[str]) -> RunOptions:
    """--profile and --task choose the defaults of other options, so they are read first."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--profile", default="laptop")
    first.add_argument("--task", default=RunConfig.task)
    known = first.parse_known_args(argv)[0]
    config = find_profile(known.profile, known.task)
    default = RunOptions(Path("runs") / f"{known.task}-{known.profile}", known.profile, config)
    return tyro.cli(RunOptions, prog=f"python -m wmlib {command}", args=argv, default=default)


def _run(command: str, argv: list[str]) -> int:
    options = _run_options(command, argv)
    from wmlib.pipeline import Pipeline
    from wmlib.stopping import stops_on_signals

    every = options.config.stages
    stages = {
        "run": every,
        "evolve": [stage for stage in every if stage in ("dream", "rounds", "real")] or ["dream"],
    }.get(command, [command])
    with stops_on_signals():
        pipeline = Pipeline(options.config, options.run_dir)
        for stage in stages:
            pipeline.run_stage(stage)
    return 0


def _evaluate(argv: list[str]) -> int:
    options = tyro.cli(EvaluateOptions, prog="python -m wmlib evaluate", args=argv)
    horizon = find_task(options.task).horizon if options.horizon is None else options.horizon
    config = EvaluateConfig(options.episodes, options.first_seed, horizon)
    EvolutionConfig(temperature=options.temperature)  # which knows its bounds
    from wmlib.agent import load_agent
    from wmlib.config import Machine
    from wmlib.evaluation import evaluate
    from wmlib.runlog import RunLog
    from wmlib.stopping import stops_on_signals
    from wmlib.worlds import DreamWorld, RealWorld

    machine = Machine(options.workers, min(options.lanes, options.episodes))
    agent = load_agent(options.run_dir or REFERENCE / options.task, options.controller)
    if options.world == "real":
        world = RealWorld(
            agent.vae, agent.mdnrnn, machine.lanes, machine.worker_count, config.horizon, options.game
        )
    else:
        world = DreamWorld(
            agent.mdnrnn, agent.starts, machine.lanes, config.horizon, options.temperature
        )
    with world, stops_on_signals():
        score = evaluate(world, agent.controller, agent.params, config, RunLog(), options.world)
    print(json.dumps(score.as_dict()) if options.json else f"{options.task}, {options.world}: {score}")
    return 0


def _export(argv: list[str]) -> int:
    options = tyro.cli(ExportOptions, prog="python -m wmlib export", args=argv)
    from wmlib.config import Machine
    from wmlib.export import export_run
    from wmlib.stopping import stops_on_signals

    config = EvaluateConfig(options.episodes, horizon=options.horizon)
    machine = Machine(options.workers, options.lanes)
    with stops_on_signals():
        scores = export_run(options.run_dir, options.out, options.made_by, config, options.game, machine)
    for name, score in scores.items():
        print(f"{name}: {score}")
    return 0


def _play(argv: list[str]) -> int:
    options = tyro.cli(PlayOptions, prog="python -m wmlib play", args=argv)
    find_task(options.task)
    if options.steps < 1 or options.seed < 0:
        raise ConfigError("--steps is 1 or more, and --seed 0 or more")
    from wmlib.agent import load_agent
    from wmlib.showing import show_side_by_side

    agent = load_agent(options.run_dir or REFERENCE / options.task)
    real, dreamt = show_side_by_side(agent, options.seed, options.steps, options.out)
    print(f"real game: {real:.0f} points in {options.steps} frames")
    print(f"its dream: {dreamt:.0f} points in {options.steps} frames, as M believes")
    print(f"side by side: {options.out}")
    return 0


RUNNING = ("run", "collect", "vae", "mdnrnn", "evolve")
"""Commands that work on a run folder, and go on where they stopped."""

_COMMANDS = {
    **{name: functools.partial(_run, name) for name in RUNNING},
    "evaluate": _evaluate,
    "play": _play,
    "export": _export,
}
