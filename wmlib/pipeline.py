"""The stages of a run, in the order that its configuration lists.

Each stage loads its outcome if that was made by the same configuration, else goes on from its
checkpoint, else begins.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from wmlib.agent import load_agent
from wmlib.artifacts import REFERENCE, save_json
from wmlib.config import VALIDATION_SEEDS, EvolutionConfig, RunConfig, StageName, find_task
from wmlib.controller import Controller
from wmlib.envs.games import GameKind
from wmlib.episodes import learnable
from wmlib.evaluation import evaluate
from wmlib.evolution import dream_of, evolve
from wmlib.iterate import Player, learn_on
from wmlib.mdnrnn import MDNRNN
from wmlib.recording import record
from wmlib.rollouts import NoisyController, collect
from wmlib.rounds import run_rounds
from wmlib.runfolder import RunFolder, dream_starts
from wmlib.runlog import RunLog
from wmlib.searchspace import SearchSpace, fitted_space
from wmlib.sequences import Sequences
from wmlib.training import seed_of, train_mdnrnn, train_vae
from wmlib.vae import VAE
from wmlib.worlds import RealWorld, play


class Pipeline:
    """A run folder and the configuration that fills it."""

    def __init__(self, config: RunConfig, folder: Path, quiet: bool = False):
        self.config, self.folder = config, Path(folder)
        self.log = RunLog(self.folder, quiet)
        self.files = RunFolder(config, self.folder, self.log)
        self.task = find_task(config.task)
        self.controller = Controller(self.task, config.controller)

    def run_stage(self, stage: str) -> None:
        """One stage; it is not run again if it is done already.

        Raises:
            ArtifactError: a stage before it is not done, or another run is at work in the folder.
        """
        with self.files.alone():
            self._run_stage(stage)

    def _run_stage(self, stage: str) -> None:
        self.files.begin(stage)
        if self.files.is_done(stage):
            self.log.say(f"{stage}: done before, loaded from {self.folder}")
            return
        began = time.monotonic()
        self.log.event(stage, 0, began=True)
        {
            "collect": self._collect, "vae": self._vae, "mdnrnn": self._mdnrnn,
            "dream": lambda: self._evolve("dream", self.config.dream), "iterate": self._iterate,
            "rounds": self._rounds, "real": lambda: self._evolve("real", self.config.real),
            "evaluate": self._evaluate,
        }[stage]()  # fmt: skip
        seconds = round(time.monotonic() - began, 1)
        self.log.event(stage, -1, done=True, wall_seconds=seconds)
        self.files.mark_done(stage)

    # The stages

    def _collect(self) -> None:
        config, make_policy = self.config.collect, None
        if config.policy == "driver":
            agent = load_agent(Path(config.driver) if config.driver else REFERENCE / self.task.name)
            make_policy = functools.partial(
                NoisyController, agent.vae, agent.mdnrnn, agent.controller, agent.params[None],
                noise=config.noise,
            )  # fmt: skip
        collect(
            self.task, config, self.config.machine, self.files.episodes, self.log, make_policy,
            self.config.stage_hash("collect"),
        )  # fmt: skip

    def _vae(self) -> None:
        store = self.files.store()
        vae = train_vae(
            learnable(store, self.task), self.task, self.config.vae, self.config.seed, self.log,
            self.files.checkpoint("vae"), self.config.stage_hash("vae"),
        )  # fmt: skip
        self.files.save_vae("vae", vae)
        self.files.save_starts("vae", dream_starts(vae, store))

    def _mdnrnn(self) -> None:
        mdnrnn = train_mdnrnn(
            self.files.sequences("mdnrnn"), self.task, self.config.mdnrnn, self.config.seed, self.log,
            self.files.checkpoint("mdnrnn"), self.config.stage_hash("mdnrnn"),
        )  # fmt: skip
        self.files.save_mdnrnn("mdnrnn", mdnrnn)

    def _iterate(self) -> None:
        files, config = self.files, self.config.iterate
        before = self.config.stages_before("iterate")[-1]
        player = Player(
            files.load_vae("iterate"), files.load_mdnrnn("iterate"), self.controller,
            files.load_driver("iterate")[None],
        )  # fmt: skip
        vae, mdnrnn, games = learn_on(
            config, player, files.store(), self.config.machine, self.folder / "iterate",
            self.config.seed, self.log, self.config.stage_hash(before),
        )  # fmt: skip
        self._evolve("iterate", config.dream, vae, mdnrnn, games)
        files.save_vae("iterate", vae)
        files.save_starts("iterate", dream_starts(vae, files.store()))
        files.save_mdnrnn("iterate", mdnrnn)

    def _rounds(self) -> None:
        vae, config = self.files.load_vae("rounds"), self.config.rounds

        def open_world(mdnrnn: MDNRNN, games: int) -> RealWorld:
            return self._open_world(vae, mdnrnn, games, config.horizon, self.config.machine.backend)

        # Nothing in a round depends on how many follow, so a run can be given more of them.
        one = dataclasses.replace(self.config, rounds=dataclasses.replace(config, rounds=1))
        mdnrnn, params = run_rounds(
            config, open_world, self.files.load_mdnrnn("rounds"), self.controller,
            self.files.load_driver("rounds"), self.files.sequences("rounds"), self.folder / "rounds",
            self.config.seed, self.log, one.stage_hash("rounds"),
        )  # fmt: skip
        self.files.save_mdnrnn("rounds", mdnrnn)
        self.files.save_driver("rounds", params)

    def _evaluate(self) -> None:
        agent = load_agent(self.folder)
        lanes = min(self.config.machine.lanes, self.config.evaluate.episodes)
        horizon = self.config.evaluate.horizon
        workers = self.config.machine.worker_count
        with RealWorld(agent.vae, agent.mdnrnn, lanes, workers, horizon) as world:
            score = evaluate(world, agent.controller, agent.params, self.config.evaluate, self.log)
        save_json(self.folder / "score.json", score.as_dict())
        self.log.say(f"score: {score}")

    def _evolve(
        self,
        stage: StageName,
        config: EvolutionConfig,
        vae: VAE | None = None,
        mdnrnn: MDNRNN | None = None,
        games: Sequences | None = None,
    ) -> None:
        """Evolve C with the given V and M, or the newest ones before the stage.

        games: what C may expect to see; where there are none, they are looked for.
        """
        vae, mdnrnn = vae or self.files.load_vae(stage), mdnrnn or self.files.load_mdnrnn(stage)
        origin = torch.zeros(self.controller.size)
        if config.start == "previous":
            origin = self.files.load_driver(stage)
        with self._evaluators(stage, config, vae, mdnrnn) as (score_candidates, validate):
            space = self._search_space(stage, config, origin, vae, mdnrnn, games)
            # Nothing in a generation depends on how many follow, so a run can be given more of them.
            progress = evolve(
                config, space, score_candidates, validate, stage, self.config.seed, self.log,
                self.files.checkpoint(stage), self._endless(stage, config).stage_hash(stage),
            )  # fmt: skip
        self.files.save_driver(stage, progress.best, progress.best_score)

    def _endless(self, stage: StageName, config: EvolutionConfig) -> RunConfig:
        """The run's configuration, whatever the number of generations in this stage."""
        one = dataclasses.replace(config, generations=1)
        if stage == "iterate":
            return dataclasses.replace(
                self.config, iterate=dataclasses.replace(self.config.iterate, dream=one)
            )
        return dataclasses.replace(self.config, **{stage: one})

    def _search_space(
        self,
        stage: StageName,
        config: EvolutionConfig,
        origin: torch.Tensor,
        vae: VAE,
        mdnrnn: MDNRNN,
        seen: Sequences | None = None,
    ) -> SearchSpace:
        """Coordinates fitted to what C is going to see: its own games where it can play already."""
        if config.components < 0:
            return SearchSpace.plain(self.controller, origin)
        if seen is None and config.start == "zero":
            seen = self.files.sequences(stage)
        elif seen is None:
            games, backend = config.population, self.config.machine.backend
            with self._open_world(vae, mdnrnn, games, config.horizon, backend) as world:
                rng = np.random.default_rng(seed_of(self.config.seed, "features"))
                seeds = rng.integers(0, VALIDATION_SEEDS, games)
                seen = record(world, self.controller, origin.expand(games, -1), seeds, config.patience)
        return fitted_space(
            config, self.controller, origin, mdnrnn, seen, self.files.end_weight(stage),
            seed_of(self.config.seed, stage, "seen"),
        )  # fmt: skip

    def _open_world(
        self, vae: VAE, mdnrnn: MDNRNN, games: int, horizon: int, kind: GameKind
    ) -> RealWorld:
        """The game, for so many games to be played; as many are held open as the machine may."""
        machine = self.config.machine
        # EnvPool steps the games fastest that were opened together: so, all of them.
        lanes = games if kind == "envpool" else min(games, machine.lanes)
        return RealWorld(vae, mdnrnn, lanes, machine.worker_count, horizon, kind)

    @contextlib.contextmanager
    def _evaluators(
        self, stage: str, config: EvolutionConfig, vae: VAE, mdnrnn: MDNRNN
    ) -> Iterator[tuple]:
        """Functions that score candidates in the stage's world, and the mean in the real game."""

        def real_world(games: int, horizon: int, kind: GameKind) -> RealWorld:
            return stack.enter_context(self._open_world(vae, mdnrnn, games, horizon, kind))

        with contextlib.ExitStack() as stack:
            # Candidates may be tried on a look-alike; which one is kept, the game itself decides.
            judge = real_world(config.validation_episodes, config.validation_horizon, "exact")
            if config.world == "dream":
                starts = dream_starts(vae, self.files.store())
                weight = self.files.end_weight(stage)
                world = dream_of(config, mdnrnn, starts, weight)
            else:
                games, backend = config.population * config.episodes, self.config.machine.backend
                world = real_world(games, config.horizon, backend)

            def score_candidates(params: torch.Tensor, seeds: np.ndarray) -> np.ndarray:
                return play(world, self.controller, params, seeds, config.patience)

            def validate(params: torch.Tensor, seeds: np.ndarray) -> np.ndarray:
                return play(judge, self.controller, params, seeds)

            yield score_candidates, validate
