"""How a notebook begins: which profile, whose weights, on what machine."""

import os
import platform
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wmlib.agent import Agent, load_agent
from wmlib.config import RunConfig, StageName
from wmlib.data.episodes import EpisodeStore
from wmlib.data.sequences import Sequences
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.device import best_device
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.files import REFERENCE, load_json
from wmlib.runtime.log import RunLog, read_events
from wmlib.runtime.place import CHECKOUT, SAMPLE, bring_back, named
from wmlib.runtime.versions import installed_versions
from wmlib.stages.folder import RunFolder, dream_starts
from wmlib.stages.pipeline import Pipeline
from wmlib.task import Task, find_profile, find_task
from wmlib.training import encode_store
from wmlib.vae import VAE
from wmlib.worlds.moments import DreamStarts

_CLAIMS = "studies/results/claims.json"


@dataclass(frozen=True)
class Lesson:
    """What a notebook stands on.

    run: your run folder, which the notebooks fill stage by stage. own: whether it holds what this
    notebook builds on; if not, what comes with the package takes its place.
    """

    config: RunConfig
    run: Path
    own: bool

    @property
    def shipped(self) -> bool:
        """Whether what comes with the package takes your run's place."""
        return not self.own

    @property
    def folder(self) -> Path:
        """Where V, M and C come from."""
        return self.run if self.own else REFERENCE / find_task(self.config.task).name

    def share(self, count: int) -> int:
        """`count` in the laptop profile; in a smaller one fewer, in proportion to V's training; 2 at
        least."""
        part = self.config.vae.steps / find_profile("laptop", self.config.task).vae.steps
        return max(2, round(count * min(part, 1.0)))

    def train(self, stage: StageName) -> list[dict]:
        """Run a stage in your run folder, or load it where it was run before.

        Returns:
            its events (see `read_events`): none where the run folder lacks what the stage builds on.
        """
        if not self.own:
            print(
                f"{stage}: not run, since the notebook before this one was not; the shipped one is used"
            )
            return []
        Pipeline(self.config, self.run).run_stage(stage)
        return read_events(self.run, stage)

    def episodes(self) -> EpisodeStore:
        """Yours, or the two that come with the package."""
        if self.own:
            return Pipeline(self.config, self.run, quiet=True).files.store()
        if not SAMPLE.is_dir():
            raise ArtifactError(f"{SAMPLE} is missing; bring it back: {bring_back(SAMPLE)}")
        return EpisodeStore(SAMPLE)

    def sequences(self) -> Sequences:
        """The episodes, encoded by V."""
        if self.own:
            return Pipeline(self.config, self.run).files.sequences("mdnrnn")
        return encode_store(self.vae(), self.episodes(), RunLog(quiet=True))

    def vae(self) -> VAE:
        """V, as the stage vae left it in your run, or as it is shipped."""
        if self.own:
            return Pipeline(self.config, self.run, quiet=True).files.load_vae("mdnrnn")
        return self.agent().vae

    def mdnrnn(self) -> MDNRNN:
        """M, as the stage mdnrnn left it in your run, or as it is shipped."""
        if self.own:
            return Pipeline(self.config, self.run, quiet=True).files.load_mdnrnn("dream")
        return self.agent().mdnrnn

    def starts(self) -> DreamStarts:
        """Where dreams begin: first frames, as V sees them."""
        if self.own:
            return dream_starts(self.vae(), self.episodes())
        return self.agent().starts

    def results(self, file: str, command: str, pick: Callable = lambda told: told) -> object:
        """What was measured once, and comes with the repository. The command that makes it is printed.

        Args:
            file: its place in the repository, JSON. pick: what of it is wanted.

        Returns:
            what `pick` gives; where there is none of it yet, an empty dict.
        """
        path = CHECKOUT / file if CHECKOUT else None
        told = load_json(path, bring_back(path)) if path and path.is_file() else None
        found = pick(told) if told else {}
        print(f"made by: {command}", "" if found else "  (no rows were made yet)")
        return found or {}

    def findings(self, study: str, columns: Sequence[str]) -> list[dict]:
        """What an experiment found that takes longer than a notebook has: `python -m studies.claims`
        makes its rows, which come with the repository. They are printed, with these columns.

        Returns:
            the rows; none where none was made yet.
        """
        command = f"python -m studies.claims {study}"
        rows = self.results(_CLAIMS, command, lambda told: told["studies"].get(study)) or []
        if rows:
            table = [["", "seed", "effort", "n", *columns]]
            table += [[_short(row.get(key)) for key in ("name", *table[0][1:])] for row in rows]
            widths = [max(map(len, column)) for column in zip(*table, strict=True)]
            for first, *rest in table:
                ends = (f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True))
                print(f"{first:<{widths[0]}}", *ends, sep="  ")
        return rows

    def agent(self, controller_file: str = "controller.safetensors") -> Agent:
        """V, M and C from `folder`."""
        return load_agent(self.folder, controller_file, self.config.task)


def _short(value: object) -> str:
    """For a table: three digits of a number."""
    if isinstance(value, list):
        return " ".join(map(_short, value))
    if value is None:  # there was nothing to measure
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def begin(after: StageName | None = "evaluate", task: str | Path | Task = RunConfig.task) -> Lesson:
    """Say what the notebook stands on, by two environment variables.

    WMLIB_PROFILE: by default laptop. WMLIB_RUN_DIR: by default runs/course-<profile>; ~ is home, and
    what is relative lies in the repository. Runs of other games than the car are folders in there, by
    the names of their tasks.

    Args:
        after: the stage that your run folder must hold; without it what is shipped is taken. None needs
            nothing.
        task: its name, or the file of a game of yours (see `find_task`).

    Raises:
        ConfigError: if there is no such profile.
        ArtifactError: what your run folder holds is damaged, or it is no folder; or it does not hold
            that stage, and nothing is shipped for the game.
    """
    task = find_task(task)
    profile = os.environ.get("WMLIB_PROFILE") or "laptop"
    config = find_profile(profile, task)
    chosen = os.environ.get("WMLIB_RUN_DIR")
    base = named(chosen or f"runs/course-{profile}")
    if base.exists() and not base.is_dir():
        raise ArtifactError(f"{base} is not a folder; let WMLIB_RUN_DIR name one, or none at all")
    run = base if task.name == RunConfig.task else base / task.name
    own = after is None or RunFolder(config, run, RunLog(quiet=True)).holds(after)
    if task.source and not own:
        words = ["run", "--task", task.source, "--profile", profile, "--run-dir", str(run)]
        raise ArtifactError(
            f"{run} holds no outcome of {after}, and no agent of {task.name} comes with this package; "
            f"run what comes before, or: {shlex.join(['python', '-m', 'wmlib', *words])}"
        )
    print(f"profile {profile}; Python {platform.python_version()}; device {best_device()}")
    releases = installed_versions(("torch", "gymnasium", "wmlib"))
    print(", ".join(f"{name} {version}" for name, version in releases.items()))
    if chosen and not base.exists():
        where = _shown(base)
        print(f"WMLIB_RUN_DIR names {where}, which is not there yet: what you train here will fill it")
    if after:
        whose = _shown(REFERENCE / task.name)
        lacks = f" ({_shown(run)} holds no outcome of {after})" if chosen else ""
        print("it builds on:", f"your run {run.name}" if own else f"shipped, {whose}{lacks}")
    return Lesson(config, run, own)


def _shown(path: Path) -> str:
    """A path as it is printed: from the repository on, where it lies there."""
    inside = CHECKOUT and path.is_relative_to(CHECKOUT)
    return path.relative_to(CHECKOUT).as_posix() if inside else str(path)
