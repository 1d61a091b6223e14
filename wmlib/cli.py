"""What each command of `python -m wmlib` does. Options come from the dataclasses, by tyro."""

import argparse
import functools
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from wmlib.config import (
    End,
    EvaluateConfig,
    FidelityConfig,
    Machine,
    RunConfig,
    TableConfig,
    check_scored_games,
    makers,
)
from wmlib.envs.errors import GameError
from wmlib.runtime.fields import ConfigError, check_counts, check_taus
from wmlib.runtime.files import REFERENCE, ArtifactError
from wmlib.task import Task, find_profile, find_task


@dataclass(frozen=True)
class RunOptions:
    """Where a run lives and what it is made of."""

    run_dir: Path = Path("runs/carracing-laptop")
    """Folder of the run: made if missing, gone on with if there. By default runs/TASK-PROFILE."""
    profile: str = "laptop"
    """smoke (a minute, for tests), laptop (made for two hours) or paper (months)."""
    config: Annotated[RunConfig, tyro.conf.arg(name="")] = field(
        default_factory=lambda: find_profile("laptop")
    )


@dataclass(frozen=True)
class OnThisMachine:
    """How games are spread over this machine. It changes no result."""

    lanes: int = 32
    """Games held open at once."""
    workers: int = 0
    """Processes that run games; 0 takes one for each core that this process may use."""

    def __post_init__(self):
        check_counts(self, lanes=1, workers=0)

    @property
    def machine(self) -> Machine:
        return Machine(self.workers, self.lanes)


@dataclass(frozen=True)
class EvaluateOptions(OnThisMachine):
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
    policy: str = "agent"
    """Who plays: the agent, or one who sees nothing, to know what that alone gets: an explorer of the
    game, or a blind player (an unknown name lists them)."""
    run_dir: Path | None = None
    """Folder of the run, which knows its game; by default the agent that comes with this package."""
    controller: str = "controller.safetensors"
    """File of the controller, in that folder."""
    game: Literal["stock", "exact"] = "stock"
    """The library's own class, or ours: faster, with the same pixels and scores."""
    tau: float = 1.0
    """Temperature of the dream, from 0.05 to 10."""
    end: End = "cutoff"
    """The dream ends where M finds the end likelier than not, or by chance, as likely as M says."""
    json: bool = False
    """Print the score as JSON on stdout."""

    def __post_init__(self):
        super().__post_init__()
        check_scored_games(self)
        check_taus(self, "tau")

    def config(self, task: Task) -> EvaluateConfig:
        horizon = task.horizon if self.horizon is None else self.horizon
        return EvaluateConfig(self.episodes, self.first_seed, horizon)


@dataclass(frozen=True)
class TemperatureOptions(OnThisMachine, TableConfig):
    """C learns in dreams of several temperatures, and is scored in them and in the game."""

    run_dir: Path | None = None
    """Folder of the run whose V and M are taken; by default the Doom agent that comes with this
    package."""
    out: Path = Path("runs/temperature")
    """Folder for the controllers and the table: made if missing, gone on with if there."""
    seed: int = RunConfig.seed
    """Seed of everything that is drawn, apart from the games."""

    def __post_init__(self):
        OnThisMachine.__post_init__(self)
        TableConfig.__post_init__(self)


@dataclass(frozen=True)
class FidelityOptions(OnThisMachine, FidelityConfig):
    """How far an agent's dream may be believed: its scores, ends and pictures against the game's."""

    task: str = "takecover"
    """The game whose agent is taken where there is no run_dir."""
    run_dir: Path | None = None
    """Folder of the run; by default the agent that comes with this package."""

    def __post_init__(self):
        OnThisMachine.__post_init__(self)
        FidelityConfig.__post_init__(self)


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

    def __post_init__(self):
        check_counts(self, steps=1, seed=0)


@dataclass(frozen=True)
class ExportOptions(OnThisMachine):
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
    """The library's own class, or ours: faster, with the same pixels and scores."""


def run_command(command: str, argv: Sequence[str]) -> int:
    """Run a command; errors that a user can mend are one line, without a traceback."""
    try:
        refuse_renamed(command, argv)
        return _COMMANDS[command](list(argv))
    except (ConfigError, ArtifactError, GameError) as error:
        print(f"error: {error}{_fewer_lanes(command, error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = shlex.join(["python", "-m", "wmlib", command, *argv])
        then = "goes on from here" if command in (*RUNNING, "temperature") else "begins anew"
        print(f"\nstopped. The same command {then}: {again}", file=sys.stderr)
        return 130


def _fewer_lanes(command: str, error: Exception) -> str:
    """The command's own option, where fewer games at once would help."""
    fewer = getattr(error, "fewer", None)
    return f": --{'machine.' * (command in RUNNING)}lanes {fewer}" if fewer else ""


def run_options(command: str, argv: Sequence[str]) -> RunOptions:
    """--profile and --task choose the defaults of other options, so they are read first."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--profile", default="laptop")
    first.add_argument("--task", default=RunConfig.task)
    known = first.parse_known_args(argv)[0]
    config = find_profile(known.profile, known.task)
    default = RunOptions(Path("runs") / f"{known.task}-{known.profile}", known.profile, config)
    return tyro.cli(RunOptions, prog=f"python -m wmlib {command}", args=argv, default=default)


def _run(command: str, argv: list[str]) -> int:
    options = run_options(command, argv)
    from wmlib.runtime.signals import stops_on_signals
    from wmlib.stages.pipeline import Pipeline

    every = options.config.stages
    stages = {
        "run": every,
        "evolve": [stage for stage in every if stage in makers("controller")] or ["dream"],
    }.get(command, [command])
    with stops_on_signals():
        pipeline = Pipeline(options.config, options.run_dir)
        for stage in stages:
            pipeline.run_stage(stage)
    return 0


def _evaluate(argv: list[str]) -> int:
    options = tyro.cli(EvaluateOptions, prog="python -m wmlib evaluate", args=argv)
    task = find_task(options.task)
    from wmlib.agent import load_agent
    from wmlib.measure.evaluation import evaluate, evaluate_policy
    from wmlib.runtime.log import RunLog
    from wmlib.runtime.signals import stops_on_signals

    if options.policy != "agent":
        if options.run_dir:
            raise ConfigError("--policy: an explorer needs no --run-dir; say --task")
        if options.policy not in task.policies() or options.world != "real":
            names = ", ".join(task.policies())
            raise ConfigError(f"--policy: {task.name} knows agent, and in the real game {names}")
        config = options.config(task)
        with stops_on_signals():
            score = evaluate_policy(
                task, options.policy, config, options.machine, RunLog(), options.game
            )
        return _tell(options, score)
    agent = load_agent(options.run_dir or REFERENCE / options.task, options.controller)
    config = options.config(agent.task)
    if options.world == "real":
        world = agent.real(config.episodes, options.machine, config.horizon, options.game)
    else:
        lanes = options.machine.lanes_for(config.episodes)
        world = agent.dream(lanes, config.horizon, options.tau, options.end)
    with world, stops_on_signals():
        score = evaluate(world, agent.controller, agent.params, config, RunLog(), options.world)
    return _tell(options, score)


def _tell(options: EvaluateOptions, score) -> int:
    print(json.dumps(score.as_dict()) if options.json else f"{score.task}, {score.world}: {score}")
    return 0


def _temperature(argv: list[str]) -> int:
    options = tyro.cli(TemperatureOptions, prog="python -m wmlib temperature", args=argv)
    from wmlib.agent import load_agent
    from wmlib.measure.temperature import as_text, table
    from wmlib.runtime.job import Job
    from wmlib.runtime.log import RunLog
    from wmlib.runtime.signals import stops_on_signals

    agent = load_agent(options.run_dir or REFERENCE / "takecover")
    job = Job("temperature", options.seed, RunLog(options.out), options.out)
    with stops_on_signals():
        rows = table(agent, options, options.machine, job)
    print(as_text(rows))
    return 0


def _fidelity(argv: list[str]) -> int:
    options = tyro.cli(FidelityOptions, prog="python -m wmlib fidelity", args=argv)
    find_task(options.task)
    from wmlib.agent import load_agent
    from wmlib.measure.fidelity import measure_fidelity
    from wmlib.runtime.log import RunLog
    from wmlib.runtime.signals import stops_on_signals

    agent = load_agent(options.run_dir or REFERENCE / options.task)
    with stops_on_signals():
        print(measure_fidelity(agent, options, options.machine, RunLog()))
    return 0


def _export(argv: list[str]) -> int:
    options = tyro.cli(ExportOptions, prog="python -m wmlib export", args=argv)
    from wmlib.runtime.signals import stops_on_signals
    from wmlib.stages.export import config_of, export_run

    remedy = f"finish the run: python -m wmlib run --run-dir {options.run_dir}"
    task = find_task(config_of(options.run_dir, remedy)["task"])
    out = options.out or REFERENCE / task.name
    horizon = task.horizon if options.horizon is None else options.horizon
    config = EvaluateConfig(options.episodes, horizon=horizon)
    with stops_on_signals():
        scores = export_run(options.run_dir, out, options.made_by, config, options.game, options.machine)
    for name, score in scores.items():
        print(f"{name}: {score}")
    return 0


def _play(argv: list[str]) -> int:
    options = tyro.cli(PlayOptions, prog="python -m wmlib play", args=argv)
    find_task(options.task)
    from wmlib.agent import load_agent
    from wmlib.widgets.side_by_side import show_side_by_side

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
    "fidelity": _fidelity,
    "play": _play,
    "export": _export,
}

_SEARCH = {
    "validate-every": "validation.every",
    "validation-episodes": "validation.episodes",
    "validation-horizon": "validation.horizon",
    "directions": "coordinates.kind",
}
_OF_A_RUN = {
    "--collect.driver": "--collect.agent",
    "--dream.temperature": "--dream.tau",
    "--iterate.dream.temperature": "--iterate.dream.tau",
    "--rounds.dream.temperature": "--rounds.tau",
    **{
        f"--{stage}.{old}": f"--{stage}.{new}"
        for stage in ("dream", "real", "iterate.dream")
        for old, new in _SEARCH.items()
    },
}
_RENAMED: dict[str, dict[str, str]] = {
    **{command: _OF_A_RUN for command in RUNNING},
    "evaluate": {"--temperature": "--tau"},
    "temperature": {
        "--dream.temperature": "--taus",
        "--dream.directions": "--coordinates.kind",
    },
}
"""Of each command, options by their former names, and what they are called now."""


def refuse_renamed(command: str, argv: Sequence[str]) -> None:
    """Say what an option is called now that went by another name.

    Raises:
        ConfigError: naming the new name.
    """
    for word in argv:
        old = word.partition("=")[0].replace("_", "-")
        if old.endswith(".components") and not old.startswith("--rounds."):
            prefix = "--" if command == "temperature" else old.removesuffix("components")
            kind, count = f"{prefix}coordinates.kind", f"{prefix}coordinates.count"
            raise ConfigError(
                f"{old} is two options now: in place of -1 say {kind} weights; of 0, {kind} predictive "
                f"(or advantage), which takes all; of a number n, the same and {count} n"
            )
        if new := _RENAMED.get(command, {}).get(old):
            raise ConfigError(f"{old} is called {new} now; python -m wmlib {command} --help says more")
