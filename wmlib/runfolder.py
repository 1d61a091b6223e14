"""The files of a run: what its stages leave to each other, and to those who use the run."""

import dataclasses
from pathlib import Path

import numpy as np
import torch

from wmlib.artifacts import ArtifactError, load_json, load_module, load_tensors, save_json, save_tensors
from wmlib.config import ConfigError, RunConfig, find_task
from wmlib.episodes import EpisodeStore
from wmlib.mdnrnn import MDNRNN
from wmlib.runlog import RunLog
from wmlib.training import Sequences, encode_store
from wmlib.vae import VAE, to_images
from wmlib.worlds import DreamStarts


class RunFolder:
    """A run's folder.

    Each stage reads what the newest stages before it made: dream the M of mdnrnn, real that of rounds.
    So all weights are kept under `stages/`. The plain names, `mdnrnn.safetensors` and so on, hold the
    newest.
    """

    def __init__(self, config: RunConfig, path: Path, log: RunLog):
        self.config, self.path, self.log = config, Path(path), log
        self.task = find_task(config.task)
        save_json(self.path / "config.json", dataclasses.asdict(config))

    # Stages

    def is_done(self, stage: str) -> bool:
        """Whether the stage was finished under the same configuration."""
        return self._done().get(stage) == self.config.stage_hash(stage)

    def mark_done(self, stage: str) -> None:
        save_json(self.path / "done.json", self._done() | {stage: self.config.stage_hash(stage)})

    def _done(self) -> dict:
        path = self.path / "done.json"
        return load_json(path) if path.exists() else {}

    def checkpoint(self, stage: str) -> Path:
        return self.path / "checkpoints" / f"{stage}.safetensors"

    # V, M and C

    def load_vae(self) -> VAE:
        vae = VAE(self.task.z_size)
        self._load_weights(vae, "vae")
        return vae.to(memory_format=torch.channels_last).eval()

    def load_mdnrnn(self, stage: str) -> MDNRNN:
        """The newest M that was there before the stage."""
        mdnrnn = MDNRNN(self.task)
        self._load_weights(mdnrnn, self._newest(stage, "mdnrnn", "rounds"))
        return mdnrnn.eval()

    def load_driver(self, stage: str) -> torch.Tensor:
        """The newest C, (D,), that was there before the stage."""
        newest = self._newest(stage, "dream", "rounds", "real")
        tensors, _ = load_tensors(self.path / f"controller_{newest}.safetensors", self._remedy(newest))
        return tensors["params"].float()

    def save_weights(self, stage: str, weights: dict) -> None:
        """For the stages to come; and under the plain name, for those who use the run."""
        save_tensors(self._weights(stage), weights, self._about())
        self._save("vae" if stage == "vae" else "mdnrnn", weights)

    def save_driver(self, stage: str, params: torch.Tensor, validated: float | None = None) -> None:
        about = {"stage": stage, "validated": validated}
        for name in (f"controller_{stage}", "controller"):
            self._save(name, {"params": params}, about)

    def save_starts(self, starts: DreamStarts) -> None:
        self._save("dream_starts", {"mu": starts.mu, "logvar": starts.logvar})

    def _save(self, name: str, tensors: dict, about: dict | None = None) -> None:
        save_tensors(self.path / f"{name}.safetensors", tensors, self._about() | (about or {}))

    def _newest(self, stage: str, *makers: str) -> str:
        """The last of these stages that comes before `stage`."""
        before = self.config.stages[: self.config.stages.index(stage)]
        found = [name for name in before if name in makers]
        if not found:
            raise ConfigError(f"{stage} needs a stage before it that is one of: {', '.join(makers)}")
        return found[-1]

    def _load_weights(self, module: torch.nn.Module, stage: str) -> None:
        load_module(module, self._weights(stage), self._remedy(stage))

    def _remedy(self, stage: str) -> str:
        command = stage if stage in ("vae", "mdnrnn") else "evolve"
        return f"first run: python -m wmlib {command} --run-dir {self.path}"

    def _weights(self, stage: str) -> Path:
        return self.path / "stages" / f"{stage}.safetensors"

    def _about(self) -> dict:
        return {
            "task": self.task.name,
            "seed": self.config.seed,
            "controller": dataclasses.asdict(self.config.controller),
        }

    # Episodes

    @property
    def episodes(self) -> Path:
        return self.path / "episodes"

    def store(self) -> EpisodeStore:
        """The explorers' episodes."""
        store = EpisodeStore(self.episodes)
        if len(store) == 0:
            raise ArtifactError(
                f"{store.folder} holds no episodes; first run: "
                f"python -m wmlib collect --run-dir {self.path}"
            )
        return store

    def sequences(self) -> Sequences:
        """Encoded episodes: from the file where V has not changed since, else made anew."""
        path = self.path / "encoded.safetensors"
        digest = self.config.stage_hash("vae")
        if path.exists():
            tensors, about = load_tensors(path)
            if about.get("digest") == digest:
                return Sequences.from_tensors(tensors)
        data = encode_store(self.load_vae(), self.store(), self.log)
        save_tensors(path, data.as_tensors(), {"digest": digest})
        return data


@torch.inference_mode()
def dream_starts(vae: VAE, store: EpisodeStore, count: int = 256) -> DreamStarts:
    """First frames of recorded games, as V sees them."""
    frames = np.stack([store.frames(seed)[0] for seed in store.seeds[:count]])
    return DreamStarts(*vae.encode(to_images(torch.from_numpy(frames))))
