"""The files of a run: what its stages leave to each other, and to those who use the run."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import torch

from wmlib.agent import Agent, check_origin, load_mdnrnn, load_starts, load_vae
from wmlib.config import STAGES, RunConfig, StageName, makers
from wmlib.controller import Controller
from wmlib.data.episodes import EpisodeStore, learnable
from wmlib.data.sequences import Sequences
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.disk import ArtifactError, alone, ensure_writable, whole_file
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.files import (
    expect,
    load_json,
    load_tensors,
    save_json,
    save_tensors,
    sha256,
    signature,
)
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog
from wmlib.runtime.place import GAME
from wmlib.runtime.seeds import digest_of
from wmlib.runtime.source import is_address, parts_of
from wmlib.task import find_task, task_names
from wmlib.training import encode_store, encoded
from wmlib.vae import VAE, to_images
from wmlib.worlds.moments import DreamStarts

_REMEDY = "delete it and run the same command as before: what is missing is made again"
GOES_WITH = {
    "vae": (),
    "dream_starts": ("vae",),
    "mdnrnn": ("vae",),
    "controller": ("vae", "dream_starts", "mdnrnn"),
}
"""Of each kind of weights, those that it is of no use without."""


class RunFolder:
    """A run's folder.

    Each stage reads what the newest stages before it made: dream the M of mdnrnn, real that of rounds.
    So all weights are kept under `stages/`. The plain names, `mdnrnn.safetensors` and so on, hold the
    newest.

    Nothing is taken for what its name says. `done.json` keeps, of each finished stage, a digest of the
    configuration and the sha256 of all that it made; and each file of weights those of what it was made
    from.
    """

    def __init__(self, config: RunConfig, path: Path, log: RunLog):
        self.config, self.path, self.log = config, Path(path), log
        self.task = find_task(config.task)

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Keep other processes from running a stage in this folder."""
        return alone(self.path, "--run-dir (in a notebook: WMLIB_RUN_DIR)")

    # Stages

    def check_before(self, stage: StageName) -> None:
        """Check that all before the stage is there, as it was made.

        Raises:
            ArtifactError: naming the first stage that is missing, and the command that makes it; or the
                file that is not what its stage made.
            ConfigError: the game's own file was edited since the run was begun.
        """
        if self.task.source and find_task(self.config.task).digest != self.task.digest:
            raise ConfigError(
                f"{self.task.source} was edited while it was played; take that back and run the same "
                "command again, or begin anew in another folder: --run-dir"
            )
        for before in self.config.stages_before(stage):
            if not self.is_done(before):
                raise ArtifactError(
                    f"{stage} needs {before}, which {self.path} does not hold for this configuration; "
                    f"first run: python -m wmlib {STAGES[before].command}, with the same options (in a "
                    "notebook: the one that trains it)"
                )

    def begin(self, stage: StageName) -> None:
        """Write down that work on the stage begins, and under which configuration.

        Raises:
            ArtifactError: naming the first file that could not be written in the end.
        """
        kinds = [kind for kind in STAGES[stage].makes if kind != "episodes"]
        kept = self.path / "checkpoints" / f"{stage}.safetensors"
        for path in (kept, *(path for kind in kinds for path in self._files(stage, kind))):
            ensure_writable(path, "--run-dir")  # now, and not after an hour
        save_json(self.path / "config.json", dataclasses.asdict(self.config))
        if self.task.source:
            with whole_file(self.path / GAME) as temporary:
                temporary.write_bytes(parts_of(self.task.source)[0].read_bytes())
        self.log.event(stage, 0, began=True)

    def is_done(self, stage: StageName) -> bool:
        """Whether the stage was finished under the same configuration, and all that it made is there.

        Raises:
            ArtifactError: a file is there, but not the one that the stage made.
        """
        done = self._done().get(stage, {})
        if done.get("config") != self.config.stage_hash(stage) or not self.holds(stage):
            return False
        if "episodes" in STAGES[stage].makes:  # the stage itself looks at each of them
            return done["made"]["episodes"] == self._sha256(stage, "episodes")
        for kind in STAGES[stage].makes:
            if self._sha256(stage, kind) != done["made"].get(kind):
                path = self._files(stage, kind)[0]
                raise ArtifactError(f"{path} is not what the stage {stage} made; {_REMEDY}")
        return True

    def stands_on(self, stage: StageName) -> dict[str, str]:
        """What there is before the stage: of each kind the sha256 of the newest."""
        before = self.config.stages_before(stage)
        kinds = {kind for name in before for kind in STAGES[name].makes} - {"score"}
        return {kind: self._sha256(self._newest(before[-1], kind), kind) for kind in sorted(kinds)}

    def _sha256(self, stage: StageName, kind: str) -> str:
        """Of what the stage made."""
        if kind == "episodes":
            return EpisodeStore(self.episodes).sha256
        path = self._files(stage, kind)[0]
        return sha256(path) if kind == "score" else signature(path, _REMEDY)

    def holds(self, stage: StageName) -> bool:
        """Whether all that the stage makes is there, under whatever configuration it was made."""
        return all(path.exists() for kind in STAGES[stage].makes for path in self._files(stage, kind))

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
        done = {name: row for name, row in self._done().items() if name in before}
        made = {kind: self._sha256(stage, kind) for kind in STAGES[stage].makes}
        done[stage] = {"config": self.config.stage_hash(stage), "made": made}
        save_json(self.path / "done.json", {"stages": done, "digest": digest_of(done)})

    def _done(self) -> dict[str, dict]:
        path = self.path / "done.json"
        if not path.exists():
            return {}
        remedy = "delete it: stages are then taken up from their checkpoints"
        content = load_json(path, remedy)
        done = content.get("stages") if isinstance(content, dict) else None
        if not isinstance(done, dict) or content.get("digest") != digest_of(done):
            raise ArtifactError(f"{path} is damaged or not ours; {remedy}")
        return done

    def job(self, stage: StageName, path: Path | None = None, digest: str = "") -> Job:
        """The stage as a job.

        Args:
            path: what it keeps its work in; by default a checkpoint in this folder.
            digest: of all that it depends on, where that is not all of its configuration.
        """
        path = path or self.path / "checkpoints" / f"{stage}.safetensors"
        return Job(stage, self.config.seed, self.log, path, digest or self.digest(stage))

    def digest(self, stage: StageName, config: str = "", *more: object) -> str:
        """Of all that the outcome of a stage depends on, the content of what it stands on included.

        Args:
            config: a digest of its configuration, where not all of that counts.
            more: what else it depends on.
        """
        return digest_of(config or self.config.stage_hash(stage), self.stands_on(stage), *more)

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
        """The newest M that was there before the stage.

        Raises:
            ArtifactError: the file is missing or damaged, or M learned with another V than the newest.
        """
        path, vae = (self._newest_weights(stage, kind) for kind in ("mdnrnn", "vae"))
        mdnrnn, about = load_mdnrnn(path, self.task, _REMEDY)
        check_origin(path, about, {"vae": (vae, signature(vae, _REMEDY))}, _REMEDY)
        return mdnrnn

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
        weights = {kind: self.newest(stage, kind).name for kind in kinds}
        about = {"stage": stage, "validated": validated, "weights": weights}
        self._save(stage, "controller", {"params": params}, about)

    def _save(self, stage: StageName, kind: str, tensors: dict, about: dict | None = None) -> None:
        """For the stages to come; and under the plain name, for those who use the run."""
        about = {
            "task": self.task.name,
            "seed": self.config.seed,
            "controller": dataclasses.asdict(self.config.controller),
            "made_from": self.stands_on(stage)
            | {other: self._sha256(self._newest(stage, other), other) for other in GOES_WITH[kind]},
            **(about or {}),
        }
        if self.task.source:
            about["game"] = {"name": parts_of(self.task.source)[1], "digest": self.task.digest}
        for path in self._files(stage, kind):
            save_tensors(path, tensors, about)

    def newest(self, stage: StageName, kind: str) -> Path:
        """The file of the newest weights of this kind, up to the stage."""
        return self._weights(self._newest(stage, kind), kind)

    def _newest(self, stage: StageName, kind: str) -> StageName:
        """The last stage that makes this kind, up to `stage` itself: `RunConfig` sees to it that there
        is one."""
        until = (*self.config.stages_before(stage), stage)
        return [name for name in until if kind in STAGES[name].makes][-1]

    def _newest_weights(self, stage: StageName, kind: str) -> Path:
        """The newest of this kind that was there before the stage."""
        return self.newest(self.config.stages_before(stage)[-1], kind)

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
        job = self.job(
            stage, path, digest_of(self._sha256(maker, "vae"), self._sha256("collect", "episodes"))
        )

        def encode() -> Sequences:
            return encode_store(self.load_vae(stage), learnable(self.store(), self.task), self.log)

        return encoded(encode, self.task, job)


def task_of_run(path: Path) -> list[str]:
    """The file of the game of one's own that a run's configuration names, if it names one; [] if not.

    Raises:
        ArtifactError: the run's config.json is damaged.
    """
    config = Path(path) / "config.json"
    if not config.is_file():
        return []
    remedy = "delete it and run the same command as before: it is written anew"
    content = load_json(config, remedy)
    name = content.get("task") if isinstance(content, dict) else None
    return [name] if isinstance(name, str) and is_address(name) else []


def recorded_task(path: Path) -> str:
    """The game whose episodes a run holds: its name, or its file where that is one's own.

    Raises:
        ArtifactError: there are none; or its file is to be named, since it came with the folder.
    """
    store = EpisodeStore(Path(path) / "episodes")
    (name,) = {str(store.rows[seed]["task"]) for seed in store.seeds}
    files = [each for each in task_of_run(path) if not parts_of(each)[0].is_relative_to(path.resolve())]
    if name not in task_names() and not files:
        raise ArtifactError(
            f"the run in {path} is of {name}, a game of its own; name its file with --task"
        )
    return name if name in task_names() else files[0]


@torch.inference_mode()
def dream_starts(vae: VAE, store: EpisodeStore, count: int = 256) -> DreamStarts:
    """First frames of recorded games, as V sees them."""
    frames = np.stack([store.frames(seed)[0] for seed in store.seeds[:count]])
    return DreamStarts(*vae.encode(to_images(torch.from_numpy(frames))))
