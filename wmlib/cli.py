"""What each command of `python -m wmlib` does. Options come from the dataclasses, by tyro."""

import argparse
import errno
import functools
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from wmlib.config import (
    REPORTING_SEEDS,
    End,
    EvaluateConfig,
    FidelityConfig,
    Machine,
    RunConfig,
    TableConfig,
    WebConfig,
    check_scored_games,
    makers,
)
from wmlib.envs.errors import GameError
from wmlib.runtime.disk import ArtifactError, ensure_writable, unreadable, whole_file
from wmlib.runtime.fields import ConfigError, check, check_counts, check_seed, check_taus
from wmlib.runtime.files import REFERENCE, as_json, load_json, save_json
from wmlib.runtime.place import CHECKOUT
from wmlib.runtime.seeds import digest_of
from wmlib.runtime.streams import tell
from wmlib.task import Task, find_profile, find_task, task_names

if TYPE_CHECKING:  # what a command needs is imported when it runs
    from wmlib.agent import Agent

CONTROLLER = "controller.safetensors"
BLIND = "blind"
"""In place of a player's name: the best of those that see nothing."""


@dataclass(frozen=True)
class RunOptions:
    """Where a run lives and what it is made of."""

    run_dir: Path = Path("runs/carracing-laptop")
    """Folder of the run: made if missing, gone on with if there. By default runs/TASK-PROFILE."""
    profile: str = "laptop"
    """smoke (a minute, for tests), laptop (made for two hours), overnight (for eight) or paper (months);
    of a game of yours smoke, laptop (made for minutes), and those that its file names."""
    config: Annotated[RunConfig, tyro.conf.arg(name="")] = field(
        default_factory=lambda: find_profile("laptop")
    )


@dataclass(frozen=True)
class OnThisMachine:
    """How games are spread over this machine, or over others. It changes no result."""

    lanes: int = 32
    """Games held open at once. (Dreams need little memory, and don't look at this.)"""
    workers: int = 0
    """Processes that run games; 0 takes one for each core that this process may use."""
    scheduler: str = Machine.scheduler
    """Who plays them: dask's scheduler, as in tcp://host:8786, or local:N for N worker processes here.
    Empty: the processes above."""

    def __post_init__(self):
        check_counts(self, lanes=1, workers=0)
        Machine(scheduler=self.scheduler)

    @property
    def machine(self) -> Machine:
        return Machine(self.workers, self.lanes, scheduler=self.scheduler)


@dataclass(frozen=True)
class EvaluateOptions(OnThisMachine):
    """Score an agent over many games. A run folder keeps the score besides, under scores/."""

    task: str | None = None
    """The game; by default the run's own, without a run carracing."""
    world: Literal["real", "dream"] = "real"
    """The game itself, or M's dream of it."""
    episodes: int = EvaluateConfig.episodes
    """Games to play."""
    first_seed: int | None = None
    """The first game's seed; the others follow. By default that of the score that was shipped with the
    agent; of others 2,000,000."""
    horizon: int | None = None
    """Frames after which a game is cut; by default the task's own number."""
    policy: str = "agent"
    """Who plays: the agent, or one who sees nothing, to know what that alone gets: an explorer of the
    game, or a blind player (an unknown name lists them). blind: whichever of these earns most in
    validation games."""
    run_dir: Path | None = None
    """Folder of the run, which knows its game; by default the agent that comes with this package."""
    controller: str = CONTROLLER
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

    def config(self, task: Task, first_seed: int = EvaluateConfig.first_seed) -> EvaluateConfig:
        """first_seed: where none was asked for."""
        horizon = task.horizon if self.horizon is None else self.horizon
        first_seed = first_seed if self.first_seed is None else self.first_seed
        return EvaluateConfig(self.episodes, first_seed, horizon)


@dataclass(frozen=True)
class TemperatureOptions(OnThisMachine, TableConfig):
    """C learns in dreams of several temperatures, and is scored in them and in the game."""

    run_dir: Path | None = None
    """Folder of the run whose V and M are taken; by default the Doom agent that comes with this
    package."""
    task: str | None = None
    """The game; by default the run's own."""
    out: Path = Path("runs/temperature")
    """Folder for the controllers and the table: made if missing, gone on with if there."""
    seed: int = RunConfig.seed
    """Seed of everything that is drawn, apart from the games."""

    def __post_init__(self):
        OnThisMachine.__post_init__(self)
        TableConfig.__post_init__(self)
        check_seed(self, "seed")


@dataclass(frozen=True)
class FidelityOptions(OnThisMachine, FidelityConfig):
    """How far an agent's dream may be believed: its scores, ends and pictures against the game's. A run
    folder keeps the report besides, under scores/."""

    task: str | None = None
    """The game; by default the run's own, without a run takecover."""
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
    task: str | None = None
    """The game; by default the run's own, without a run carracing."""

    def __post_init__(self):
        check_counts(self, steps=1)
        check_seed(self, "seed")


@dataclass(frozen=True)
class ExamineOptions:
    """What to look at where a run does not learn. It may be amid its stages: what there is is asked."""

    run_dir: Path = Path("runs/carracing-laptop")
    """Folder of the run."""
    task: str | None = None
    """The game; by default the run's own."""
    out: Path = Path("examine.png")
    """The picture to write: recorded frames, as they were, as V paints them, and as M expected them."""


@dataclass(frozen=True)
class ExportOptions(OnThisMachine):
    """Turn a finished run into a folder that can be shipped, and score what is shipped."""

    run_dir: Path = Path("runs/carracing-laptop")
    """Folder of the finished run."""
    out: Path | None = None
    """Folder to write; by default, in a checkout, data/reference/TASK."""
    made_by: str = ""
    """The command that made the run, for the manifest: python -m wmlib run, and all its options. It is
    checked against what the run's stages recorded. By default that of the profile that fits."""
    episodes: int = EvaluateConfig.episodes
    """Games for each score."""
    dream_episodes: int | None = None
    """Games for the score of the controller that learned in dreams alone; by default as many."""
    first_seed: int = EvaluateConfig.first_seed
    """Where the seeds of the scores begin. Take those on which nothing was ever scored before."""
    check: bool = False
    """Score a second time, on seeds that follow: do both scores agree?"""
    horizon: int | None = None
    """Frames after which a game is cut; by default the task's own number."""
    game: Literal["stock", "exact"] = "stock"
    """The library's own class, or ours: faster, with the same pixels and scores."""

    def __post_init__(self):
        super().__post_init__()
        check_scored_games(self)
        enough = self.dream_episodes is None or self.dream_episodes >= 2
        check(self, "dream_episodes", enough, "2 or more: a single game is an anecdote")
        reporting = self.first_seed >= REPORTING_SEEDS
        check(self, "first_seed", reporting, f"a reporting seed, {REPORTING_SEEDS:,} or more")


@dataclass(frozen=True)
class ExportWebOptions(WebConfig):
    """Write what the page in web/ needs of an agent: its dream, and a game that it plays."""

    task: str | None = None
    """The game; by default the run's own, without a run carracing."""
    run_dir: Path | None = None
    """Folder of the run; by default the agent that comes with this package."""
    table: Path | None = None
    """Folder of a temperature table of this agent (python -m wmlib temperature): its controllers are
    shown too, with what they were promised and what the game paid. By default the run's own, if it has
    one."""
    out: Path = Path("web/data")
    """Where the page looks for games: each gets a folder of its own there."""


def run_command(command: str, argv: Sequence[str]) -> int:
    """Run a command; errors that a user can mend are one line, without a traceback."""
    # A shell makes ~ a home at the beginning of a word only, and --run-dir=~/x is one word.
    argv = ["=".join(map(os.path.expanduser, word.split("=", 1))) for word in argv]
    try:
        refuse_renamed(command, argv)
        return _COMMANDS[command](list(argv))
    except (ConfigError, ArtifactError, GameError) as error:
        print(f"error: {error}{_fewer_lanes(command, error)}", file=sys.stderr)
        return 2
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        if (message := _of_the_machine(command, error)) is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = shlex.join(["python", "-m", "wmlib", command, *argv])
        then = "goes on from here" if command in (*RUNNING, "temperature", "export") else "begins anew"
        print(f"\nstopped. The same command {then}: {again}", file=sys.stderr)
        return 130


def _of_the_machine(command: str, error: Exception) -> str | None:
    """What the machine refused, where it was the machine: libraries say so in several ways."""
    number, said = getattr(error, "errno", None), str(error).lower()
    if number in (errno.EMFILE, errno.ENFILE) or "too many open files" in said:
        return "too many open files; allow more (ulimit -n 4096) and run the same command again"
    words = ("allocate memory", "not enough memory", "out of memory", "bad_alloc")
    if isinstance(error, MemoryError) or number == errno.ENOMEM or any(word in said for word in words):
        less = "take fewer lanes: --lanes 8"
        if command in RUNNING:
            less = "take fewer lanes (--machine.lanes 8), or a smaller --vae.batch-size"
        return (
            f"too little memory; {'show fewer --steps' if command in ('play', 'export-web') else less}"
        )
    if number in (errno.EACCES, errno.ENAMETOOLONG) and error.filename:
        return str(unreadable(Path(error.filename), error, "choose another"))
    return None


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
    folder = Path("runs") / f"{find_task(known.task).name}-{known.profile}"
    default = RunOptions(folder, known.profile, config)
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
        pipeline.run(stages)
    return 0


def _agent_for(
    options: "EvaluateOptions | FidelityOptions | PlayOptions | ExportWebOptions",
    default: str,
    controller: str = CONTROLLER,
) -> "Agent":
    """The agent of the run, or the one that comes with the package; of the game that is asked for."""
    from wmlib.agent import load_agent

    task = find_task(options.task or default)
    folder = options.run_dir or REFERENCE / task.name
    there = sorted(path.name for path in folder.glob("controller*.safetensors"))
    if there and controller != CONTROLLER and not (folder / controller).is_file():  # mistyped
        raise ConfigError(f"--controller: {folder} has no {controller}; it has: {', '.join(there)}")
    agent = load_agent(folder, controller, task if options.task else None)
    if task.source and agent.about["game"]["digest"] != task.digest:
        tell(f"note: {task.source} is not as it was when the agent in {folder} learned it", sys.stderr)
    return agent


def _evaluate(argv: list[str]) -> int:
    options = tyro.cli(EvaluateOptions, prog="python -m wmlib evaluate", args=argv)
    task = find_task(options.task or RunConfig.task)
    from wmlib.measure.evaluation import best_blind, digest_of_agent, evaluate, evaluate_policy
    from wmlib.runtime.log import RunLog
    from wmlib.runtime.signals import stops_on_signals
    from wmlib.worlds.dream import SIDE_BY_SIDE

    if options.policy != "agent":
        if options.run_dir:
            raise ConfigError("--policy: an explorer needs no --run-dir; say --task")
        if options.policy not in (*task.policies(), BLIND) or options.world != "real":
            names = ", ".join((*task.policies(), BLIND))
            raise ConfigError(f"--policy: {task.name} knows agent, and in the real game {names}")
        config, player, log = options.config(task), options.policy, RunLog()
        with stops_on_signals():
            if player == BLIND:
                player = best_blind(task, config, options.machine, log, options.game)
            score = evaluate_policy(task, player, config, options.machine, log, options.game)
        how = {"horizon": config.horizon, "game": options.game, **_own(task)}
        return _tell_score(options, score, how)
    agent = _agent_for(options, RunConfig.task, options.controller)
    config = options.config(agent.task, _scored_from(options, agent))
    if options.world == "real":
        world = agent.real(config.episodes, options.machine, config.horizon, options.game)
    else:
        lanes = min(config.episodes, SIDE_BY_SIDE)
        world = agent.dream(lanes, config.horizon, options.tau, options.end)
    with world, stops_on_signals():
        score = evaluate(world, agent.controller, agent.params, config, RunLog(), options.world)
    how = {"game": options.game}
    if options.world == "dream":
        how = {"tau": options.tau, "end": options.end}
    how |= {
        "horizon": config.horizon,
        "controller": options.controller,
        "weights": digest_of_agent(agent),
        **_own(agent.task),
    }
    return _tell_score(options, score, how)


def _scored_from(options: EvaluateOptions, agent: "Agent") -> int:
    """The first seed of the score that was shipped with the agent; of others the first of all."""
    path = (options.run_dir or REFERENCE / agent.task.name) / "manifest.json"
    scores = load_json(path, "export the run again").get("scores", {}) if path.exists() else {}
    of_it = scores.get(Path(options.controller).stem, {}) if isinstance(scores, dict) else {}
    return of_it.get("first_seed", EvaluateConfig.first_seed)


def _own(task: Task) -> dict[str, str]:
    """What tells one version of a game of yours from another."""
    return {"digest_of_game": task.digest} if task.source else {}


def _tell_score(options: EvaluateOptions, score, how: dict) -> int:
    """how: what the score depends on and does not say itself."""
    text = as_json(score.as_dict()) if options.json else f"{score.task}, {score.world}: {score}"
    return _deliver("evaluate", text, options.run_dir, score.as_dict() | how)


def _deliver(command: str, text: str, run: Path | None, outcome: dict) -> int:
    """Print what took long, and keep it in the run's folder. Where there is no run, it is kept in this
    folder if it can't be printed."""
    if run and run.resolve().is_relative_to(REFERENCE.resolve()):  # what is shipped stays as it is
        run = None
    kept = run and _keep(command, outcome, run)
    why = tell(text, sys.stdout)
    if why:
        return _tell_instead(text, why, kept or _keep(command, outcome, Path()))
    if kept:
        tell(f"kept in {kept}", sys.stderr)
    return 0


def _keep(command: str, outcome: dict, folder: Path) -> Path | None:
    """Write an outcome below the folder. Its name follows from all that it says, so that none takes
    another's place."""
    path = folder / "scores" / f"{command}-{digest_of(sorted(outcome.items()))}.json"
    try:
        save_json(path, outcome)
    except ArtifactError as error:
        tell(f"not kept: {error}", sys.stderr)
        return None
    return path


def _tell_instead(text: str, why: str, kept: Path | None = None) -> int:
    """Say on standard error what became of a text that standard output did not take.

    Returns the exit status: 1 if nobody is ever going to see it.
    """
    where = f"its outcome is in {kept}" if kept else f"this was to be read there:\n{text}"
    unheard = tell(f"standard output can't be written ({why}); {where}", sys.stderr)
    return 1 if unheard and not kept else 0


def _temperature(argv: list[str]) -> int:
    options = tyro.cli(TemperatureOptions, prog="python -m wmlib temperature", args=argv)
    from wmlib.agent import load_agent
    from wmlib.measure.temperature import TABLE, as_text, table
    from wmlib.runtime.job import Job
    from wmlib.runtime.log import RunLog
    from wmlib.runtime.signals import stops_on_signals

    ensure_writable(options.out / TABLE, "--out")
    agent = load_agent(options.run_dir or REFERENCE / "takecover", task=options.task)
    job = Job("temperature", options.seed, RunLog(options.out), options.out)
    with stops_on_signals():
        rows = table(agent, options, options.machine, job)
    why = tell(as_text(rows), sys.stdout)
    return _tell_instead(as_text(rows), why, options.out / TABLE) if why else 0


def _fidelity(argv: list[str]) -> int:
    options = tyro.cli(FidelityOptions, prog="python -m wmlib fidelity", args=argv)
    from wmlib.measure.evaluation import digest_of_agent
    from wmlib.measure.fidelity import measure_fidelity
    from wmlib.runtime.log import RunLog
    from wmlib.runtime.signals import stops_on_signals

    agent = _agent_for(options, "takecover")
    with stops_on_signals():
        report = str(measure_fidelity(agent, options, options.machine, RunLog()))
    asked = {one.name: getattr(options, one.name) for one in fields(FidelityConfig)}
    about = {"task": agent.task.name, "weights": digest_of_agent(agent), "asked": asked}
    outcome = about | {"report": report.split("\n")}
    return _deliver("fidelity", report, options.run_dir, outcome)


def _export(argv: list[str]) -> int:
    options = tyro.cli(ExportOptions, prog="python -m wmlib export", args=argv)
    if not options.out and not CHECKOUT:
        raise ConfigError("--out: say where to; what is shipped lies among installed packages here")
    from wmlib.runtime.signals import stops_on_signals
    from wmlib.stages.export import Scoring, export_run

    if options.out:
        ensure_writable(options.out / "manifest.json", "--out")
    made_by = options.made_by or _profile_of(options.run_dir)
    made = _meant(made_by)
    task = find_task(made.task)
    if task.source and not options.out:
        raise ConfigError("--out: say where to; data/reference is for the games that come with wmlib")
    out = options.out or REFERENCE / task.name
    horizon = task.horizon if options.horizon is None else options.horizon
    config = EvaluateConfig(options.episodes, options.first_seed, horizon)
    plan = Scoring(config, options.dream_episodes or options.episodes, options.check, options.game)
    with stops_on_signals():
        scores = export_run(options.run_dir, out, made_by, made, plan, options.machine)
    text = "\n".join(f"{name}: {score}" for name, score in scores.items())
    why = tell(text, sys.stdout)
    return _tell_instead(text, why, out) if why else 0


def _profile_of(run_dir: Path) -> str:
    """The command of the profile under which the run's first stage was finished.

    Raises:
        ArtifactError: there is none.
    """
    from wmlib.runtime.log import RunLog
    from wmlib.stages.folder import RunFolder, task_of_run

    for name in task_of_run(run_dir) or task_names():
        for profile in find_task(name).profiles:
            config = find_profile(profile, name)
            files = RunFolder(config, run_dir, RunLog(quiet=True))
            if all(files.is_done(stage) for stage in config.stages if stage != "evaluate"):
                return shlex.join(["python", "-m", "wmlib", "run", "--task", name, "--profile", profile])
    raise ArtifactError(
        f"{run_dir} is not a finished run of a profile as it stands; finish it, or say which command, "
        'with all its options, made it: --made-by "python -m wmlib run ..."'
    )


def _meant(command: str) -> RunConfig:
    """What a command, python -m wmlib run and its options, stands for."""
    words = shlex.split(command)
    if words[1:4] != ["-m", "wmlib", "run"]:
        raise ConfigError(f'--made-by is {command!r}; it must be "python -m wmlib run" and its options')
    refuse_renamed("run", words[4:])
    return run_options("run", words[4:]).config


def _export_web(argv: list[str]) -> int:
    options = tyro.cli(ExportWebOptions, prog="python -m wmlib export-web", args=argv)
    from wmlib.runtime.log import RunLog
    from wmlib.runtime.signals import stops_on_signals
    from wmlib.stages.web import LIST, export_web

    ensure_writable(options.out / LIST, "--out")
    agent = _agent_for(options, RunConfig.task)
    folder = options.run_dir or REFERENCE / agent.task.name
    with stops_on_signals():
        files = export_web(agent, folder, options.out, options, options.table, RunLog())
    text = "\n".join(f"{path}: {size / 1e6:.1f} MB" for path, size in files.items())
    why = tell(text, sys.stdout)
    return _tell_instead(text, why, options.out) if why else 0


def _play(argv: list[str]) -> int:
    options = tyro.cli(PlayOptions, prog="python -m wmlib play", args=argv)
    if options.out.is_dir():
        gif = PlayOptions.out.name
        raise ConfigError(f"--out: {options.out} is a folder; name a file, such as {options.out / gif}")
    ensure_writable(options.out, "--out")
    from wmlib.runtime.log import as_points
    from wmlib.widgets.side_by_side import show_side_by_side

    agent = _agent_for(options, RunConfig.task)
    real, dreamt = show_side_by_side(agent, options.seed, options.steps, options.out)
    text = (
        f"real game: {as_points(real)} points in {options.steps} frames\n"
        f"its dream: {as_points(dreamt)} points in {options.steps} frames, as M believes\n"
        f"side by side: {options.out}"
    )
    why = tell(text, sys.stdout)
    return _tell_instead(text, why) if why else 0


def _examine(argv: list[str]) -> int:
    options = tyro.cli(ExamineOptions, prog="python -m wmlib examine", args=argv)
    from wmlib.stages.examine import examine
    from wmlib.stages.folder import recorded_task

    ensure_writable(options.out, "--out")
    found = examine(options.run_dir, find_task(options.task or recorded_task(options.run_dir)))
    if found.picture is not None:
        with whole_file(options.out) as temporary:
            found.picture.savefig(temporary, format="png")
    text = found.text + (f"\npicture: {options.out}" if found.picture else "")
    why = tell(text, sys.stdout)
    return _tell_instead(text, why) if why else 0


def _worker(argv: list[str]) -> int:
    from wmlib.cluster.scheduler import run_worker

    return run_worker(argv)


RUNNING = ("run", "collect", "vae", "mdnrnn", "evolve")
"""Commands that work on a run folder, and go on where they stopped."""

_COMMANDS = {
    **{name: functools.partial(_run, name) for name in RUNNING},
    "evaluate": _evaluate,
    "temperature": _temperature,
    "fidelity": _fidelity,
    "examine": _examine,
    "play": _play,
    "export": _export,
    "export-web": _export_web,
    "worker": _worker,
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
