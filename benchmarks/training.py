"""Training V and M, ours against plain float32; and the memory that training from 300 episodes takes."""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks import peers
from benchmarks.measure import Row, side_by_side
from wmlib.config import CollectConfig, Machine, MDNRNNConfig, VAEConfig
from wmlib.controller import Controller
from wmlib.data import Episode, EpisodeStore, Sequences
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog, read_events
from wmlib.runtime.seeds import generator_of, seed_of
from wmlib.stages.collect import collect
from wmlib.stages.folder import dream_starts
from wmlib.task import Task, find_task
from wmlib.training import encode_store, train_mdnrnn, train_vae
from wmlib.vae import VAE, sample_z, to_images
from wmlib.worlds import DreamWorld, play

Curves = dict[str, dict[str, list[float]]]
"""Loss of each batch: training -> who -> values."""
CPU = torch.device("cpu")
"""Where peers train, and so we do here, whatever else there is."""


def record_episodes(folder: Path, task: Task) -> EpisodeStore:
    """A few short real games to train on."""
    plan = CollectConfig(episodes=8, horizon=250)
    return collect(task, plan, Machine(), Job("collect", path=folder))


def training_rows(
    store: EpisodeStore, vae: VAE, task: Task, steps: int, length: int, repeats: int, curves: Curves
) -> Iterator[Row]:
    """Frames a second in training. Both start from the same weights and see the same batches and noise,
    so that their losses can be compared batch by batch: see `curves`. length: of M's sequences."""
    data = encode_store(vae, store, RunLog(quiet=True))
    # Constant step size, every batch an event: so that the curve is whole.
    v = VAEConfig(steps=steps, anneal=False)
    m = MDNRNNConfig(steps=max(3, steps // 3), anneal=False, batch_size=100, sequence_length=length)
    pairs = {
        "train_v": (
            lambda log: train_vae(store, task, v, Job("vae", 1, log), device=CPU),
            lambda: plain_vae(store, task, v, 1),
            v.steps * v.batch_size,
        ),
        "train_m": (
            lambda log: train_mdnrnn(data, task, m, Job("mdnrnn", 1, log), device=CPU),
            lambda: plain_mdnrnn(data, task, m, 1),
            m.steps * m.batch_size * m.sequence_length,
        ),
    }
    for name, (our_training, their_training, frames) in pairs.items():
        losses: dict[str, list[float]] = {}

        def ours(train=our_training, losses=losses, frames=frames) -> int:
            with tempfile.TemporaryDirectory() as folder:
                train(RunLog(Path(folder), quiet=True))
                losses["ours"] = [_loss(row) for row in read_events(Path(folder))]
            return frames

        def theirs(train=their_training, losses=losses, frames=frames) -> int:
            losses["peer"] = train()
            return frames

        yield side_by_side(
            name, "frames/s", "our fit loop; eager float32, channels first", ours, theirs, repeats
        )
        curves[name] = losses


def _loss(row: dict) -> float:
    """The loss of a batch. M's event has its parts, whose weights are 1."""
    return row["loss"] if "loss" in row else row["nll"] + row["reward"] + row["done"]


def plain_vae(store: EpisodeStore, task: Task, config: VAEConfig, seed: int) -> list[float]:
    """The usual loop: V eager, float32, channels first. Returns the loss of each batch."""
    torch.manual_seed(seed_of(seed, "vae", "weights"))
    ours = VAE(task.z_size)  # the first to draw from the seed, as in our own training
    vae = peers.copy_weights(peers.PlainVAE(task.z_size), ours)
    optimiser = torch.optim.Adam(vae.parameters(), config.learning_rate)
    losses = []
    for step in range(config.steps):
        rng = np.random.default_rng(seed_of(seed, "vae", "frames", step))
        frames = torch.from_numpy(store.sample_frames(rng, config.batch_size))
        noise = torch.randn(len(frames), task.z_size, generator=generator_of(seed, "vae", step))
        x = to_images(frames).contiguous()
        loss = peers.vae_loss(x, *vae(x, noise), config.free_bits)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def plain_mdnrnn(data: Sequences, task: Task, config: MDNRNNConfig, seed: int) -> list[float]:
    """The usual loop: M eager, float32. Returns the NLL, reward and end loss of each batch."""
    torch.manual_seed(seed_of(seed, "mdnrnn", "weights"))
    ours = MDNRNN(task)  # the first to draw from the seed, as in our own training
    mdnrnn = peers.copy_weights(peers.PlainMDNRNN(), ours)
    optimiser = torch.optim.Adam(mdnrnn.parameters(), config.learning_rate)
    losses = []
    for step in range(config.steps):
        rng = np.random.default_rng(seed_of(seed, "mdnrnn", "windows", step))
        frames, steps, mask = data.batch(rng, config.batch_size, config.sequence_length)
        z = sample_z(data.mu[frames], data.logvar[frames], generator_of(seed, "mdnrnn", step))
        prediction = mdnrnn(z[:, :-1], data.actions[steps])
        loss = peers.mdnrnn_loss(
            prediction, z[:, 1:], data.rewards[steps], data.dones[steps], mask, config
        )
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(mdnrnn.parameters(), config.clip)
        optimiser.step()
        losses.append(loss.item())
    return losses


def dream_from(store: EpisodeStore, vae: VAE, task: Task) -> None:
    """What an evolution in the dream needs: first frames of the episodes, and M."""
    starts, controller = dream_starts(vae, store), Controller(task)
    world = DreamWorld(MDNRNN(task), starts, lanes=1024, horizon=5)
    play(world, controller, torch.zeros(64, controller.size), list(range(16)))


STAGES: dict[str, Callable[[EpisodeStore, VAE, Task, int], object]] = {
    "vae": lambda store, vae, task, steps: train_vae(
        store, task, VAEConfig(steps=steps), Job("vae"), device=CPU
    ),
    "mdnrnn": lambda store, vae, task, steps: train_mdnrnn(
        encode_store(vae, store), task, MDNRNNConfig(steps=steps // 4), Job("mdnrnn"), device=CPU
    ),
    "dream": lambda store, vae, task, _: dream_from(store, vae, task),
}  # fmt: skip


def memory_rows(episodes: int, steps: int = 20) -> Iterator[Row]:
    """Peak resident memory of a training from so many whole episodes of 1,000 frames: of V for so many
    batches, of M for a quarter of them."""
    with tempfile.TemporaryDirectory() as folder:
        lay_out(Path(folder), episodes)
        for stage in STAGES:
            ours, peer = (peak(stage, manner, folder, steps) for manner in ("mapped", "whole"))
            what = f"{episodes} episodes read where needed; all frames in memory first"
            yield Row(f"memory_{stage}", ours, peer, round(peer / ours, 2), "MB, peak", what)


def lay_out(folder: Path, episodes: int) -> None:
    """Episodes of 12 MB each that share one place on the disk. Maps of them share no memory."""
    rng = np.random.default_rng(0)
    store = EpisodeStore(folder)
    store.add(
        Episode(
            0, rng.integers(0, 256, (1001, 64, 64, 3), np.uint8), rng.random((1000, 3), np.float32),
            rng.random(1000, np.float32), False,
        ),
        {"digest": ""},
    )  # fmt: skip
    for seed in range(1, episodes):
        name = f"episode_{seed:07d}.safetensors"
        os.link(store.path(0), folder / name)
        store.rows[seed] = store.rows[0] | {"file": name}
    store.save_manifest()


def peak(stage: str, manner: str, folder: Path | str, steps: int = 20) -> float:
    """MB of resident memory, at most, in a process that does nothing but the stage."""
    command = [sys.executable, "-m", "benchmarks.training", stage, manner, str(folder), str(steps)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return float(done.stdout)


def _main(stage: str, manner: str, folder: str, steps: str) -> None:
    """In a process of its own: train, and print the peak of resident memory in MB."""
    store, task = EpisodeStore(Path(folder)), find_task("carracing")
    everything = None
    if manner == "whole":
        everything = np.concatenate([episode.frames for episode in store])
    STAGES[stage](store, VAE(task.z_size).eval(), task, int(steps))
    del everything
    print(round(_peak_of_this_process()))


def _peak_of_this_process() -> float:
    """In MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held before this process began
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


if __name__ == "__main__":
    _main(*sys.argv[1:])
