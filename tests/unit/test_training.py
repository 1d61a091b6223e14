"""The fit loop, what V and M make of known data, and how much memory they take."""

import contextlib
import dataclasses
import json
import math
import os
import re
import signal

import numpy as np
import pytest
import torch

from benchmarks.training import STAGES, lay_out, peak
from wmlib import training
from wmlib.cli import run_options
from wmlib.config import MDNRNNConfig, VAEConfig
from wmlib.data.episodes import BothWays
from wmlib.data.sequences import Sequences
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.files import load_tensors
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog, read_events
from wmlib.training import (
    FitPlan,
    encode_store,
    encoded,
    fit,
    learning_rate_at,
    restore,
    train_mdnrnn,
    train_vae,
)
from wmlib.vae import to_images


def tiny_fit(checkpoint, stop_at=None, steps=20, digest="a", folder=None, signal_at=()):
    torch.manual_seed(3)
    model = torch.nn.Linear(4, 1)

    def loss_of_step(step):
        if step == stop_at:
            raise KeyboardInterrupt
        for _ in range(signal_at.count(step)):
            os.kill(os.getpid(), signal.SIGINT)
        g = torch.Generator().manual_seed(step)
        x = torch.randn(8, 4, generator=g)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        return loss, {"loss": loss}

    plan = FitPlan(steps, 0.05, True, "float32", clip=1.0)
    fit(model, loss_of_step, plan, Job("test", 1, RunLog(folder, quiet=True), checkpoint, digest))
    return model


def test_it_is_torchs_adam_with_a_cosine():
    model = tiny_fit(None)
    torch.manual_seed(3)
    oracle = torch.nn.Linear(4, 1)
    adam = torch.optim.Adam(oracle.parameters(), 0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 20)
    for step in range(20):
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        adam.zero_grad()
        (oracle(x) - x.sum(1, keepdim=True)).square().mean().backward()
        torch.nn.utils.clip_grad_value_(oracle.parameters(), 1.0)
        adam.step()
        schedule.step()
    torch.testing.assert_close(model.weight, oracle.weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("stop_at", [1, 7, 19])
def test_interrupted_and_resumed_is_the_same_to_the_bit(tmp_path, stop_at):
    whole = tiny_fit(None)
    path = tmp_path / "check.safetensors"
    with pytest.raises(KeyboardInterrupt):
        tiny_fit(path, stop_at)
    resumed = tiny_fit(path)
    assert torch.equal(resumed.weight, whole.weight) and torch.equal(resumed.bias, whole.bias)


def test_ctrl_c_waits_for_the_step_and_saves_it(tmp_path):
    path = tmp_path / "check.safetensors"
    with pytest.raises(KeyboardInterrupt):
        tiny_fit(path, steps=100, signal_at=[13])  # checkpoints are due after every ten steps
    assert load_tensors(path)[1]["step"] == 14
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    whole, resumed = tiny_fit(None, steps=100), tiny_fit(path, steps=100)
    assert torch.equal(resumed.weight, whole.weight)


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    path = tmp_path / "check.safetensors"
    with pytest.raises(KeyboardInterrupt):
        tiny_fit(path, steps=100, signal_at=[13, 13])
    assert load_tensors(path)[1]["step"] == 10


def test_ctrl_c_in_the_last_step_is_not_lost(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        tiny_fit(tmp_path / "check.safetensors", signal_at=[19])
    assert load_tensors(tmp_path / "check.safetensors")[1]["step"] == 20


def test_a_checkpoint_of_another_configuration_is_ignored(tmp_path):
    path = tmp_path / "check.safetensors"
    tiny_fit(path, digest="a")
    again = tiny_fit(path, digest="b")
    assert torch.equal(again.weight, tiny_fit(None).weight)
    assert load_tensors(path)[1].items() >= {"digest": "b", "step": 20}.items()


# Trainings that diverge

NOT_FINITE = [("loss", math.nan), ("loss", math.inf), ("gradient", math.inf), ("gradient", math.nan)]


class Poisoned(torch.autograd.Function):
    """The sum of the weights times 0, whose gradient is whatever one likes."""

    @staticmethod
    def forward(ctx, weight, gradient):
        ctx.gradient = gradient
        return 0 * weight.sum()

    @staticmethod
    def backward(ctx, above):
        return torch.full((1, 4), ctx.gradient), None


def diverging_fit(folder, what="", value=0.0, at=None):
    """Twenty steps; in step `at` the loss, or the gradient alone, is of this value."""
    torch.manual_seed(3)
    model = torch.nn.Linear(4, 1)

    def loss_of_step(step):
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        if step == at:
            loss = loss + (value if what == "loss" else Poisoned.apply(model.weight, value))
        return loss, {"loss": loss}

    plan = FitPlan(20, 0.05, True, "float32", clip=1.0, options="--mdnrnn", checkpoints=10)
    job = Job("mdnrnn", 1, RunLog(folder, quiet=True), folder / "check.safetensors", "a")
    try:
        fit(model, loss_of_step, plan, job)
    finally:
        kept = {name: value.clone() for name, value in model.state_dict().items()}
    return kept


@pytest.mark.parametrize(("what", "value"), NOT_FINITE)
def test_it_stops_at_the_first_that_is_not_finite_before_the_weights_move(tmp_path, what, value):
    path = tmp_path / "check.safetensors"
    levers = r"lower --mdnrnn\.learning-rate \(now 0\.05\) or --mdnrnn\.clip \(now 1\) and run again"
    left = None
    for _ in range(2):  # the same command comes to the same point
        with pytest.raises(
            ConfigError, match=rf"^mdnrnn: the {what} is not finite after 7 of 20 .*{levers}"
        ):
            diverging_fit(tmp_path, what, value, at=7)
        assert load_tensors(path)[1]["step"] == 6  # it refuses what is not finite
        assert left in (None, path.read_bytes())
        left = path.read_bytes()
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    rows = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert rows[-1]["diverged"] == what and rows[-1]["step"] == 7
    # What was kept is that of a training in which nothing happens, and leads to its end.
    whole = diverging_fit(tmp_path / "whole")
    resumed = diverging_fit(tmp_path)
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_its_weights_are_those_of_the_step_before(tmp_path, monkeypatch):
    seen = []
    step = torch.optim.Adam.step

    def counted(self, *given):
        seen.append(len(seen))
        return step(self, *given)

    monkeypatch.setattr(torch.optim.Adam, "step", counted)
    with pytest.raises(ConfigError, match="after 3 of 20 steps"):
        diverging_fit(tmp_path, "gradient", math.inf, at=3)
    assert seen == [0, 1, 2]


def test_what_is_not_finite_at_the_very_first_step_is_no_fault_of_its_own_learning_rate(tmp_path):
    with pytest.raises(ConfigError, match=r"after 0 of 20 .*learning rate of the training before it"):
        diverging_fit(tmp_path, "loss", math.nan, at=0)
    assert not (tmp_path / "check.safetensors").exists()


def test_the_options_that_it_names_are_those_of_the_stage(store, task, vae, monkeypatch):
    """V and M, each in their own stage and in another one, with a learning rate that is too high."""
    data, plans = encode_store(vae, store), []
    monkeypatch.setattr("wmlib.training.fit", lambda model, loss, plan, job: plans.append(plan))
    for stage in ("vae", "iterate"):
        train_vae(store, task, VAEConfig(learning_rate=0.5), Job(stage))
    for stage in ("mdnrnn", "iterate", "rounds"):
        train_mdnrnn(data, task, MDNRNNConfig(learning_rate=0.5, clip=2.0), Job(stage))
    named = [re.findall(r"(--\S+) \(now ([\d.]+)\)", plan.levers) for plan in plans]
    clips = [[(f"--{stage}.clip", "2")] for stage in ("mdnrnn", "iterate.mdnrnn", "rounds.mdnrnn")]
    assert [names[1:] for names in named] == [[], [], *clips]
    assert [names[0] for names in named] == [
        (f"--{stage}.learning-rate", "0.5")
        for stage in ("vae", "iterate.vae", "mdnrnn", "iterate.mdnrnn", "rounds.mdnrnn")
    ]
    for option, value in (pair for names in named for pair in names):
        config = run_options("run", ["--profile", "smoke", option, value]).config
        for name in option.removeprefix("--").split("."):
            config = getattr(config, name.replace("-", "_"))
        assert config == float(value)


def test_v_that_diverges_says_so_and_leaves_no_checkpoint_of_it(store, task, tmp_path):
    config = VAEConfig(steps=8, batch_size=4, learning_rate=1.0, anneal=False, precision="float32")
    job = Job("vae", 1, RunLog(quiet=True), tmp_path / "vae.safetensors", "a")
    with pytest.raises(
        ConfigError, match=r"^vae: the \w+ is not finite .* --vae\.learning-rate \(now 1\)"
    ):
        train_vae(store, task, config, job)
    load_tensors(job.path)


def test_a_loss_that_is_finite_and_absurd_is_told(tmp_path, capsys):
    def trained(folder, rate):
        torch.manual_seed(3)
        model = torch.nn.Linear(4, 1)

        def loss_of_step(step):
            x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
            loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
            return loss, {"loss": loss}

        before = loss_of_step(19)[0].item()
        job = Job("vae", 1, RunLog(folder))
        fit(model, loss_of_step, FitPlan(20, rate, False, "float32", options="--vae"), job)
        return before, loss_of_step(19)[0].item()

    before, after = trained(tmp_path / "good", 0.05)
    assert after < before and "warning" not in capsys.readouterr().err
    before, after = trained(tmp_path / "absurd", 50.0)
    assert after > before
    said = capsys.readouterr().err
    assert f"is {after:.4g}, and was {before:.4g} before the training; lower --vae.learning-rate" in said
    (row,) = [row for row in read_events(tmp_path / "absurd") if "trained" in row]
    assert (row["untrained"], row["trained"]) == pytest.approx((before, after))
    assert all("trained" not in row for row in read_events(tmp_path / "good"))


def test_events_hold_means_since_the_last_row(tmp_path):
    tiny_fit(None, steps=100, folder=tmp_path)
    rows = read_events(tmp_path, "test")
    assert [row["step"] for row in rows] == list(range(2, 101, 2))
    assert rows[-1]["loss"] < rows[0]["loss"]
    with open(tmp_path / "events.jsonl", "a") as file:
        file.write('{"stage": "te')  # a kill in the middle of a row
    assert len(read_events(tmp_path)) == 50
    RunLog(tmp_path, quiet=True).event("next", 1)
    assert [row["stage"] for row in read_events(tmp_path)] == ["test"] * 50 + ["next"]


def test_events_after_a_resume_are_means_of_the_steps_since(tmp_path):
    def losses(folder, **how):
        checkpoint = folder / "check.safetensors"
        with contextlib.suppress(KeyboardInterrupt):
            tiny_fit(checkpoint, steps=100, folder=folder, **how)
        return {row["step"]: row["loss"] for row in read_events(folder, "test")}

    whole = losses(tmp_path / "whole")
    losses(tmp_path / "parts", signal_at=[12])  # in the middle between two rows, which cover two steps
    resumed = losses(tmp_path / "parts")
    assert resumed.keys() == whole.keys()
    for step, loss in whole.items():
        if step == 14:  # of its two steps, the second alone
            assert resumed[step] < 1.5 * loss
        else:
            assert resumed[step] == loss


def test_learning_rate_falls_to_zero_or_stays():
    plan = FitPlan(10, 1.0, True, "float32")
    assert learning_rate_at(0, plan) == 1.0 and learning_rate_at(5, plan) == pytest.approx(0.5)
    assert learning_rate_at(10, plan) == pytest.approx(0.0)
    assert learning_rate_at(9, FitPlan(10, 1.0, False, "float32")) == 1.0


def test_v_learns_and_encoding_is_v(store, task):
    torch.manual_seed(0)
    config = VAEConfig(steps=8, batch_size=16)
    trained = train_vae(store, task, config, Job("vae"))
    again = train_vae(store, task, config, Job("vae"))
    for a, b in zip(trained.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    data = encode_store(trained, store)
    assert data.lengths == [20, 8, 30] and data.mu.shape == (61, 32)
    episode = store.episode(5)
    mu, _ = trained.encode(to_images(torch.from_numpy(np.array(episode.frames))))
    torch.testing.assert_close(data.mu[21:30], mu.detach(), rtol=1e-3, atol=1e-4)
    assert data.dones.nonzero().flatten().tolist() == [27]  # the last step of the second episode


def test_training_can_go_on_from_the_weights_before(store, task, vae, mdnrnn):
    still = MDNRNNConfig(
        steps=1, batch_size=4, sequence_length=5, learning_rate=1e-7, precision="float32"
    )
    trained = train_mdnrnn(encode_store(vae, store), task, still, Job("mdnrnn"), mdnrnn)
    for a, b in zip(trained.parameters(), mdnrnn.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def test_m_learns_a_predictable_world(task):
    """z moves by a tenth of the first action; the reward is the second action."""
    rng = torch.Generator().manual_seed(0)
    actions = torch.rand(600, 3, generator=rng)
    z = torch.cumsum(torch.cat([torch.zeros(1, 1), 0.1 * (actions[:, :1] - 0.5)]), 0).expand(-1, 32)
    data = Sequences(
        z.contiguous(),
        torch.full((601, 32), -8.0),
        actions,
        actions[:, 1].clone(),
        torch.zeros(600),
        [600],
    )
    config = MDNRNNConfig(
        steps=300, batch_size=16, sequence_length=40, learning_rate=5e-3, reward_weight=10.0
    )
    m = train_mdnrnn(data, task, config, Job("mdnrnn"))
    prediction, _ = m(z[None, :-1], actions[None])
    error = (prediction.reward[0, 50:] - actions[50:, 1]).square().mean()
    assert error < 0.05 * actions[50:, 1].var()


def test_rewards_may_weigh_as_much_as_they_vary(store, task, vae):
    data = encode_store(vae, store)
    config = MDNRNNConfig(steps=3, batch_size=4, sequence_length=5, precision="float32")
    said = 1 / float(data.rewards.double().numpy().var())

    def trained(weight):
        return train_mdnrnn(data, task, dataclasses.replace(config, reward_weight=weight), Job("mdnrnn"))

    a, b = (list(trained(weight).parameters()) for weight in (None, said))
    assert all(map(torch.equal, a, b))
    # Where all are the same there is nothing to weigh.
    data = dataclasses.replace(data, rewards=torch.ones_like(data.rewards))
    a, b = (list(trained(weight).parameters()) for weight in (None, 1.0))
    assert all(map(torch.equal, a, b))


def test_v_too_can_go_on_from_the_weights_before(store, task, vae):
    still = VAEConfig(steps=1, batch_size=4, learning_rate=1e-7, precision="float32")
    trained = train_vae(store, task, still, Job("vae"), vae)
    for a, b in zip(trained.parameters(), vae.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def test_m_says_how_much_ends_weighed_in_its_training(store, task, vae):
    config = MDNRNNConfig(steps=1, batch_size=2, sequence_length=4, done_positive_weight=7.0)
    m = train_mdnrnn(encode_store(vae, store), task, config, Job("mdnrnn"))
    assert m.done_positive_weight == 7.0


def test_a_store_both_ways_round_is_encoded_both_ways_round(store, vae):
    data = encode_store(vae, BothWays(store))
    assert data.lengths == [20, 20, 8, 8, 30, 30] and data.dones.sum() == 2
    frames = torch.from_numpy(np.array(store.frames(5)[:, :, ::-1]))
    with torch.inference_mode():
        mu, logvar = vae.encode(to_images(frames))
    rows = slice(21 + 21 + 9, 21 + 21 + 9 + 9)
    torch.testing.assert_close(data.mu[rows], mu, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(data.logvar[rows], logvar, rtol=1e-3, atol=1e-4)
    assert torch.equal(data.actions[48:56], -data.actions[40:48])


def test_encoded_episodes_are_made_once(store, task, vae, tmp_path):
    job = Job("mdnrnn", path=tmp_path / "encoded.safetensors", digest="a")

    def encode():
        return encode_store(vae, store)

    def asked_again():
        raise AssertionError("it was kept")

    first = encoded(encode, task, job)
    assert torch.equal(encoded(asked_again, task, job).mu, first.mu)
    with torch.no_grad():
        vae.to_mu.bias += 1.0
    other = Job("mdnrnn", path=job.path, digest="of another V")
    torch.testing.assert_close(encoded(encode, task, other).mu, first.mu + 1.0)


def test_a_checkpoint_of_another_model_is_named(tmp_path):
    job = Job("test", path=tmp_path / "check.safetensors", digest="a")
    model = torch.nn.Linear(4, 1)
    adam = torch.optim.Adam(model.parameters())
    assert restore(model, adam, job) == 0
    tiny_fit(job.path)
    assert restore(model, adam, job) == 20
    assert torch.equal(model.weight, tiny_fit(None).weight)
    other = torch.nn.Linear(5, 1)
    with pytest.raises(ArtifactError, match=r"check\.safetensors: .*weight is .*from its beginning"):
        restore(other, torch.optim.Adam(other.parameters()), job)


# How much memory 300 whole episodes take, 3.7 GB in all: what is on the disk stays there


@pytest.fixture(scope="module")
def episodes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("episodes")
    lay_out(folder, 300)
    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_takes_2_gb(episodes, stage):
    assert peak(stage, "mapped", episodes) < 2000


# On a GPU, as far as that can be tested without one


@pytest.mark.filterwarnings("ignore:.*is a no-op")
def test_adams_steps_come_back_to_where_the_weights_are(tmp_path):
    tiny_fit(tmp_path / "fit.safetensors")
    model = torch.nn.Linear(4, 1, device="meta")  # any other device than that of the checkpoint
    adam = torch.optim.Adam(model.parameters())
    job = Job("fit", path=tmp_path / "fit.safetensors", digest="a")
    assert restore(model, adam, job) == 20
    for state in adam.state.values():
        assert {value.device.type for value in state.values()} == {"meta"}
        assert state["step"].dtype == torch.float32  # fused Adam takes no other


def test_on_cuda_m_learns_in_float32(monkeypatch, task):
    plans = []
    monkeypatch.setattr(MDNRNN, "to", lambda self, *_, **__: self)
    monkeypatch.setattr(training, "fit", lambda model, loss, plan, job: plans.append(plan))
    data = Sequences(*torch.zeros(2, 9, 32), torch.zeros(8, 3), torch.zeros(8), torch.zeros(8), [8])
    for device in ("cuda", "cpu"):
        config = MDNRNNConfig(precision="bfloat16")
        train_mdnrnn(data, task, config, Job("mdnrnn"), device=torch.device(device))
    assert [plan.precision for plan in plans] == ["float32", "bfloat16"]
