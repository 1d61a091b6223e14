"""One fit loop for V and M: optimiser, schedule, progress, events, checkpoint, resume."""

import copy
import dataclasses
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from wmlib.config import MDNRNNConfig, VAEConfig
from wmlib.data.episodes import BothWays, EpisodeStore
from wmlib.data.sequences import Blend, Sequences
from wmlib.mdnrnn import MDNRNN, mdnrnn_loss
from wmlib.runtime.device import best_device, keep_freed_memory, uses_bfloat16
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.files import expect, shapes_of
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog
from wmlib.runtime.signals import Stop
from wmlib.task import Task
from wmlib.vae import VAE, sample_z, to_images, vae_loss

LossOfStep = Callable[[int], tuple[Tensor, dict[str, Tensor]]]


@dataclass(frozen=True)
class FitPlan:
    """What the fit loop needs to know of a training."""

    steps: int
    learning_rate: float
    anneal: bool
    precision: str
    clip: float = 0.0  # largest absolute value of a gradient's element; 0: no clipping
    options: str = ""  # how the names of its options begin on the command line: --vae
    rows: int = 50  # events that are written
    checkpoints: int = 10  # checkpoints that are written

    @property
    def levers(self) -> str:
        """The options that make its steps smaller, with their values."""
        clip = f" or {self.options}.clip (now {self.clip:g})" if self.clip else ""
        return f"{self.options}.learning-rate (now {self.learning_rate:g}){clip}"


def fit(model: torch.nn.Module, loss_of_step: LossOfStep, plan: FitPlan, job: Job) -> None:
    """Train `model` in place with Adam.

    Everything that happens in a step follows from its number, so a training that was interrupted and
    goes on from its checkpoint ends with the same weights as one that was not.

    Args:
        loss_of_step: step number to (loss, its parts by name).
        job: keeps weights and Adam's state.

    Raises:
        ConfigError: the loss or its gradient is not finite. The weights are those before that step, and
            so is the checkpoint.
    """
    keep_freed_memory()
    untrained = copy.deepcopy(model.state_dict())
    optimiser = torch.optim.Adam(model.parameters(), plan.learning_rate, fused=True)
    first = restore(model, optimiser, job)
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
    with Stop() as stop, job.log.bar(plan.steps, job.name, "batches", first) as bar:
        for step in range(first, plan.steps):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate_at(step, plan)
            with autocast:
                loss, parts = loss_of_step(step)
            optimiser.zero_grad()
            loss.backward()
            _check_finite(step, model, loss, plan, job)  # before the clip, which would hide an infinity
            if plan.clip:
                torch.nn.utils.clip_grad_value_(model.parameters(), plan.clip)
            optimiser.step()
            done = step + 1
            recent.append({name: value.item() for name, value in parts.items()})
            bar.update()
            if done % event_every == 0 or done == plan.steps:
                means = {name: round(fmean(row[name] for row in recent), 5) for name in parts}
                job.log.event(job.name, done, **means)
                bar.set_postfix(means, refresh=False)
                recent = []
            if done % save_every == 0 or done == plan.steps or stop.wanted:
                _save(model, optimiser, job, done)
            if stop.wanted:
                break
    _check_learned(model, untrained, loss_of_step, autocast, plan, job)
    model.eval()


def _check_finite(done: int, model: torch.nn.Module, loss: Tensor, plan: FitPlan, job: Job) -> None:
    """Stop a training that has diverged, while its weights are still good."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    size = torch.nn.utils.get_total_norm(gradients)  # quick; and Adam keeps squares, like those in it
    for name, value in (("loss", loss), ("gradient", size)):
        if not math.isfinite(value.item()):
            raise _diverged(name, done, plan, job)


def _diverged(name: str, done: int, plan: FitPlan, job: Job) -> ConfigError:
    """What to raise where the loss, or the gradient, is not finite after so many steps."""
    job.log.event(job.name, done, diverged=name)
    remedy = f"lower {plan.levers} and run again: this training then starts from its beginning"
    if done == 0:  # nothing has moved yet: its own steps can't be at fault
        remedy = (
            "what it learns from is at fault, or the weights it goes on from: lower the learning rate "
            "of the training before it and run again"
        )
    return ConfigError(
        f"{job.name}: the {name} is not finite after {done} of {plan.steps} steps; {remedy}"
    )


@torch.no_grad()
def _check_learned(
    model: torch.nn.Module,
    untrained: dict[str, Tensor],
    loss_of_step: LossOfStep,
    autocast: AbstractContextManager,
    plan: FitPlan,
    job: Job,
) -> None:
    """A loss may be finite and absurd: say so if the last batch's is no lower than it was at first."""
    learned, losses = copy.deepcopy(model.state_dict()), []
    for weights in (untrained, learned):
        model.load_state_dict(weights)
        with autocast:
            losses.append(loss_of_step(plan.steps - 1)[0].item())
    before, after = losses
    if not math.isfinite(after):
        raise _diverged("loss", plan.steps, plan, job)
    if not after >= before:
        return
    job.log.event(job.name, plan.steps, untrained=before, trained=after)
    job.log.say(
        f"{job.name}: warning: nothing was learned: the loss of the last batch is {after:.4g}, and was "
        f"{before:.4g} before the training; lower {plan.levers} and run again"
    )


def learning_rate_at(step: int, plan: FitPlan) -> float:
    if not plan.anneal:
        return plan.learning_rate
    return plan.learning_rate * 0.5 * (1 + math.cos(math.pi * step / plan.steps))


def _save(model: torch.nn.Module, optimiser: torch.optim.Adam, job: Job, step: int) -> None:
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        state = optimiser.state[parameter]
        tensors[f"exp_avg.{name}"] = state["exp_avg"]
        tensors[f"exp_avg_sq.{name}"] = state["exp_avg_sq"]
    job.save(tensors, step=step)


def restore(model: torch.nn.Module, optimiser: torch.optim.Adam, job: Job) -> int:
    """Bring model and optimiser to where the job was left. Returns the steps done: 0 for none."""
    remedy = "delete it: this stage then starts from its beginning"
    kept = job.load(remedy)
    if kept is None:
        return 0
    tensors, about = kept
    kinds, shapes = ("model", "exp_avg", "exp_avg_sq"), shapes_of(model)
    wanted = {f"{kind}.{name}": shape for kind in kinds for name, shape in shapes.items()}
    expect(job.path, tensors, wanted, remedy)
    prefix = "model."
    model.load_state_dict(
        {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    )
    for name, parameter in model.named_parameters():
        optimiser.state[parameter] = {
            "step": torch.tensor(float(about["step"]), device=parameter.device),  # as fused Adam wants
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
    job: Job,
    start: VAE | None = None,
    device: torch.device | None = None,
) -> VAE:
    """Train V on random frames, from random weights or on from `start`.

    Args:
        device: where; by default on the best there is. V comes back to the CPU.
    """
    device = device or best_device()
    torch.manual_seed(job.seed_of("weights"))
    vae = VAE(task.z_size)
    if start is not None:
        vae.load_state_dict(start.state_dict())
    vae = vae.to(device, memory_format=torch.channels_last)

    def loss_of_step(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        batch = torch.from_numpy(frames.sample_frames(job.rng("frames", step), config.batch_size))
        noise = torch.randn(len(batch), task.z_size, generator=job.generator(step))
        x = to_images(batch.to(device))
        reconstruction, mu, logvar = vae(x, noise.to(device))
        loss, error, kl = vae_loss(
            x, reconstruction.float(), mu.float(), logvar.float(), config.free_bits
        )
        return loss, {"loss": loss, "squared_error": error, "kl": kl}

    fit(vae, loss_of_step, _plan(config, "vae", job), job)
    return vae.cpu().float().to(memory_format=torch.channels_last).eval()


def train_mdnrnn(
    data: Sequences | Blend,
    task: Task,
    config: MDNRNNConfig,
    job: Job,
    start: MDNRNN | None = None,
    device: torch.device | None = None,
) -> MDNRNN:
    """Train M on random windows, with z sampled anew from V's posterior in every batch.

    From random weights, or on from `start`.

    Args:
        device: where; by default on the best there is. M comes back to the CPU.
    """
    device = device or best_device()
    torch.manual_seed(job.seed_of("weights"))
    mdnrnn = MDNRNN(task)
    if start is not None:
        mdnrnn.load_state_dict(start.state_dict())
    mdnrnn.done_positive_weight = config.done_positive_weight
    plan = _plan(config, "mdnrnn", job)
    if device.type == "cuda":
        # Whatever it is asked for, autocast gives cuDNN's LSTM float16, whose gradients would vanish.
        plan = dataclasses.replace(plan, precision="float32")
    if config.reward_weight is None:  # rewards that are all the same can be foretold at any weight
        varied = float(data.rewards.double().var(correction=0))
        config = dataclasses.replace(config, reward_weight=min(1e6, 1 / varied) if varied else 1.0)
    mdnrnn = mdnrnn.to(device)

    def loss_of_step(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        rng = job.rng("windows", step)
        frames, steps, mask = data.batch(rng, config.batch_size, config.sequence_length)
        z = sample_z(data.mu[frames], data.logvar[frames], job.generator(step)).to(device)
        fresh = torch.zeros(mask.shape, dtype=torch.bool, device=device)
        fresh[:, 0] = True
        prediction, _ = mdnrnn(z[:, :-1], data.actions[steps].to(device), None, fresh)
        return mdnrnn_loss(
            prediction,
            z[:, 1:],
            data.rewards[steps].to(device),
            data.dones[steps].to(device),
            mask.to(device),
            config,
        )

    fit(mdnrnn, loss_of_step, plan, job)
    return mdnrnn.cpu().float().eval()


def _plan(config: VAEConfig | MDNRNNConfig, kind: str, job: Job) -> FitPlan:
    """kind: vae or mdnrnn; in another stage than that, its options begin with the stage's name."""
    clip = config.clip if isinstance(config, MDNRNNConfig) else 0.0
    options = f"--{kind}" if job.name == kind else f"--{job.name}.{kind}"
    return FitPlan(config.steps, config.learning_rate, config.anneal, config.precision, clip, options)


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


def encoded(encode: Callable[[], Sequences], task: Task, job: Job) -> Sequences:
    """What `encode` gives, as the job kept it, or made now and kept."""
    remedy = "delete it and run the same command as before: it is made again"
    data = Sequences.load(job, task, remedy)
    if data is None:
        data = encode()
        data.save(job)
    return data
