"""Damage to files, and what reading them then does.

There are three good ends. The file is refused, with one message that names it and the remedy; or what
matters was not hurt, and the same is read as before; or what the file held is left aside and made again.
"""

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from harness import RUN
from safetensors.torch import save_file

from wmlib import training
from wmlib.agent import load_agent
from wmlib.cli import run_options
from wmlib.controller import Controller
from wmlib.data.episodes import EpisodeStore
from wmlib.evolution.cmaes import load_progress
from wmlib.evolution.space import SearchSpace
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.files import load_json, load_tensors, save_tensors
from wmlib.runtime.job import Job
from wmlib.runtime.log import each_event
from wmlib.stages import rounds
from wmlib.stages.export import wall_seconds
from wmlib.stages.pipeline import Pipeline
from wmlib.vae import VAE

AGAIN = "made again"


class Readers:
    """How each file of a finished run is read, by those who need it."""

    def __init__(self, folder: Path):
        self.folder = folder
        config = run_options("run", [*RUN[4:], "--run-dir", str(folder)]).config
        pipeline = Pipeline(config, folder, quiet=True)
        self.config, self.files, self.task = config, pipeline.files, pipeline.task
        controllers = {"dream": "rounds", "rounds": "real", "real": "evaluate"}
        files = self.files
        self.of: dict[str, Callable[[], object]] = {
            "done.json": lambda: {stage: files.is_done(stage) for stage in config.stages},
            "events.jsonl": lambda: len(wall_seconds(each_event(folder))) * 0,  # nothing hangs on it
            "encoded.safetensors": lambda: vars(files.sequences("mdnrnn")),
            "score.json": lambda: files.is_done("evaluate") or AGAIN,
            "stages/vae.safetensors": self._before(
                "mdnrnn", lambda: files.load_vae("mdnrnn").state_dict()
            ),
            "stages/vae_dream_starts.safetensors": self._before("evaluate", self._agent),
            "stages/mdnrnn.safetensors": self._before(
                "dream", lambda: files.load_mdnrnn("dream").state_dict()
            ),
            "stages/rounds.safetensors": self._before(
                "real", lambda: files.load_mdnrnn("real").state_dict()
            ),
            "checkpoints/vae.safetensors": lambda: self._training("vae", VAE(self.task.z_size)),
            "checkpoints/mdnrnn.safetensors": lambda: self._training("mdnrnn", MDNRNN(self.task)),
            "checkpoints/dream.safetensors": lambda: self._evolution("dream"),
            "checkpoints/real.safetensors": lambda: self._evolution("real"),
            "rounds/state.safetensors": self._rounds,
        }
        for name in ("vae", "mdnrnn", "controller", "dream_starts"):
            self.of[f"{name}.safetensors"] = self._agent
        for stage, later in controllers.items():
            self.of[f"controller_{stage}.safetensors"] = self._before(
                later, lambda later=later: files.load_controller(later)
            )
        for path in folder.glob("rounds/games-*.safetensors"):
            self.of[f"rounds/{path.name}"] = lambda path=path: self._games(path)
        for path in folder.glob("episodes/*"):
            self.of[f"episodes/{path.name}"] = lambda: [vars(e) for e in files.store()]
        self.digests = {
            name: load_tensors(folder / name)[1].get("digest")
            for name in self.of
            if name.startswith(("checkpoints/", "rounds/"))
        }

    def _before(self, stage: str, read: Callable[[], object]) -> Callable[[], object]:
        """As the stage reads it: it first looks whether all before it is as it was made."""

        def checked() -> object:
            self.files.check_before(stage)
            return read()

        return checked

    def _job(self, name: str, path: str = "") -> Job:
        """What kept a file, or the folder that holds it. Its digest is read while it is still sound."""
        return Job("any", path=self.folder / (path or name), digest=self.digests[name])

    def _agent(self):
        agent = load_agent(self.folder)
        return [agent.vae.state_dict(), agent.mdnrnn.state_dict(), agent.params, vars(agent.starts)]

    def _training(self, stage: str, model: torch.nn.Module):
        optimiser = torch.optim.Adam(model.parameters())
        step = training.restore(model, optimiser, self._job(f"checkpoints/{stage}.safetensors"))
        return [step, model.state_dict(), optimiser.state_dict()["state"]] if step else AGAIN

    def _evolution(self, stage: str):
        job = self._job(f"checkpoints/{stage}.safetensors")
        controller = Controller(self.task, self.config.controller)
        space = SearchSpace.plain(controller, torch.zeros(controller.size))
        progress = load_progress(getattr(self.config, stage), space, job)
        return vars(progress) if progress.fitness else AGAIN

    def _rounds(self):
        job = self._job("rounds/state.safetensors", "rounds")
        agent, number = rounds.load_state(self.files.agent("rounds"), job)
        return [agent.mdnrnn.state_dict(), agent.params, number] if number else AGAIN

    def _games(self, path: Path):
        job = self._job(f"rounds/{path.name}", "rounds")
        games = rounds.load_games(int(path.stem[-2:]), self.task, job)
        return vars(games) if games else AGAIN


class ShippedReaders:
    """The same for the agent and the episodes that come with the package."""

    def __init__(self, folder: Path):
        self.folder = folder
        store = folder / "sample"
        self.of: dict[str, Callable[[], object]] = {}
        of_agent = sorted(path.name for path in (folder / "reference").glob("*.safetensors"))
        # Those of the temperature table belong to it, and not to the agent.
        of_agent = [name for name in of_agent if not name.startswith("controller_tau_")]
        self.controllers = [name for name in of_agent if name.startswith("controller")]
        for name in of_agent:
            self.of[f"reference/{name}"] = self._agent
        self.of["reference/manifest.json"] = self._agent
        for path in store.iterdir():
            self.of[f"sample/{path.name}"] = lambda: self._episodes(EpisodeStore(store))

    def _agent(self):
        agents = [load_agent(self.folder / "reference", name) for name in self.controllers]
        return [[a.vae.state_dict(), a.mdnrnn.state_dict(), a.params, vars(a.starts)] for a in agents]

    def _episodes(self, store: EpisodeStore):
        store.verify()
        return [vars(episode) for episode in store]


def fingerprint(value: object) -> str:
    """The same for the same content, to the last bit."""
    digest = hashlib.sha256()

    def take(value: object) -> None:
        if isinstance(value, torch.Tensor):
            value = value.detach().numpy()
        if isinstance(value, np.ndarray):
            digest.update(f"{value.dtype} {value.shape}".encode() + value.tobytes())
        elif isinstance(value, dict):
            for key in sorted(value, key=str):
                digest.update(str(key).encode())
                take(value[key])
        elif isinstance(value, list | tuple):
            for item in value:
                take(item)
        else:
            digest.update(repr(value).encode())

    take(value)
    return digest.hexdigest()


class Payload:
    """Unpickled, it leaves a trace."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self):
        return (Path.touch, (self.trace,))


def _tensors(change: Callable[[dict, str], None]):
    def work(path: Path, rng: np.random.Generator, trace: Path) -> None:
        tensors, about = load_tensors(path)
        change(tensors, sorted(tensors)[rng.integers(len(tensors))])
        save_tensors(path, tensors, about)  # whole in itself: with a digest of its own

    return work


def _not_finite(tensors: dict, name: str) -> None:
    floats = [key for key in sorted(tensors) if tensors[key].is_floating_point()]
    tensors[floats[0]].reshape(-1)[-1] = float("nan")


def _wrong_type(tensors: dict, name: str) -> None:
    kind = torch.float32 if not tensors[name].is_floating_point() else torch.int32
    tensors[name] = tensors[name].to(kind)


def _wrong_shape(tensors: dict, name: str) -> None:
    tensors[name] = torch.cat([tensors[name], tensors[name]])


def _renamed(tensors: dict, name: str) -> None:
    tensors[name + "_"] = tensors.pop(name)


def _truncated(path: Path, rng: np.random.Generator, trace: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.integers(len(data))])


def _flipped(path: Path, rng: np.random.Generator, trace: Path) -> None:
    data = bytearray(path.read_bytes())
    data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)


def _flipped_in_front(path: Path, rng: np.random.Generator, trace: Path) -> None:
    """Where names, shapes and offsets are."""
    data = bytearray(path.read_bytes())
    data[rng.integers(min(len(data), 400))] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)


def _zeroed(path: Path, rng: np.random.Generator, trace: Path) -> None:
    data = bytearray(path.read_bytes())
    start = int(rng.integers(len(data)))
    data[start : start + 512] = bytes(len(data[start : start + 512]))
    path.write_bytes(data)


def _emptied(path: Path, rng: np.random.Generator, trace: Path) -> None:
    path.write_bytes(b"")


def _foreign(path: Path, rng: np.random.Generator, trace: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + rng.bytes(500))


def _object_array(path: Path, rng: np.random.Generator, trace: Path) -> None:
    with open(path, "wb") as file:
        np.savez(file, params=np.array([Payload(trace)], object))


def _pickled(path: Path, rng: np.random.Generator, trace: Path) -> None:
    path.write_bytes(pickle.dumps(Payload(trace)))


def _unsigned(path: Path, rng: np.random.Generator, trace: Path) -> None:
    """The same, as any other program would write it."""
    tensors, about = load_tensors(path)
    del about["sha256"]
    save_file(tensors, path, {"about": json.dumps(about)})


def _of_another_making(path: Path, rng: np.random.Generator, trace: Path) -> None:
    """Weights as another run would have made them: whole, signed, and of the right shapes."""
    tensors, about = load_tensors(path)
    name = sorted(tensors)[rng.integers(len(tensors))]
    tensors[name] = tensors[name] + 1
    if "made_from" in about:
        about["made_from"] = {kind: digest[::-1] for kind, digest in about["made_from"].items()}
    save_tensors(path, tensors, about)


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink()


def _named_pipe(path: Path, rng: np.random.Generator, trace: Path) -> None:
    """Whoever opens it to read waits for a writer that never comes."""
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path, rng: np.random.Generator, trace: Path) -> None:
    path.unlink()
    path.mkdir()


def _endless(path: Path, rng: np.random.Generator, trace: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _nested(path: Path, rng: np.random.Generator, trace: Path) -> None:
    """JSON, whole or not, deeper than it can be read."""
    row = '{"stage": ' if path.suffix == ".jsonl" else ""
    depth = int(rng.integers(100, 100_000))
    path.write_text(row + "[" * depth + "]" * int(rng.integers(2) * depth))


def _monstrous(path: Path, rng: np.random.Generator, trace: Path) -> None:
    """Far too long; it takes no room on the disk."""
    with open(path, "ab") as file:
        file.truncate(2**27)


def _other_kind(path: Path, rng: np.random.Generator, trace: Path) -> None:
    """JSON that is whole, but for a value of another kind."""
    odd = [None, "7", "text", "9" * 500, [[]], {"a": []}, True, -1.5, 1e300, -1][rng.integers(10)]
    if path.suffix == ".jsonl":
        row = {"stage": "vae", "step": 1, "seconds": 1.0}
        row[sorted(row)[rng.integers(3)]] = odd
        with open(path, "a") as file:
            file.write(json.dumps(row) + "\n")
        return
    content = load_json(path)
    if "episodes" in content and "format" in content:  # with a digest of its own
        store = EpisodeStore(path.parent)
        row = store.rows[store.seeds[0]]
        field = ("file", "length", "terminated", "sha256")[rng.integers(4)]
        row[field] = odd if type(odd) is not type(row[field]) else None
        store.save_manifest()
    else:
        content[sorted(content)[rng.integers(len(content))]] = odd
        path.write_text(json.dumps(content))


def _not_ours(path: Path, rng: np.random.Generator, trace: Path) -> None:
    """JSON that says something else."""
    others = [[], {}, None, 7, "text", {"episodes": 3}, {"sha256": [], "stages": {}}]
    path.write_text(json.dumps(others[rng.integers(len(others))]))


def _pointing_out(path: Path, rng: np.random.Generator, trace: Path) -> None:
    content = load_json(path)
    if "episodes" in content:
        store = EpisodeStore(path.parent)
        store.rows[store.seeds[0]]["file"] = "../../../etc/passwd"
        store.save_manifest()
    else:
        content["sha256"] = {"../../../etc/passwd": "0" * 64}
        path.write_text(json.dumps(content))


ANY = {
    "truncated": _truncated, "flipped": _flipped, "flipped in front": _flipped_in_front,
    "zeroed": _zeroed, "emptied": _emptied, "foreign": _foreign, "object array": _object_array,
    "pickled": _pickled, "named pipe": _named_pipe, "folder": _folder, "endless": _endless,
}  # fmt: skip
TENSORS = {
    "wrong shape": _tensors(_wrong_shape), "wrong type": _tensors(_wrong_type),
    "not finite": _tensors(_not_finite), "renamed": _tensors(_renamed),
    "unsigned": _unsigned,
}  # fmt: skip
JSON = {
    "not ours": _not_ours, "nested": _nested, "monstrous": _monstrous, "of another kind": _other_kind,
}  # fmt: skip
MANIFEST = {"pointing out": _pointing_out}
WEIGHTS = {"of another making": _of_another_making}


def kinds_for(name: str) -> dict[str, Callable]:
    """The damages that a file can take."""
    if name.endswith(".safetensors"):
        weights = not name.startswith(("checkpoints/", "rounds/", "encoded", "sample/", "episodes/"))
        return ANY | TENSORS | (WEIGHTS if weights else {})
    return ANY | JSON | (MANIFEST if name.endswith("manifest.json") else {})


class Bench:
    """One folder; its files are damaged, read and mended, one after the other."""

    def __init__(self, readers: Readers | ShippedReaders, scratch: Path):
        self.readers, self.scratch = readers, scratch
        self.sound = {name: fingerprint(read()) for name, read in readers.of.items()}

    def try_out(self, name: str, kind: str, seed: int) -> str:
        """Damage a file, read it, mend it. Returns how it ended; anything but a good end fails."""
        path, rng = self.readers.folder / name, np.random.default_rng(seed)
        kept, trace = self.scratch / "kept", self.scratch / "trace"
        shutil.copy2(path, kept)
        what = f"{name}, {kind}, seed {seed}"
        try:
            kinds_for(name)[kind](path, rng, trace)
            try:
                found = self.readers.of[name]()
            except ArtifactError as error:
                message = str(error)
                assert path.name in message and "; " in message, f"{what}: {message}"
                return "refused"
            finally:
                assert not trace.exists(), f"{what}: it was unpickled"
            if found == AGAIN or (name == "done.json" and not all(found.values())):
                return AGAIN
            assert fingerprint(found) == self.sound[name], f"{what}: went unnoticed"
            return "unharmed"
        finally:
            _clear(path)
            shutil.copy2(kept, path)
