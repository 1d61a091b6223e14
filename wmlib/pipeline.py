"""The stages of a run, in the order that its configuration lists.

Each stage loads its outcome if that was made by the same configuration, else goes on from its
checkpoint, else begins.
"""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from wmlib.agent import load_agent, load_starts
from wmlib.artifacts import ArtifactError, load_json, load_module, load_tensors, save_json, save_tensors
from wmlib.config import VALIDATION_SEEDS, ConfigError, EvolutionConfig, RunConfig, find_task
from wmlib.controller import Controller
from wmlib.diagnostics import features_of
from wmlib.envs.games import GameKind
from wmlib.episodes import EpisodeStore
from wmlib.evaluation import evaluate
from wmlib.evolution import Progress, SearchSpace, evolve
from wmlib.mdnrnn import MDNRNN
from wmlib.rollouts import collect
from wmlib.runlog import RunLog
from wmlib.training import Sequences, encode_store, seed_of, train_mdnrnn, train_vae
from wmlib.vae import VAE, to_images
from wmlib.worlds import DreamWorld, RealWorld, play


class Pipeline:
    """A run folder and the configuration that fills it."""

    def __init__(self, config: RunConfig, folder: Path, quiet: bool = False):
        self.config, self.folder = config, Path(folder)
        self.log = RunLog(self.folder, quiet)
        self.task = find_task(config.task)
        self.controller = Controller(self.task, config.controller)
        self._write_config()

    def run(self) -> None:
        """Every stage of the configuration, those that are done already by a look at their file."""
        for stage in self.config.stages:
            self.run_stage(stage)

    def run_stage(self, stage: str) -> None:
        """One stage; those before it must be done."""
        if self._is_done(stage):
            self.log.say(f"{stage}: done before, loaded from {self.folder}")
            return
        began = time.monotonic()
        self.log.event(stage, 0, began=True)
        getattr(self, f"_{stage}")()
        seconds = round(time.monotonic() - began, 1)
        self.log.event(stage, -1, done=True, wall_seconds=seconds)
        done = self._done()
        done[stage] = self.config.stage_hash(stage)
        save_json(self.folder / "done.json", done)

    # The stages

    def _collect(self) -> None:
        collect(
            self.task, self.config.collect, self.config.machine, self._episodes, self.log,
            digest=self.config.stage_hash("collect"),
        )  # fmt: skip

    def _vae(self) -> None:
        store = self._store()
        store.verify()
        digest = self.config.stage_hash("vae")
        vae = train_vae(
            store, self.task, self.config.vae, self.config.seed, self.log,
            self._checkpoint("vae"), digest,
        )  # fmt: skip
        self._save_weights("vae", vae.state_dict())
        self._save_starts(vae, store)

    def _mdnrnn(self) -> None:
        data = self._sequences()
        mdnrnn = train_mdnrnn(
            data, self.task, self.config.mdnrnn, self.config.seed, self.log,
            self._checkpoint("mdnrnn"), self.config.stage_hash("mdnrnn"),
        )  # fmt: skip
        self._save_weights("mdnrnn", mdnrnn.state_dict())

    def _dream(self) -> None:
        self._evolve("dream", self.config.dream)

    def _real(self) -> None:
        self._evolve("real", self.config.real)

    def _evaluate(self) -> None:
        agent = load_agent(self.folder)
        lanes = min(self.config.machine.lanes, self.config.evaluate.episodes)
        horizon = self.config.evaluate.horizon
        workers = self.config.machine.worker_count
        with RealWorld(agent.vae, agent.mdnrnn, lanes, workers, horizon) as world:
            score = evaluate(world, agent.controller, agent.params, self.config.evaluate, self.log)
        save_json(self.folder / "score.json", score.as_dict())
        self.log.say(f"score: {score}")

    def _evolve(self, stage: str, config: EvolutionConfig) -> Progress:
        vae, mdnrnn = self.load_vae(), self.load_mdnrnn()
        origin = torch.zeros(self.controller.size)
        if config.start == "previous":
            earlier = self.config.stages[: self.config.stages.index(stage)]
            before = [name for name in earlier if name in ("dream", "real")]
            if not before:
                raise ConfigError(f"{stage}.start is 'previous', but no stage evolves before it")
            origin = load_agent(self.folder, f"controller_{before[-1]}.safetensors").params
            if config.release_brake:
                origin = self.controller.release_brake(origin)
        with self._evaluators(config, vae, mdnrnn) as (score_candidates, validate):
            space = self._search_space(config, origin, vae, mdnrnn)
            # Nothing in a generation depends on how many follow, so a run can be given more of them.
            endless = dataclasses.replace(
                self.config, **{stage: dataclasses.replace(config, generations=1)}
            )
            progress = evolve(
                config, space, score_candidates, validate, stage, self.config.seed, self.log,
                self._checkpoint(stage), endless.stage_hash(stage),
            )  # fmt: skip
        about = self._about() | {"stage": stage, "validated": progress.best_score}
        save_tensors(self.folder / f"controller_{stage}.safetensors", {"params": progress.best}, about)
        save_tensors(self.folder / "controller.safetensors", {"params": progress.best}, about)
        return progress

    def _search_space(
        self, config: EvolutionConfig, origin: torch.Tensor, vae: VAE, mdnrnn: MDNRNN
    ) -> SearchSpace:
        """Coordinates fitted to what C is going to see: its own driving where it can drive already."""
        if config.components < 0:
            return SearchSpace.plain(self.controller, origin)
        if config.start == "zero":
            features = features_of(mdnrnn, self._sequences())
        else:
            seen: list[torch.Tensor] = []
            games, machine = config.population, self.config.machine
            with RealWorld(
                vae, mdnrnn, games, machine.worker_count, config.horizon, machine.backend
            ) as world:
                rng = np.random.default_rng(seed_of(self.config.seed, "features"))
                seeds = rng.integers(0, VALIDATION_SEEDS, games)
                play(world, self.controller, origin[None], seeds, on_features=seen.append)
            features = torch.cat(seen)
        return SearchSpace.principal(self.controller, origin, features, config.components)

    @contextlib.contextmanager
    def _evaluators(self, config: EvolutionConfig, vae: VAE, mdnrnn: MDNRNN) -> Iterator[tuple]:
        """Functions that score candidates in the stage's world, and the mean in the real game."""
        machine = self.config.machine

        def real_world(horizon: int, kind: GameKind) -> RealWorld:
            # EnvPool steps the games fastest that were opened together: so, all of them.
            all_games = config.population * config.episodes
            lanes = all_games if kind == "envpool" else machine.lanes
            world = RealWorld(vae, mdnrnn, lanes, machine.worker_count, horizon, kind)
            return stack.enter_context(world)

        with contextlib.ExitStack() as stack:
            # Candidates may be tried on a look-alike; which one is kept, the game itself decides.
            judge = real_world(config.validation_horizon, "exact")
            if config.world == "dream":
                lanes = config.population * config.episodes
                starts = load_starts(self.folder)
                world = DreamWorld(mdnrnn, starts, lanes, config.horizon, config.temperature)
            else:
                world = real_world(config.horizon, machine.backend)

            def score_candidates(params: torch.Tensor, seeds: np.ndarray) -> np.ndarray:
                return play(world, self.controller, params, seeds, config.patience)

            def validate(params: torch.Tensor, seeds: np.ndarray) -> np.ndarray:
                return play(judge, self.controller, params, seeds)

            yield score_candidates, validate

    # Files

    @property
    def _episodes(self) -> Path:
        return self.folder / "episodes"

    def _store(self) -> EpisodeStore:
        store = EpisodeStore(self._episodes)
        if len(store) == 0:
            raise ArtifactError(
                f"{self._episodes} holds no episodes; first run: "
                f"python -m wmlib collect --run-dir {self.folder}"
            )
        return store

    def load_vae(self) -> VAE:
        vae = VAE(self.task.z_size)
        remedy = f"first run: python -m wmlib vae --run-dir {self.folder}"
        load_module(vae, self.folder / "vae.safetensors", remedy)
        return vae.to(memory_format=torch.channels_last).eval()

    def load_mdnrnn(self) -> MDNRNN:
        mdnrnn = MDNRNN(self.task)
        remedy = f"first run: python -m wmlib mdnrnn --run-dir {self.folder}"
        load_module(mdnrnn, self.folder / "mdnrnn.safetensors", remedy)
        return mdnrnn.eval()

    def _sequences(self) -> Sequences:
        """Encoded episodes: from the file where V has not changed since, else made anew."""
        path, digest = self.folder / "encoded.safetensors", self.config.stage_hash("vae")
        if path.exists():
            tensors, about = load_tensors(path)
            if about.get("digest") == digest:
                lengths = tensors.pop("lengths").tolist()
                return Sequences(**tensors, lengths=lengths)
        data = encode_store(self.load_vae(), self._store(), self.log)
        tensors = {f.name: getattr(data, f.name) for f in dataclasses.fields(data)}
        tensors["lengths"] = torch.tensor(data.lengths)
        save_tensors(path, tensors, {"digest": digest})
        return data

    def _save_starts(self, vae: VAE, store: EpisodeStore) -> None:
        seeds = store.seeds[:256]
        frames = np.stack([store.frames(seed)[0] for seed in seeds])
        with torch.inference_mode():
            mu, logvar = vae.encode(to_images(torch.from_numpy(frames)))
        self._save_weights("dream_starts", {"mu": mu, "logvar": logvar})

    def _save_weights(self, name: str, tensors: dict) -> None:
        save_tensors(self.folder / f"{name}.safetensors", tensors, self._about())

    def _about(self) -> dict:
        return {
            "task": self.task.name,
            "seed": self.config.seed,
            "controller": dataclasses.asdict(self.config.controller),
        }

    def _checkpoint(self, stage: str) -> Path:
        return self.folder / "checkpoints" / f"{stage}.safetensors"

    def _done(self) -> dict:
        path = self.folder / "done.json"
        return load_json(path) if path.exists() else {}

    def _is_done(self, stage: str) -> bool:
        return self._done().get(stage) == self.config.stage_hash(stage)

    def _write_config(self) -> None:
        save_json(self.folder / "config.json", dataclasses.asdict(self.config))
