"""The files of a run: what its stages leave to each other, and to those who use the run."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import torch

from wmlib.agent import Agent, load_mdnrnn, load_starts, load_vae
from wmlib.config import STAGES, RunConfig, StageName, makers
from wmlib.controller import Controller
from wmlib.data.episodes import EpisodeStore, learnable
from wmlib.data.sequences import Sequences
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.files import (
    ArtifactError,
    alone,
    expect,
    load_json,
    load_tensors,
    save_json,
    save_tensors,
)
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog
from wmlib.task import find_task
from wmlib.training import encode_store, encoded
from wmlib.vae import VAE, to_images
from wmlib.worlds.moments import DreamStarts

_REMEDY = "delete it and run the same command as before: what is missing is made again"


class RunFolder:
    """A run's folder.

    Each stage reads what the newest stages before it made: dream the M of mdnrnn, real that of rounds.
    So all weights are kept under `stages/`. The plain names, `mdnrnn.safetensors` and so on, hold the
    newest.
    """

    def __init__(self, config: RunConfig, path: Path, log: RunLog):
        self.config, self.path, self.log = config, Path(path), log
        self.task = find_task(config.task)

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Keep other processes from running a stage in this folder."""
        return alone(self.path)

    # Stages

    def begin(self, stage: str) -> None:
        """Check that all before the stage is there, and write down the configuration.

        Raises:
            ArtifactError: naming the first stage that is missing, and the command that makes it.
        """
        for before in self.config.stages_before(stage):
            if not self.is_done(before):
                raise ArtifactError(
                    f"{stage} needs {before}, which {self.path} does not hold for this configuration; "
                    f"first run: python -m wmlib {STAGES[before].command}, with the same options"
                )
        save_json(self.path / "config.json", dataclasses.asdict(self.config))

    def is_done(self, stage: str) -> bool:
        """Whether the stage was finished under the same configuration, and all that it made is there."""
        return self._done().get(stage) == self.config.stage_hash(stage) and self.holds(stage)

    def holds(self, stage: str) -> bool:
        """Whether all that the stage makes is there, under whatever configuration it was made."""
        return all(path.is_file() for kind in STAGES[stage].makes for path in self._files(stage, kind))

    def _files(self, stage: str, kind: str) -> list[Path]:
        """What the stage leaves of this kind: for the stages to come, and for those who use the run."""
        if kind == "episodes":
            store = EpisodeStore(self.episodes)
            return [store.manifest_path, *map(store.path, store.rows)]
        if kind == "score":
            return [self.path / "score.json"]
        return [self._weights(stage, kind), self.path / f"{kind}.safetensors"]

    def mark_done(self, stage: str) -> None:
        """Note that the stage is finished. Those after it stand on it, and have to look at it anew."""
        before = self.config.stages_before(stage)
        done = {name: digest for name, digest in self._done().items() if name in before}
        save_json(self.path / "done.json", done | {stage: self.config.stage_hash(stage)})

    def _done(self) -> dict:
        path = self.path / "done.json"
        if not path.exists():
            return {}
        remedy = "delete it: stages are then taken up from their checkpoints"
        done = load_json(path, remedy)
        if not isinstance(done, dict):
            raise ArtifactError(f"{path} is not ours; {remedy}")
        return done

    def job(self, stage: StageName, path: Path | None = None, digest: str = "") -> Job:
        """The stage as a job.

        Args:
            path: what it keeps its work in; by default a checkpoint in this folder.
            digest: of all that it depends on, where that is not all of its configuration.
        """
        path = path or self.path / "checkpoints" / f"{stage}.safetensors"
        return Job(stage, self.config.seed, self.log, path, digest or self.config.stage_hash(stage))

    # V, M and C

    def agent(self, stage: StageName) -> Agent:
        """The newest V, M and C that were there before the stage; C = 0 where there was none."""
        vae = self.load_vae(stage)
        controller = Controller(self.task, self.config.controller)
        has_one = not set(makers("controller")).isdisjoint(self.config.stages_before(stage))
        params = self.load_controller(stage) if has_one else torch.zeros(controller.size)
        starts, _ = load_starts(self._newest_weights(stage, "dream_starts"), self.task, _REMEDY)
        return Agent(self.task, vae, self.load_mdnrnn(stage), controller, params, starts)

    def starts(self, vae: VAE) -> DreamStarts:
        """Where dreams begin: first frames of the explorers' games, as V sees them."""
        return dream_starts(vae, self.store())

    def load_vae(self, stage: StageName) -> VAE:
        """The newest V that was there before the stage."""
        return load_vae(self._newest_weights(stage, "vae"), self.task, _REMEDY)[0]

    def load_mdnrnn(self, stage: StageName) -> MDNRNN:
        """The newest M that was there before the stage."""
        return load_mdnrnn(self._newest_weights(stage, "mdnrnn"), self.task, _REMEDY)[0]

    def load_controller(self, stage: StageName) -> torch.Tensor:
        """The newest C, (D,), that was there before the stage."""
        path = self._newest_weights(stage, "controller")
        tensors, _ = load_tensors(path, _REMEDY)
        size = Controller(self.task, self.config.controller).size
        expect(path, tensors, {"params": (size,)}, _REMEDY)
        return tensors["params"].float()

    def save_vae(self, stage: StageName, vae: VAE, starts: DreamStarts) -> None:
        """V, and where dreams begin, as it sees it."""
        self._save(stage, "vae", vae.state_dict())
        self._save(stage, "dream_starts", {"mu": starts.mu, "logvar": starts.logvar})

    def save_mdnrnn(self, stage: StageName, mdnrnn: MDNRNN) -> None:
        about = {"done_positive_weight": mdnrnn.done_positive_weight}
        self._save(stage, "mdnrnn", mdnrnn.state_dict(), about)

    def save_controller(
        self, stage: StageName, params: torch.Tensor, validated: float | None = None
    ) -> None:
        """C (D,), with the names of the V and M that it goes with: a later stage may make others."""
        kinds = ("vae", "dream_starts", "mdnrnn")
        weights = {kind: self._weights(self._newest(stage, kind), kind).name for kind in kinds}
        about = {"stage": stage, "validated": validated, "weights": weights}
        self._save(stage, "controller", {"params": params}, about)

    def _save(self, stage: StageName, kind: str, tensors: dict, about: dict | None = None) -> None:
        """For the stages to come; and under the plain name, for those who use the run."""
        about = {
            "task": self.task.name,
            "seed": self.config.seed,
            "controller": dataclasses.asdict(self.config.controller),
            # Files of one agent have this in common.
            "vae": self.config.stage_hash(self._newest(stage, "vae")),
            **(about or {}),
        }
        for path in self._files(stage, kind):
            save_tensors(path, tensors, about)

    def _newest(self, stage: StageName, kind: str) -> StageName:
        """The last stage that makes this kind, up to `stage` itself: `RunConfig` sees to it that there
        is one."""
        until = (*self.config.stages_before(stage), stage)
        return [name for name in until if kind in STAGES[name].makes][-1]

    def _newest_weights(self, stage: StageName, kind: str) -> Path:
        """The newest of this kind that was there before the stage."""
        return self._weights(self._newest(self.config.stages_before(stage)[-1], kind), kind)

    def _weights(self, stage: StageName, kind: str) -> Path:
        if kind == "controller":
            return self.path / f"controller_{stage}.safetensors"
        name = stage if kind in (stage, "mdnrnn") else f"{stage}_{kind}"
        return self.path / "stages" / f"{name}.safetensors"

    # Episodes

    @property
    def episodes(self) -> Path:
        return self.path / "episodes"

    def store(self) -> EpisodeStore:
        """The explorers' episodes, each as it was recorded.

        Raises:
            ArtifactError: naming the first file that is missing or was changed.
        """
        store = EpisodeStore(self.episodes)
        store.verify()
        return store

    def sequences(self, stage: StageName) -> Sequences:
        """The explorers' episodes, encoded by the newest V before the stage.

        They are read from a file; where V has changed since that was written, it is made anew.
        """
        maker = self._newest(self.config.stages_before(stage)[-1], "vae")
        path = self.path / ("encoded.safetensors" if maker == "vae" else f"encoded_{maker}.safetensors")
        job = self.job(stage, path, self.config.stage_hash(maker))

        def encode() -> Sequences:
            return encode_store(self.load_vae(stage), learnable(self.store(), self.task), self.log)

        return encoded(encode, self.task, job)


@torch.inference_mode()
def dream_starts(vae: VAE, store: EpisodeStore, count: int = 256) -> DreamStarts:
    """First frames of recorded games, as V sees them."""
    frames = np.stack([store.frames(seed)[0] for seed in store.seeds[:count]])
    return DreamStarts(*vae.encode(to_images(torch.from_numpy(frames))))
