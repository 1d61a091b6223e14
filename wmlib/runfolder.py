"""The files of a run: what its stages leave to each other, and to those who use the run."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import torch

from wmlib.artifacts import (
    ArtifactError,
    alone,
    expect,
    load_json,
    load_module,
    load_tensors,
    save_json,
    save_tensors,
)
from wmlib.config import MAKE_C, MAKE_M, MAKE_V, RunConfig, StageName, find_task
from wmlib.controller import Controller
from wmlib.episodes import EpisodeStore, learnable
from wmlib.mdnrnn import MDNRNN
from wmlib.moments import DreamStarts
from wmlib.runlog import RunLog
from wmlib.sequences import Sequences
from wmlib.training import encode_store, encoded
from wmlib.vae import VAE, to_images

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
                command = before if before in ("collect", "vae", "mdnrnn") else "evolve"
                raise ArtifactError(
                    f"{stage} needs {before}, which {self.path} does not hold for this configuration; "
                    f"first run: python -m wmlib {command}, with the same options"
                )
        save_json(self.path / "config.json", dataclasses.asdict(self.config))

    def is_done(self, stage: str) -> bool:
        """Whether the stage was finished under the same configuration, and all that it made is there."""
        finished = self._done().get(stage) == self.config.stage_hash(stage)
        return finished and all(path.is_file() for path in self._made_by(stage))

    def _made_by(self, stage: str) -> list[Path]:
        if stage == "collect":
            store = EpisodeStore(self.episodes)
            return [store.manifest_path, *map(store.path, store.seeds)]
        if stage == "evaluate":
            return [self.path / "score.json"]
        names = {
            "vae": ["stages/vae", "vae", "stages/vae_dream_starts", "dream_starts"],
            "mdnrnn": ["stages/mdnrnn", "mdnrnn"],
            "iterate": [
                "stages/iterate_vae",
                "stages/iterate_dream_starts",
                "stages/iterate",
                "controller_iterate",
            ],
            "rounds": ["stages/rounds", "controller_rounds"],
        }.get(stage, [f"controller_{stage}"])
        return [self.path / f"{name}.safetensors" for name in names]

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

    def checkpoint(self, stage: str) -> Path:
        return self.path / "checkpoints" / f"{stage}.safetensors"

    # V, M and C

    def load_vae(self, stage: StageName) -> VAE:
        """The newest V that was there before the stage."""
        vae = VAE(self.task.z_size)
        load_module(vae, self._weights(self._newest_before(stage, MAKE_V), "vae"), _REMEDY)
        return vae.to(memory_format=torch.channels_last).eval()

    def load_mdnrnn(self, stage: StageName) -> MDNRNN:
        """The newest M that was there before the stage."""
        mdnrnn = MDNRNN(self.task)
        load_module(mdnrnn, self._weights(self._newest_before(stage, MAKE_M), "mdnrnn"), _REMEDY)
        return mdnrnn.eval()

    def load_driver(self, stage: StageName) -> torch.Tensor:
        """The newest C, (D,), that was there before the stage."""
        path = self.path / f"controller_{self._newest_before(stage, MAKE_C)}.safetensors"
        tensors, _ = load_tensors(path, _REMEDY)
        size = Controller(self.task, self.config.controller).size
        expect(path, tensors, {"params": (size,)}, _REMEDY)
        return tensors["params"].float()

    def save_vae(self, stage: StageName, vae: VAE) -> None:
        """For the stages to come; and under the plain name, for those who use the run."""
        self._save_weights(stage, "vae", vae.state_dict())

    def save_mdnrnn(self, stage: StageName, mdnrnn: MDNRNN) -> None:
        """For the stages to come; and under the plain name, for those who use the run."""
        self._save_weights(stage, "mdnrnn", mdnrnn.state_dict())

    def save_driver(
        self, stage: StageName, params: torch.Tensor, validated: float | None = None
    ) -> None:
        # What it goes with: a later stage may leave others under the plain names.
        v, m = self._newest(stage, MAKE_V), self._newest(stage, MAKE_M)
        newest = {"vae": v, "dream_starts": v, "mdnrnn": m}
        weights = {kind: self._weights(maker, kind).name for kind, maker in newest.items()}
        about = {"stage": stage, "validated": validated, "weights": weights}
        about["end_weight"] = self.end_weight(stage)
        for name in (f"controller_{stage}", "controller"):
            self._save(name, stage, {"params": params}, about)

    def end_weight(self, stage: StageName) -> float:
        """How much more the ends weighed in the training of the newest M, up to the stage itself."""
        maker = self._newest(stage, MAKE_M)
        config = self.config.mdnrnn if maker == "mdnrnn" else getattr(self.config, maker).mdnrnn
        return config.done_positive_weight

    def save_starts(self, stage: StageName, starts: DreamStarts) -> None:
        self._save_weights(stage, "dream_starts", {"mu": starts.mu, "logvar": starts.logvar})

    def _save_weights(self, stage: StageName, kind: str, weights: dict) -> None:
        save_tensors(self._weights(stage, kind), weights, self._about(stage))
        self._save(kind, stage, weights)

    def _save(self, name: str, stage: StageName, tensors: dict, about: dict | None = None) -> None:
        save_tensors(self.path / f"{name}.safetensors", tensors, self._about(stage) | (about or {}))

    def _newest_before(self, stage: StageName, makers: tuple[StageName, ...]) -> StageName:
        return self._newest(self.config.stages_before(stage)[-1], makers)

    def _newest(self, stage: StageName, makers: tuple[StageName, ...]) -> StageName:
        """The last of these stages, up to `stage` itself. `RunConfig` sees to it that there is one."""
        until = (*self.config.stages_before(stage), stage)
        return [name for name in until if name in makers][-1]

    def _weights(self, stage: StageName, kind: str) -> Path:
        name = stage if kind in (stage, "mdnrnn") else f"{stage}_{kind}"
        return self.path / "stages" / f"{name}.safetensors"

    def _about(self, stage: StageName) -> dict:
        return {
            "task": self.task.name,
            "seed": self.config.seed,
            "controller": dataclasses.asdict(self.config.controller),
            # Files of one agent have this in common.
            "vae": self.config.stage_hash(self._newest(stage, MAKE_V)),
        }

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
        maker = self._newest_before(stage, MAKE_V)
        path = self.path / ("encoded.safetensors" if maker == "vae" else f"encoded_{maker}.safetensors")

        def encode() -> Sequences:
            return encode_store(self.load_vae(stage), learnable(self.store(), self.task), self.log)

        return encoded(path, self.task, self.config.stage_hash(maker), encode)


@torch.inference_mode()
def dream_starts(vae: VAE, store: EpisodeStore, count: int = 256) -> DreamStarts:
    """First frames of recorded games, as V sees them."""
    frames = np.stack([store.frames(seed)[0] for seed in store.seeds[:count]])
    return DreamStarts(*vae.encode(to_images(torch.from_numpy(frames))))
