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
    BASELINES,
    MAKE_C,
    ConfigError,
    End,
    EvaluateConfig,
    EvolutionConfig,
    RunConfig,
    Task,
    find_task,
)
from wmlib.profiles import PAPERS_DREAM, PROFILES, TAUS, find_profile


@dataclass(frozen=True)
class RunOptions:
    """Where a run lives and what it is made of."""

    run_dir: Path = Path("runs/carracing-laptop")
    """Folder of the run: made if missing, gone on with if there. By default runs/TASK-PROFILE."""
    profile: str = "laptop"
    """smoke (a minute, for tests), laptop (made for two hours) or paper (months)."""
    config: Annotated[RunConfig, tyro.conf.arg(name="")] = PROFILES["carracing"]["laptop"]


_Player = Literal["agent", "brownian", "held", "white", "uniform", "strafing", "fresh", "runner"]


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
    policy: _Player = "agent"
    """Who plays: the agent, or one who sees nothing, to know what that alone gets: an explorer of the
    game (see collect), or Doom's runner, 80 frames left and 80 right."""
    run_dir: Path | None = None
    """Folder of the run, which knows its game; by default the agent that comes with this package."""
    controller: str = "controller.safetensors"
    """File of the controller, in that folder."""
    game: Literal["stock", "exact"] = "stock"
    """Gymnasium's own class, or ours: faster, with the same pixels and scores."""
    temperature: float = 1.0
    """tau of the dream, from 0.05 to 10."""
    end: End = "cutoff"
    """The dream ends where M finds the end likelier than not, or by chance, as likely as M says."""
    lanes: int = 32
    """Games held open at once."""
    workers: int = 0
    """Processes that run games; 0 takes one for each core."""
    json: bool = False
    """Print the score as JSON on stdout."""


@dataclass(frozen=True)
class TemperatureOptions:
    """C learns in dreams of several temperatures, and is scored in them and in the game."""

    run_dir: Path | None = None
    """Folder of the run whose V and M are taken; by default the Doom agent that comes with this
    package."""
    out: Path = Path("runs/temperature")
    """Folder for the controllers and the table: made if missing, gone on with if there."""
    taus: tuple[float, ...] = TAUS
    """The temperatures, each from 0.05 to 10."""
    dream: EvolutionConfig = PAPERS_DREAM
    """How C learns in each of them, from zero: the paper's way, but in few generations. World,
    start, patience, temperature and tests in the game are not looked at here."""
    episodes: int = EvaluateConfig.episodes
    """Games, and dreams, for each score."""
    first_seed: int = EvaluateConfig.first_seed
    """The first game's seed; the others follow."""
    seed: int = RunConfig.seed
    """Seed of everything that is drawn, apart from the games."""
    lanes: int = 32
    """Games held open at once."""
    workers: int = 0
    """Processes that run games; 0 takes one for each core."""


@dataclass(frozen=True)
class HonestyOptions:
    """How far an agent's dream may be believed: its scores, ends and pictures against the game's."""

    task: str = "takecover"
    """The game whose agent is taken where there is no run_dir."""
    run_dir: Path | None = None
    """Folder of the run; by default the agent that comes with this package."""
    taus: tuple[float, ...] = TAUS
    """Temperatures of the dreams in which the agent is scored, each from 0.05 to 10."""
    tau: float = 1.15
    """Temperature of all other dreams, from 0.05 to 10."""
    episodes: int = EvaluateConfig.episodes
    """Games that the agent plays."""
    controllers: int = 24
    """Controllers, from the agent's to chance, whose order in the dream and in the game is compared."""
    lanes: int = 32
    """Games held open at once."""
    workers: int = 0
    """Processes that run games; 0 takes one for each core."""


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
    out: Path | None = None
    """Folder to write; by default data/reference/TASK."""
    made_by: str = "python -m wmlib run"
    """The command that made the run, for the manifest."""
    episodes: int = EvaluateConfig.episodes
    """Games for each score."""
    horizon: int | None = None
    """Frames after which a game is cut; by default the task's own number."""
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
        then = "goes on from here" if command in (*RUNNING, "temperature") else "begins anew"
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
        "evolve": [stage for stage in every if stage in MAKE_C] or ["dream"],
    }.get(command, [command])
    with stops_on_signals():
        pipeline = Pipeline(options.config, options.run_dir)
        for stage in stages:
            pipeline.run_stage(stage)
    return 0


def _evaluate(argv: list[str]) -> int:
    options = tyro.cli(EvaluateOptions, prog="python -m wmlib evaluate", args=argv)
    task = find_task(options.task)
    EvolutionConfig(temperature=options.temperature)  # which knows its bounds
    from wmlib.agent import load_agent
    from wmlib.config import Machine
    from wmlib.evaluation import evaluate, evaluate_explorer
    from wmlib.runlog import RunLog
    from wmlib.stopping import stops_on_signals
    from wmlib.worlds import DreamWorld, RealWorld

    def config_for(task: Task) -> EvaluateConfig:
        horizon = task.horizon if options.horizon is None else options.horizon
        return EvaluateConfig(options.episodes, options.first_seed, horizon)

    config = config_for(task)
    machine = Machine(options.workers, min(options.lanes, options.episodes))
    if options.policy != "agent":
        if options.run_dir:
            raise ConfigError("--policy: an explorer needs no --run-dir; say --task")
        blind = (*task.explorers, *BASELINES[task.name])
        if options.policy not in blind or options.world != "real":
            names = ", ".join(blind)
            raise ConfigError(f"--policy: {task.name} knows agent, and in the real game {names}")
        with stops_on_signals():
            score = evaluate_explorer(task, options.policy, config, machine, RunLog(), options.game)
        return _tell(options, score)
    agent = load_agent(options.run_dir or REFERENCE / options.task, options.controller)
    config = config_for(agent.task)
    if options.world == "real":
        world = RealWorld(
            agent.vae, agent.mdnrnn, machine.lanes, machine.worker_count, config.horizon, options.game
        )
    else:
        world = DreamWorld(
            agent.mdnrnn, agent.starts, machine.lanes, config.horizon, options.temperature, options.end,
            agent.end_weight,
        )  # fmt: skip
    with world, stops_on_signals():
        score = evaluate(world, agent.controller, agent.params, config, RunLog(), options.world)
    return _tell(options, score)


def _tell(options: EvaluateOptions, score) -> int:
    print(json.dumps(score.as_dict()) if options.json else f"{score.task}, {score.world}: {score}")
    return 0


def _temperature(argv: list[str]) -> int:
    options = tyro.cli(TemperatureOptions, prog="python -m wmlib temperature", args=argv)
    from wmlib.agent import load_agent
    from wmlib.config import Machine
    from wmlib.runlog import RunLog
    from wmlib.stopping import stops_on_signals
    from wmlib.temperature import as_text, table

    for tau in options.taus:
        EvolutionConfig(temperature=tau)  # which knows its bounds
    folder = options.run_dir or REFERENCE / "takecover"
    agent = load_agent(folder)
    config = EvaluateConfig(options.episodes, options.first_seed, agent.task.horizon)
    with stops_on_signals():
        rows = table(
            agent, options.taus, options.dream, config, Machine(options.workers, options.lanes),
            options.out, options.seed, RunLog(options.out),
        )  # fmt: skip
    print(as_text(rows))
    return 0


def _honesty(argv: list[str]) -> int:
    options = tyro.cli(HonestyOptions, prog="python -m wmlib honesty", args=argv)
    for tau in (*options.taus, options.tau):
        EvolutionConfig(temperature=tau)  # which knows its bounds
    if options.controllers < 2:
        raise ConfigError("--controllers is 2 or more: one alone has no order")
    EvaluateConfig(options.episodes)
    from wmlib.agent import load_agent
    from wmlib.config import Machine
    from wmlib.honesty import examine
    from wmlib.runlog import RunLog
    from wmlib.stopping import stops_on_signals

    find_task(options.task)
    agent = load_agent(options.run_dir or REFERENCE / options.task)
    machine = Machine(options.workers, options.lanes)
    with stops_on_signals():
        print(
            examine(
                agent, options.taus, options.episodes, options.controllers, machine, RunLog(),
                options.tau,
            )
        )  # fmt: skip
    return 0


def _export(argv: list[str]) -> int:
    options = tyro.cli(ExportOptions, prog="python -m wmlib export", args=argv)
    from wmlib.config import Machine
    from wmlib.export import config_of, export_run
    from wmlib.stopping import stops_on_signals

    remedy = f"finish the run: python -m wmlib run --run-dir {options.run_dir}"
    task = find_task(config_of(options.run_dir, remedy)["task"])
    out = options.out or REFERENCE / task.name
    horizon = task.horizon if options.horizon is None else options.horizon
    config = EvaluateConfig(options.episodes, horizon=horizon)
    machine = Machine(options.workers, options.lanes)
    with stops_on_signals():
        scores = export_run(options.run_dir, out, options.made_by, config, options.game, machine)
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
    "temperature": _temperature,
    "honesty": _honesty,
    "play": _play,
    "export": _export,
}
