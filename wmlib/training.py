"""One fit loop for V and M: optimiser, schedule, progress, events, checkpoint, resume."""

import hashlib
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from wmlib.artifacts import expect, load_tensors, save_tensors, shapes_of
from wmlib.config import MDNRNNConfig, Task, VAEConfig
from wmlib.episodes import BothWays, EpisodeStore
from wmlib.heap import keep_freed_memory
from wmlib.mdnrnn import MDNRNN, mdnrnn_loss
from wmlib.runlog import RunLog
from wmlib.sequences import Blend, Sequences
from wmlib.stopping import Stop
from wmlib.vae import VAE, sample_z, to_images, vae_loss

LossOfStep = Callable[[int], tuple[Tensor, dict[str, Tensor]]]


def seed_of(*key: object) -> int:
    """A seed made of anything: seed_of(1, "vae", 7). Draws keyed like this need no saved state."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:7], "little")


def generator_of(*key: object) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(*key))


def best_device() -> torch.device:
    """CUDA or Apple's MPS where present, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def dream_dtype(precision: str) -> torch.dtype:
    """In which a dream's products are computed; dreams run on the CPU."""
    return torch.bfloat16 if uses_bfloat16(precision, torch.device("cpu")) else torch.float32


def uses_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether to compute products in bfloat16. A CPU without instructions for it is slower that way."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    abilities = torch.cpu.get_capabilities()
    return device.type == "cpu" and bool(abilities.get("amx_bf16") or abilities.get("avx512_bf16"))


@dataclass(frozen=True)
class FitPlan:
    """What the fit loop needs to know of a training."""

    stage: str
    steps: int
    learning_rate: float
    anneal: bool
    precision: str
    digest: str = ""  # of the configuration: a checkpoint made under another is not resumed
    clip: float = 0.0  # largest absolute value of a gradient's element; 0: no clipping
    rows: int = 50  # events that are written
    checkpoints: int = 10  # checkpoints that are written


def fit(
    model: torch.nn.Module,
    loss_of_step: LossOfStep,
    plan: FitPlan,
    log: RunLog,
    checkpoint: Path | None = None,
) -> None:
    """Train `model` in place with Adam.

    Everything that happens in a step follows from its number, so a training that was interrupted and
    goes on from its checkpoint ends with the same weights as one that was not.

    Args:
        loss_of_step: step number to (loss, its parts by name).
        checkpoint: where to keep weights and Adam's state; None keeps nothing.
    """
    keep_freed_memory()
    optimiser = torch.optim.Adam(model.parameters(), plan.learning_rate, fused=True)
    first = 0
    if checkpoint is not None and checkpoint.exists():
        first = _restore(model, optimiser, checkpoint, plan.digest)
    device = next(model.parameters()).device
    autocast = (
        torch.autocast(device.type, torch.bfloat16)
        if uses_bfloat16(plan.precision, device)
        else nullcontext()
    )
    event_every = max(1, plan.steps // plan.rows)
    save_every = max(1, plan.steps // plan.checkpoints)
    recent: list[dict[str, float]] = []  # the parts of each step since the last event
    model.train()
    # A step cut in two may have moved some of the weights: a stop waits until it is whole.
    with Stop() as stop, log.bar(plan.steps, plan.stage, "batches", first) as bar:
        for step in range(first, plan.steps):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate_at(step, plan)
            with autocast:
                loss, parts = loss_of_step(step)
            optimiser.zero_grad()
            loss.backward()
            if plan.clip:
                torch.nn.utils.clip_grad_value_(model.parameters(), plan.clip)
            optimiser.step()
            done = step + 1
            recent.append({name: value.item() for name, value in parts.items()})
            bar.update()
            if done % event_every == 0 or done == plan.steps:
                means = {name: round(fmean(row[name] for row in recent), 5) for name in parts}
                log.event(plan.stage, done, **means)
                bar.set_postfix(means, refresh=False)
                recent = []
            due = done % save_every == 0 or done == plan.steps or stop.wanted
            if checkpoint is not None and due:
                _save(model, optimiser, checkpoint, plan.digest, done)
            if stop.wanted:
                break
    model.eval()


def learning_rate_at(step: int, plan: FitPlan) -> float:
    if not plan.anneal:
        return plan.learning_rate
    return plan.learning_rate * 0.5 * (1 + math.cos(math.pi * step / plan.steps))


def _save(model, optimiser, path: Path, digest: str, step: int) -> None:
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        state = optimiser.state[parameter]
        tensors[f"exp_avg.{name}"] = state["exp_avg"]
        tensors[f"exp_avg_sq.{name}"] = state["exp_avg_sq"]
    save_tensors(path, tensors, {"step": step, "digest": digest})


def _restore(model, optimiser, path: Path, digest: str) -> int:
    remedy = "delete it: this stage then starts from its beginning"
    tensors, about = load_tensors(path, remedy)
    if about.get("digest") != digest:
        return 0  # of another configuration
    kinds, shapes = ("model", "exp_avg", "exp_avg_sq"), shapes_of(model)
    wanted = {f"{kind}.{name}": shape for kind in kinds for name, shape in shapes.items()}
    expect(path, tensors, wanted, remedy)
    prefix = "model."
    model.load_state_dict(
        {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    )
    for name, parameter in model.named_parameters():
        optimiser.state[parameter] = {
            "step": torch.tensor(float(about["step"])),
            "exp_avg": _laid_out_like(parameter, tensors[f"exp_avg.{name}"]),
            "exp_avg_sq": _laid_out_like(parameter, tensors[f"exp_avg_sq.{name}"]),
        }
    return int(about["step"])


def _laid_out_like(parameter: Tensor, values: Tensor) -> Tensor:
    """Same memory layout too: a sum in another order rounds otherwise."""
    return torch.empty_like(parameter, requires_grad=False).copy_(values)


class Frames(Protocol):
    """What V learns from: an `EpisodeStore`, several, or one both ways round."""

    def sample_frames(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Frames drawn by chance, (count, 64, 64, 3) uint8."""


def train_vae(
    frames: Frames,
    task: Task,
    config: VAEConfig,
    seed: int,
    log: RunLog,
    checkpoint: Path | None = None,
    digest: str = "",
    stage: str = "vae",
    start: VAE | None = None,
) -> VAE:
    """Train V on random frames, from random weights or on from `start`."""
    device = best_device()
    torch.manual_seed(seed_of(seed, stage, "weights"))
    vae = VAE(task.z_size)
    if start is not None:
        vae.load_state_dict(start.state_dict())
    vae = vae.to(device, memory_format=torch.channels_last)

    def loss_of_step(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        rng = np.random.default_rng(seed_of(seed, stage, "frames", step))
        batch = torch.from_numpy(frames.sample_frames(rng, config.batch_size))
        noise = torch.randn(len(batch), task.z_size, generator=generator_of(seed, stage, step))
        x = to_images(batch.to(device))
        reconstruction, mu, logvar = vae(x, noise.to(device))
        loss, error, kl = vae_loss(
            x, reconstruction.float(), mu.float(), logvar.float(), config.free_bits
        )
        return loss, {"loss": loss, "squared_error": error, "kl": kl}

    plan = FitPlan(stage, config.steps, config.learning_rate, config.anneal, config.precision, digest)
    fit(vae, loss_of_step, plan, log, checkpoint)
    return vae.cpu().float()


@torch.inference_mode()
def encode_store(vae: VAE, store: EpisodeStore | BothWays, log: RunLog | None = None) -> Sequences:
    """Every frame of every episode through V."""
    log = log or RunLog(quiet=True)
    # One place for all: small pieces, kept between large ones that come and go, scatter the memory.
    mu, logvar = torch.empty(2, store.steps + len(store), vae.z_size)
    actions = torch.empty(store.steps, next(iter(store)).actions.shape[1])
    rewards, dones, lengths = torch.empty(store.steps), torch.zeros(store.steps), []
    frame = step = 0
    with log.bar(len(store), "encode", "episodes") as bar:
        for episode in store:
            for first in range(0, len(episode.frames), 64):
                part = torch.from_numpy(np.array(episode.frames[first : first + 64]))
                rows = slice(frame, frame := frame + len(part))
                mu[rows], logvar[rows] = vae.encode(to_images(part))
            rows = slice(step, step := step + len(episode))
            actions[rows] = torch.from_numpy(episode.actions)
            rewards[rows] = torch.from_numpy(episode.rewards)
            dones[step - 1] = float(episode.terminated)
            lengths.append(len(episode))
            bar.update()
    return Sequences(mu, logvar, actions, rewards, dones, lengths)


def encoded(path: Path, task: Task, digest: str, encode: Callable[[], Sequences]) -> Sequences:
    """What `encode` gives, kept in a file, and read from there if that is of the same digest."""
    if path.exists():
        remedy = "delete it and run the same command as before: it is made again"
        data, about = Sequences.load(path, task, remedy)
        if about.get("digest") == digest:
            return data
    data = encode()
    save_tensors(path, data.as_tensors(), {"digest": digest})
    return data


def train_mdnrnn(
    data: Sequences | Blend,
    task: Task,
    config: MDNRNNConfig,
    seed: int,
    log: RunLog,
    checkpoint: Path | None = None,
    digest: str = "",
    stage: str = "mdnrnn",
    start: MDNRNN | None = None,
) -> MDNRNN:
    """Train M on random windows, with z sampled anew from V's posterior in every batch.

    From random weights, or on from `start`.
    """
    device = best_device()
    torch.manual_seed(seed_of(seed, stage, "weights"))
    mdnrnn = MDNRNN(task)
    if start is not None:
        mdnrnn.load_state_dict(start.state_dict())
    mdnrnn = mdnrnn.to(device)

    def loss_of_step(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        rng = np.random.default_rng(seed_of(seed, stage, "windows", step))
        frames, steps, mask = data.batch(rng, config.batch_size, config.sequence_length)
        z = sample_z(data.mu[frames], data.logvar[frames], generator_of(seed, stage, step))
        z, actions, mask = z.to(device), data.actions[steps].to(device), mask.to(device)
        restart = None
        if task.restart_input:
            restart = torch.zeros_like(mask)
            restart[:, 0] = 1
        prediction, _ = mdnrnn(z[:, :-1], actions, None, restart)
        return mdnrnn_loss(
            prediction, z[:, 1:], data.rewards[steps].to(device), data.dones[steps].to(device),
            mask, config,
        )  # fmt: skip

    plan = FitPlan(
        stage, config.steps, config.learning_rate, config.anneal, config.precision, digest,
        clip=config.clip,
    )  # fmt: skip
    fit(mdnrnn, loss_of_step, plan, log, checkpoint)
    return mdnrnn.cpu().float()
