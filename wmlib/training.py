"""One fit loop for V and M: optimiser, schedule, progress, events, checkpoint, resume."""

import hashlib
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from wmlib.artifacts import ArtifactError, expect, load_tensors, save_tensors, shapes_of
from wmlib.config import MDNRNNConfig, Task, VAEConfig
from wmlib.episodes import EpisodeStore
from wmlib.heap import keep_freed_memory
from wmlib.mdnrnn import MDNRNN, mdnrnn_loss
from wmlib.runlog import RunLog
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


def train_vae(
    store: EpisodeStore,
    task: Task,
    config: VAEConfig,
    seed: int,
    log: RunLog,
    checkpoint: Path | None = None,
    digest: str = "",
) -> VAE:
    """Train V on frames drawn evenly from all episodes."""
    device = best_device()
    torch.manual_seed(seed_of(seed, "vae", "weights"))
    vae = VAE(task.z_size).to(device, memory_format=torch.channels_last)

    def loss_of_step(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        rng = np.random.default_rng(seed_of(seed, "vae", "frames", step))
        frames = torch.from_numpy(store.sample_frames(rng, config.batch_size))
        noise = torch.randn(len(frames), task.z_size, generator=generator_of(seed, "vae", step))
        x = to_images(frames.to(device))
        reconstruction, mu, logvar = vae(x, noise.to(device))
        loss, error, kl = vae_loss(
            x, reconstruction.float(), mu.float(), logvar.float(), config.free_bits
        )
        return loss, {"loss": loss, "squared_error": error, "kl": kl}

    plan = FitPlan("vae", config.steps, config.learning_rate, config.anneal, config.precision, digest)
    fit(vae, loss_of_step, plan, log, checkpoint)
    return vae.cpu().float()


@dataclass(frozen=True)
class Sequences:
    """Encoded episodes, one after the other. Episode e has steps lengths[e], and one frame more.

    mu, logvar: (frames, Z). actions (steps, A), rewards (steps,), dones (steps,) float.
    """

    mu: Tensor
    logvar: Tensor
    actions: Tensor
    rewards: Tensor
    dones: Tensor
    lengths: list[int]

    def as_tensors(self) -> dict[str, Tensor]:
        """For a file."""
        return vars(self) | {"lengths": torch.tensor(self.lengths)}

    @classmethod
    def load(cls, path: Path, task: Task, remedy: str) -> tuple["Sequences", dict]:
        """Read what `as_tensors` gave to a file, and the file's description.

        Raises:
            ArtifactError: the file is missing, damaged, or does not hold sequences of the task.
        """
        tensors, about = load_tensors(path, remedy)
        z = (None, task.z_size)
        shapes = {"mu": z, "logvar": z, "actions": (None, task.action_size)}
        shapes |= {name: (None,) for name in ("rewards", "dones", "lengths")}
        expect(path, tensors, shapes, remedy, whole=["lengths"])
        lengths = tensors["lengths"].tolist()
        steps, frames = sum(lengths), sum(lengths) + len(lengths)
        wanted = [frames, frames, steps, steps, steps]
        if min(lengths, default=0) < 1 or wanted != [len(tensors[name]) for name in list(shapes)[:5]]:
            raise ArtifactError(f"{path}: its lengths do not fit together; {remedy}")
        return cls(**tensors | {"lengths": lengths}), about

    def batch(self, rng: np.random.Generator, count: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Where `count` random windows lie: frame numbers (count, length + 1), steps and mask.

        A window as long as its episode begins where that begins, as memory does in games and in dreams.
        A shorter one may begin anywhere up to half a length before the episode's end; what hangs over
        the end is masked. So the last steps, with the rare ends of games, are met as often as others.
        """
        lengths = np.array(self.lengths)
        last_start = np.where(lengths <= length, 1, lengths - length // 2)
        episode = rng.choice(len(lengths), size=count, p=last_start / last_start.sum())
        start = (rng.random(count) * last_start[episode]).astype(int)
        first_step = np.concatenate([[0], np.cumsum(lengths)])[episode]
        offset = start[:, None] + np.arange(length + 1)  # (count, length + 1)
        inside = offset < lengths[episode][:, None]
        offset = np.minimum(offset, lengths[episode][:, None])
        frames = first_step[:, None] + episode[:, None] + offset
        steps = first_step[:, None] + np.minimum(offset, lengths[episode][:, None] - 1)
        mask = torch.from_numpy(inside[:, :-1]).float()
        return torch.from_numpy(frames), torch.from_numpy(steps[:, :-1]), mask


@torch.inference_mode()
def encode_store(vae: VAE, store: EpisodeStore, log: RunLog | None = None) -> Sequences:
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


def train_mdnrnn(
    data: Sequences,
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
