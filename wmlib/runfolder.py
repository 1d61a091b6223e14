"""The files of a run: what its stages leave to each other, and to those who use the run."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

from wmlib.artifacts import (
    ArtifactError,
    expect,
    load_json,
    load_module,
    load_tensors,
    save_json,
    save_tensors,
)
from wmlib.config import RunConfig, find_task
from wmlib.controller import Controller
from wmlib.episodes import EpisodeStore
from wmlib.mdnrnn import MDNRNN
from wmlib.runlog import RunLog
from wmlib.training import Sequences, encode_store
from wmlib.vae import VAE, to_images
from wmlib.worlds import DreamStarts

_MAKE_M = ("mdnrnn", "rounds")
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

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from running a stage in this folder. A kill gives it free again.

        Raises:
            ArtifactError: one is at it already.
        """
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise ArtifactError(
                f"another run is at work in {self.path}; let it end, or choose another --run-dir"
            ) from None
        except OSError as error:
            raise ArtifactError(
                f"{self.path} can't be written ({error.strerror}); choose another --run-dir"
            ) from error
        try:
            yield
        finally:
            lock.release()

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
            "vae": ["stages/vae", "vae", "dream_starts"],
            "mdnrnn": ["stages/mdnrnn", "mdnrnn"],
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

    def load_vae(self) -> VAE:
        vae = VAE(self.task.z_size)
        self._load_weights(vae, "vae")
        return vae.to(memory_format=torch.channels_last).eval()

    def load_mdnrnn(self, stage: str) -> MDNRNN:
        """The newest M that was there before the stage."""
        mdnrnn = MDNRNN(self.task)
        before = self.config.stages_before(stage)
        self._load_weights(mdnrnn, self._newest(before[-1], *_MAKE_M))
        return mdnrnn.eval()

    def load_driver(self, stage: str) -> torch.Tensor:
        """The newest C, (D,), that was there before the stage."""
        newest = self._newest(self.config.stages_before(stage)[-1], "dream", "rounds", "real")
        path = self.path / f"controller_{newest}.safetensors"
        tensors, _ = load_tensors(path, _REMEDY)
        size = Controller(self.task, self.config.controller).size
        expect(path, tensors, {"params": (size,)}, _REMEDY)
        return tensors["params"].float()

    def save_weights(self, stage: str, weights: dict) -> None:
        """For the stages to come; and under the plain name, for those who use the run."""
        save_tensors(self._weights(stage), weights, self._about())
        self._save("vae" if stage == "vae" else "mdnrnn", weights)

    def save_driver(self, stage: str, params: torch.Tensor, validated: float | None = None) -> None:
        # Which M it goes with: a later stage may leave another one under the plain name.
        about = {"stage": stage, "validated": validated, "mdnrnn": self._newest(stage, *_MAKE_M)}
        for name in (f"controller_{stage}", "controller"):
            self._save(name, {"params": params}, about)

    def save_starts(self, starts: DreamStarts) -> None:
        self._save("dream_starts", {"mu": starts.mu, "logvar": starts.logvar})

    def _save(self, name: str, tensors: dict, about: dict | None = None) -> None:
        save_tensors(self.path / f"{name}.safetensors", tensors, self._about() | (about or {}))

    def _newest(self, stage: str, *makers: str) -> str:
        """The last of these stages, up to `stage` itself. `RunConfig` sees to it that there is one."""
        until = (*self.config.stages_before(stage), stage)
        return [name for name in until if name in makers][-1]

    def _load_weights(self, module: torch.nn.Module, stage: str) -> None:
        load_module(module, self._weights(stage), _REMEDY)

    def _weights(self, stage: str) -> Path:
        return self.path / "stages" / f"{stage}.safetensors"

    def _about(self) -> dict:
        return {
            "task": self.task.name,
            "seed": self.config.seed,
            "controller": dataclasses.asdict(self.config.controller),
            "vae": self.config.stage_hash("vae"),  # files of one agent have this in common
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

    def sequences(self) -> Sequences:
        """Encoded episodes: from the file where V has not changed since, else made anew."""
        path = self.path / "encoded.safetensors"
        digest = self.config.stage_hash("vae")
        if path.exists():
            data, about = Sequences.load(path, self.task, _REMEDY)
            if about.get("digest") == digest:
                return data
        data = encode_store(self.load_vae(), self.store(), self.log)
        save_tensors(path, data.as_tensors(), {"digest": digest})
        return data


@torch.inference_mode()
def dream_starts(vae: VAE, store: EpisodeStore, count: int = 256) -> DreamStarts:
    """First frames of recorded games, as V sees them."""
    frames = np.stack([store.frames(seed)[0] for seed in store.seeds[:count]])
    return DreamStarts(*vae.encode(to_images(torch.from_numpy(frames))))
