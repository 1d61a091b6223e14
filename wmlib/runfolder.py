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

    Each stage reads what the newest stages before it made: mdnrnn2 the V of vae2, dream that of vae.
    So all weights are kept under `stages/`. The plain names, `vae.safetensors` and so on, hold the
    newest.
    """

    def __init__(self, config: RunConfig, path: Path, log: RunLog):
        self.config, self.path, self.log = config, Path(path), log
        self.task = find_task(config.task)
        save_json(self.path / "config.json", dataclasses.asdict(config))

    # Which stage

    def earlier(self, stage: str, *kinds: str) -> list[str]:
        """Stages of these kinds that come before, in their order."""
        before = self.config.stages[: self.config.stages.index(stage)]
        return [name for name in before if kind_of(name) in kinds]

    def newest(self, stage: str, *kinds: str) -> str:
        earlier = self.earlier(stage, *kinds)
        if not earlier:
            raise ConfigError(f"{stage} needs a stage before it that is one of: {', '.join(kinds)}")
        return earlier[-1]

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

    def load_vae(self, stage: str) -> VAE:
        """The newest V that was there before the stage."""
        vae = VAE(self.task.z_size)
        self._load_weights(vae, self.newest(stage, "vae"))
        return vae.to(memory_format=torch.channels_last).eval()

    def load_mdnrnn(self, stage: str) -> MDNRNN:
        """The newest M that was there before the stage."""
        mdnrnn = MDNRNN(self.task)
        self._load_weights(mdnrnn, self.newest(stage, "mdnrnn"))
        return mdnrnn.eval()

    def load_driver(self, stage: str) -> torch.Tensor:
        """The newest C, (D,), that was there before the stage."""
        newest = self.newest(stage, "dream", "real")
        remedy = f"first run: python -m wmlib run --run-dir {self.path}"
        tensors, _ = load_tensors(self.path / f"controller_{newest}.safetensors", remedy)
        return tensors["params"].float()

    def save_weights(self, stage: str, weights: dict) -> None:
        """For the stages to come; and under the plain name, for those who use the run."""
        save_tensors(self._weights(stage), weights, self._about())
        self._save(kind_of(stage), weights)

    def save_driver(self, stage: str, params: torch.Tensor, validated: float) -> None:
        about = {"stage": stage, "validated": validated}
        for name in (f"controller_{stage}", "controller"):
            self._save(name, {"params": params}, about)

    def save_starts(self, starts: DreamStarts) -> None:
        self._save("dream_starts", {"mu": starts.mu, "logvar": starts.logvar})

    def _save(self, name: str, tensors: dict, about: dict | None = None) -> None:
        save_tensors(self.path / f"{name}.safetensors", tensors, self._about() | (about or {}))

    def _load_weights(self, module: torch.nn.Module, stage: str) -> None:
        command = stage if stage == kind_of(stage) else "run"
        remedy = f"first run: python -m wmlib {command} --run-dir {self.path}"
        load_module(module, self._weights(stage), remedy)

    def _weights(self, stage: str) -> Path:
        return self.path / "stages" / f"{stage}.safetensors"

    def _about(self) -> dict:
        return {
            "task": self.task.name,
            "seed": self.config.seed,
            "controller": dataclasses.asdict(self.config.controller),
        }

    # Episodes

    def episodes(self, stage: str) -> Path:
        """Where a stage that collects puts them."""
        return self.path / stage.replace("collect", "episodes")

    def store(self, stage: str) -> EpisodeStore:
        """All episodes that were recorded before the stage."""
        folders = [self.episodes(name) for name in self.earlier(stage, "collect")]
        store = EpisodeStore(*folders or [self.episodes("collect")])
        if len(store) == 0:
            raise ArtifactError(
                f"{store.folder} holds no episodes; first run: "
                f"python -m wmlib collect --run-dir {self.path}"
            )
        return store

    def sequences(self, stage: str) -> Sequences:
        """Encoded episodes: from the file where V has not changed since, else made anew."""
        path = self.path / "encoded.safetensors"
        digest = self.config.stage_hash(self.newest(stage, "collect", "vae"))
        if path.exists():
            tensors, about = load_tensors(path)
            if about.get("digest") == digest:
                lengths = tensors.pop("lengths").tolist()
                return Sequences(**tensors, lengths=lengths)
        data = encode_store(self.load_vae(stage), self.store(stage), self.log)
        tensors = {f.name: getattr(data, f.name) for f in dataclasses.fields(data)}
        tensors["lengths"] = torch.tensor(data.lengths)
        save_tensors(path, tensors, {"digest": digest})
        return data


def kind_of(stage: str) -> str:
    """What a stage does: vae2 is a second vae."""
    return stage.removesuffix("2")


@torch.inference_mode()
def dream_starts(vae: VAE, store: EpisodeStore, count: int = 256) -> DreamStarts:
    """First frames of recorded games, as V sees them."""
    frames = np.stack([store.frames(seed)[0] for seed in store.seeds[:count]])
    return DreamStarts(*vae.encode(to_images(torch.from_numpy(frames))))
