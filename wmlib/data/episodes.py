"""The episode store: a folder with one file an episode, and a manifest that vouches for them.

An episode of T steps holds T + 1 frames: frame t is what was seen before action t, and reward t is what
action t brought.
"""

import dataclasses
import hashlib
import json
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wmlib.envs.frames import FRAME_SIZE
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.fields import HIGHEST_COUNT, as_seed
from wmlib.runtime.files import load_json, map_array, save_json, save_tensors, sha256
from wmlib.task import Task

_FORMAT = 2
_KINDS = {"seed": int, "file": str, "length": int, "terminated": bool, "sha256": str}
"""What a row of the manifest holds, beside what a collector adds."""
_REMEDY = "delete it and run the same collect command: only this episode is recorded again"


def _digest(rows: list[dict]) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Episode:
    """One recorded game.

    frames (T + 1, 64, 64, 3) uint8; actions (T, A) float32; rewards (T,) float32;
    terminated: whether the game ended by itself, not by the cut after the horizon.
    """

    seed: int
    frames: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: bool

    def __len__(self) -> int:
        return len(self.actions)


class EpisodeStore:
    """A folder of episodes. Frames stay on the disk; what you index is read, and nothing else."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.manifest_path = self.folder / "manifest.json"
        self.rows: dict[int, dict] = {}
        if self.manifest_path.exists():
            self.rows = self._read_manifest()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def seeds(self) -> list[int]:
        """Of all episodes.

        Raises:
            ArtifactError: there is no store in the folder, and none was begun.
        """
        if not self.rows and not self.manifest_path.exists():
            raise ArtifactError(
                f"{self.folder} holds no episodes ({self.manifest_path.name} is missing); "
                "name the folder of a store, or record one: python -m wmlib collect"
            )
        return sorted(self.rows)

    @property
    def steps(self) -> int:
        """Steps in all episodes together."""
        return sum(row["length"] for row in self.rows.values())

    @property
    def sha256(self) -> str:
        """Of the manifest's rows, which have those of the episodes: no others have the same."""
        return _digest(self._rows())

    def path(self, seed: int) -> Path:
        return self.folder / self.rows[seed]["file"]

    def add(self, episode: Episode, about: dict) -> None:
        """Write the episode, then enter it in the manifest: a kill between the two loses only it."""
        seed = as_seed(episode.seed)
        path = self.folder / f"episode_{seed:07d}.safetensors"
        arrays = {
            "frames": torch.from_numpy(np.ascontiguousarray(episode.frames)),
            "actions": torch.from_numpy(np.asarray(episode.actions, np.float32)),
            "rewards": torch.from_numpy(np.asarray(episode.rewards, np.float32)),
        }
        save_tensors(path, arrays, {"seed": seed})
        self.rows[seed] = {
            "file": path.name,
            "length": len(episode),
            "return": round(float(np.sum(episode.rewards)), 4),
            "terminated": bool(episode.terminated),
            "bytes": path.stat().st_size,
            "sha256": sha256(path),
            **about,
        }
        self.save_manifest()

    def save_manifest(self) -> None:
        """Write down `rows`."""
        content = {"format": _FORMAT, "episodes": self._rows(), "sha256": self.sha256}
        save_json(self.manifest_path, content)

    def _rows(self) -> list[dict]:
        return [{"seed": seed, **self.rows[seed]} for seed in self.seeds]

    def frames(self, seed: int) -> np.ndarray:
        """A memory map, (T + 1, 64, 64, 3) uint8. Drop it after use, and its memory is given back."""
        length = self.rows[seed]["length"]
        frames = map_array(self.path(seed), "frames", np.uint8, _REMEDY)
        if frames.shape != (length + 1, FRAME_SIZE, FRAME_SIZE, 3):
            raise ArtifactError(f"{self.path(seed)} is not the episode in the manifest; {_REMEDY}")
        return frames

    def actions_and_rewards(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """(T, A) and (T,) float32."""
        length = self.rows[seed]["length"]
        actions, rewards = (
            np.array(map_array(self.path(seed), name, np.float32, _REMEDY))
            for name in ("actions", "rewards")
        )
        if any(len(a) != length or not np.isfinite(a).all() for a in (actions, rewards)):
            raise ArtifactError(f"{self.path(seed)} is damaged; {_REMEDY}")
        return actions, rewards

    def episode(self, seed: int) -> Episode:
        actions, rewards = self.actions_and_rewards(seed)
        return Episode(seed, self.frames(seed), actions, rewards, self.rows[seed]["terminated"])

    def __iter__(self) -> Iterator[Episode]:
        return (self.episode(seed) for seed in self.seeds)

    def sample_frames(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Frames drawn evenly from all episodes, (count, 64, 64, 3) uint8."""
        seeds = np.array(self.seeds)
        ends = np.cumsum([self.rows[seed]["length"] + 1 for seed in seeds])
        picks = np.sort(rng.integers(ends[-1], size=count))
        which = np.searchsorted(ends, picks, side="right")
        out = np.empty((count, FRAME_SIZE, FRAME_SIZE, 3), np.uint8)
        for index in np.unique(which):
            chosen = which == index
            first = ends[index] - self.rows[seeds[index]]["length"] - 1
            out[chosen] = self.frames(seeds[index])[picks[chosen] - first]
        return out

    def verify(self) -> None:
        """Compare every file with the manifest's digest.

        Raises:
            ArtifactError: naming the first file that is missing or was changed.
        """
        for seed in self.seeds:
            path = self.path(seed)
            if sha256(path, _REMEDY) != self.rows[seed]["sha256"]:
                raise ArtifactError(f"{path} is damaged (its sha256 differs); {_REMEDY}")

    def keep_only(self, seeds: Container[int]) -> None:
        """Leave other episodes out of account. Their files, and the manifest, stay as they are."""
        self.rows = {seed: row for seed, row in self.rows.items() if seed in seeds}

    def forget_missing(self) -> None:
        """Strike episodes whose file is gone from the manifest, so that they are recorded again."""
        self.rows = {seed: row for seed, row in self.rows.items() if self.path(seed).is_file()}

    def _read_manifest(self) -> dict[int, dict]:
        remedy = f"delete the folder {self.folder} and collect again"
        content = load_json(self.manifest_path, remedy)
        try:
            if content["format"] != _FORMAT:
                raise ValueError(f"its format is {content['format']!r:.40}, not {_FORMAT}")
            if content["sha256"] != _digest(content["episodes"]):
                raise ValueError("its sha256 differs")
            rows = {}
            for row in content["episodes"]:
                row = dict(row)
                if any(type(row[name]) is not kind for name, kind in _KINDS.items()):
                    raise ValueError("a row holds a value of another kind")
                seed = row.pop("seed")
                if Path(row["file"]).name != row["file"] or "\0" in row["file"]:
                    raise ValueError(f"{row['file']!r:.40} is not the name of a file in this folder")
                if not 0 <= seed < 2**63 or not 1 <= row["length"] <= HIGHEST_COUNT or not row["sha256"]:
                    raise ValueError(f"the row of seed {seed!r:.40} makes no sense")
                rows[seed] = row
            return rows
        except (KeyError, TypeError, ValueError) as error:
            message = f"{self.manifest_path} is damaged or not ours ({error}); {remedy}"
            raise ArtifactError(message) from error


@dataclass(frozen=True)
class BothWays:
    """A store's episodes, each followed by what a mirror shows of it: left is right."""

    store: EpisodeStore

    def __len__(self) -> int:
        return 2 * len(self.store)

    @property
    def steps(self) -> int:
        return 2 * self.store.steps

    def __iter__(self) -> Iterator[Episode]:
        for episode in self.store:
            yield episode
            mirrored = episode.frames[:, :, ::-1]
            yield dataclasses.replace(episode, frames=mirrored, actions=-episode.actions)

    def sample_frames(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """As `EpisodeStore.sample_frames`, about half of them mirrored."""
        frames = self.store.sample_frames(rng, count)
        mirrored = rng.random(count) < 0.5
        frames[mirrored] = frames[mirrored, :, ::-1]
        return frames


def learnable(store: EpisodeStore, task: Task) -> EpisodeStore | BothWays:
    """What V and M learn from a store: its episodes, of a symmetric game both ways round."""
    return BothWays(store) if task.symmetric else store
