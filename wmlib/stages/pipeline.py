"""The stages of a run, in the order that its configuration lists.

Each stage loads its outcome if that was made by the same configuration, else goes on from its
checkpoint, else begins.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from wmlib.agent import Agent, Explorer, load_agent
from wmlib.config import VALIDATION_SEEDS, DreamConfig, RealConfig, RunConfig, StageName
from wmlib.data.episodes import learnable
from wmlib.data.sequences import Sequences
from wmlib.evolution.cmaes import Judge, evolve, scores_in
from wmlib.evolution.space import SearchSpace, fitted_space
from wmlib.measure.evaluation import evaluate
from wmlib.runtime.files import REFERENCE, save_json
from wmlib.runtime.log import RunLog
from wmlib.runtime.seeds import seed_of
from wmlib.stages.collect import check_store, collect
from wmlib.stages.folder import RunFolder
from wmlib.stages.iterate import calibrate, learn_on
from wmlib.stages.refit import refit
from wmlib.stages.rounds import run_rounds
from wmlib.task import find_task
from wmlib.training import train_mdnrnn, train_vae
from wmlib.worlds.moments import starts_of
from wmlib.worlds.play import Elsewhere
from wmlib.worlds.record import record
from wmlib.worlds.world import World

Work = Callable[[], object]


class Pipeline:
    """A run folder and the configuration that fills it."""

    def __init__(self, config: RunConfig, folder: Path, quiet: bool = False):
        self.config, self.folder = config, Path(folder)
        self.log = RunLog(self.folder, quiet)
        self.files = RunFolder(config, self.folder, self.log)
        self.task = find_task(config.task)

    def run(self, stages: Sequence[StageName]) -> None:
        """These stages, in their order; one that is done already is not run again.

        Raises:
            ArtifactError: a stage before them is not done, or another run is at work in the folder.
        """
        self.files.check_before(stages[0])
        with self.files.alone():
            for stage in stages:
                self._run_stage(stage)

    def run_stage(self, stage: StageName) -> None:
        """One stage (see `run`)."""
        self.run([stage])

    def _run_stage(self, stage: StageName) -> None:
        self.files.check_before(stage)
        if self.files.is_done(stage):
            self.log.say(f"{stage}: done before, loaded from {self.folder}")
            return
        # What it needs is read first: a stage that is refused leaves no trace.
        work = getattr(self, f"_{stage}")()
        self.files.begin(stage)
        began = time.monotonic()
        work()
        seconds = round(time.monotonic() - began, 1)
        self.log.event(stage, -1, done=True, wall_seconds=seconds)
        self.files.mark_done(stage)

    # What each stage does: the method of its name reads what it needs, and returns the work

    def _collect(self) -> Work:
        config, explorer, digest = self.config.collect, None, ""
        if config.policy == "agent":
            folder = Path(config.agent) if config.agent else REFERENCE / self.task.name
            agent = load_agent(folder, task=self.task)
            explorer = Explorer(agent, config.noise)
            digest = self.files.digest("collect", "", agent.about["sha256"])
        job = self.files.job("collect", self.files.episodes, digest)
        check_store(job)
        self._check_backend()
        return lambda: collect(self.task, config, self.config.machine, job, explorer)

    def _vae(self) -> Work:
        frames, job = learnable(self.files.store(), self.task), self.files.job("vae")

        def work() -> None:
            vae = train_vae(frames, self.task, self.config.vae, job)
            self.files.save_vae("vae", vae, self.files.starts(vae))

        return work

    def _mdnrnn(self) -> Work:
        self.files.load_vae("mdnrnn")
        self.files.store()

        def work() -> None:
            data, job = self.files.sequences("mdnrnn"), self.files.job("mdnrnn")
            self.files.save_mdnrnn("mdnrnn", train_mdnrnn(data, self.task, self.config.mdnrnn, job))

        return work

    def _dream(self) -> Work:
        agent = self.files.agent("dream")
        return lambda: self._evolve_asleep("dream", self.config.dream, agent)

    def _iterate(self) -> Work:
        files, config = self.files, self.config.iterate
        agent, store = files.agent("iterate"), files.store()
        before = self.config.stages_before("iterate")[-1]
        digest = files.digest("iterate", self.config.stage_hash(before))
        job = files.job("iterate", self.folder / "iterate", digest)
        self._check_backend()

        def work() -> None:
            better, games = learn_on(config, agent, store, self.config.machine, job, ends=config.ends)
            better = dataclasses.replace(better, starts=files.starts(better.vae))
            if config.calibrate:
                calibrate(better.mdnrnn, games)
            files.save_vae("iterate", better.vae, better.starts)
            files.save_mdnrnn("iterate", better.mdnrnn)
            if config.begin == "anywhere":
                starts = starts_of(better.mdnrnn, games, job.rng("moments"), margin=0)
                better = dataclasses.replace(better, starts=starts)
            self._evolve_asleep("iterate", config.dream, better, games)

        return work

    def _rounds(self) -> Work:
        files, config, agent = self.files, self.config.rounds, self.files.agent("rounds")
        # Nothing in a round depends on how many follow, so a run can be given more of them.
        one = dataclasses.replace(self.config, rounds=dataclasses.replace(config, rounds=1))
        digest = files.digest("rounds", one.stage_hash("rounds"))
        job = files.job("rounds", self.folder / "rounds", digest)
        self._check_backend()

        def work() -> None:
            explored = files.sequences("rounds")
            better = run_rounds(config, agent, explored, self.config.machine, job)
            files.save_mdnrnn("rounds", better.mdnrnn)
            files.save_controller("rounds", better.params)

        return work

    def _refit(self) -> Work:
        files, config = self.files, self.config.refit
        agent, store = files.agent("refit"), files.store()
        job = files.job("refit", self.folder / "refit")
        self._check_backend()

        def work() -> None:
            better, share = refit(config, agent, store, self.config.machine, job)
            self.log.say(f"refit: C says with its new eyes {share:.0%} of what it said with the old")
            files.save_vae("refit", better.vae, files.starts(better.vae))
            files.save_mdnrnn("refit", better.mdnrnn)
            files.save_controller("refit", better.params)

        return work

    def _real(self) -> Work:
        config, machine, agent = self.config.real, self.config.machine, self.files.agent("real")
        games = config.population * config.episodes
        self._check_backend()

        def work() -> None:
            options = {"grass": config.grass} if config.grass else {}
            with agent.real(games, machine, config.horizon, machine.backend, options=options) as world:
                self._evolve("real", config, agent, world)

        return work

    def _evaluate(self) -> Work:
        agent, config = self.files.agent("evaluate"), self.config.evaluate
        origin = {"made_from": self.files.stands_on("evaluate")}

        def work() -> None:
            with agent.real(config.episodes, self.config.machine, config.horizon) as world:
                score = evaluate(world, agent.controller, agent.params, config, self.log)
            save_json(self.folder / "score.json", score.as_dict() | origin)
            self.log.say(f"score: {score}")

        return work

    def _check_backend(self) -> None:
        """Load what steps many games at once, which may not be installed."""
        game = self.task.game(self.config.machine.backend)
        if game.batched:
            game.load()

    # How C evolves

    def _evolve_asleep(
        self, stage: StageName, config: DreamConfig, agent: Agent, games: Sequences | None = None
    ) -> None:
        """Evolve C in the agent's dreams. games: what C may expect to see, where that is known."""
        dream = agent.dream_for(config, config.tau, self.config.machine)
        self._evolve(stage, config, agent, dream, games)

    def _evolve(
        self,
        stage: StageName,
        config: DreamConfig | RealConfig,
        agent: Agent,
        world: World | Elsewhere,
        games: Sequences | None = None,
    ) -> None:
        """Evolve C in a world wide enough for a whole generation."""
        if config.start == "zero":
            agent = dataclasses.replace(agent, params=torch.zeros_like(agent.params))
        score = scores_in(world, agent.controller, config.patience, config.charge, config.jerk)
        endless = self._endless(stage, config).stage_hash(stage)
        job = self.files.job(stage, digest=self.files.digest(stage, endless))
        with self._judge(config, agent) as judge:
            space = self._space(stage, config, agent, games)
            progress = evolve(config, space, score, job, judge, lambda: world.steps_played)
        self.files.save_controller(stage, progress.best, progress.best_score)

    def _endless(self, stage: StageName, config: DreamConfig | RealConfig) -> RunConfig:
        """The run's configuration, whatever the number of generations in this stage: nothing in a
        generation depends on how many follow, so a run can be given more of them."""
        one = dataclasses.replace(config, generations=1)
        if stage == "iterate":
            one = dataclasses.replace(self.config.iterate, dream=one)
        return dataclasses.replace(self.config, **{stage: one})

    @contextlib.contextmanager
    def _judge(self, config: DreamConfig | RealConfig, agent: Agent) -> Iterator[Judge]:
        """Candidates may be tried on a look-alike; which one is kept, the game itself decides."""
        plan = config.validation
        with agent.real(plan.episodes, self.config.machine, plan.horizon) as world:
            yield Judge(scores_in(world, agent.controller), plan, lambda: world.steps_played)

    def _space(
        self, stage: StageName, config: DreamConfig | RealConfig, agent: Agent, seen: Sequences | None
    ) -> SearchSpace:
        """Coordinates fitted to what C is going to see: its own games where it can play already."""

        def look() -> Sequences:
            if seen is not None:
                return seen
            return (
                self.files.sequences(stage) if config.start == "zero" else self._own_games(config, agent)
            )

        seed = seed_of(self.config.seed, stage, "seen")
        precision = config.precision if isinstance(config, DreamConfig) else "float32"
        return fitted_space(config.coordinates, agent, look, seed, precision)

    def _own_games(self, config: DreamConfig | RealConfig, agent: Agent) -> Sequences:
        games, machine = config.population, self.config.machine
        rng = np.random.default_rng(seed_of(self.config.seed, "features"))
        seeds = rng.integers(0, VALIDATION_SEEDS, games)
        with agent.real(games, machine, config.horizon, machine.backend) as world:
            params = agent.params.expand(games, -1)
            return record(world, agent.controller, params, seeds, config.patience, self.log)
