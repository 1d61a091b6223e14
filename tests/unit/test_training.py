"""The fit loop, and the windows that M learns from."""

import contextlib
import os
import signal

import numpy as np
import pytest
import torch

from wmlib.artifacts import load_tensors
from wmlib.config import MDNRNNConfig, VAEConfig
from wmlib.runlog import RunLog, read_events
from wmlib.sequences import Sequences
from wmlib.training import (
    FitPlan,
    encode_store,
    fit,
    learning_rate_at,
    seed_of,
    train_mdnrnn,
    train_vae,
)  # fmt: skip

QUIET = RunLog(quiet=True)


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

    plan = FitPlan("test", steps, 0.05, True, "float32", digest, clip=1.0)
    fit(model, loss_of_step, plan, RunLog(folder, quiet=True), checkpoint)
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
    assert load_tensors(path)[1] == {"digest": "b", "step": 20}


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
    plan = FitPlan("x", 10, 1.0, True, "float32")
    assert learning_rate_at(0, plan) == 1.0 and learning_rate_at(5, plan) == pytest.approx(0.5)
    assert learning_rate_at(10, plan) == pytest.approx(0.0)
    assert learning_rate_at(9, FitPlan("x", 10, 1.0, False, "float32")) == 1.0


def test_seeds_follow_their_key():
    assert seed_of(1, "vae", 2) == seed_of(1, "vae", 2) != seed_of(1, "vae", 3)
    assert 0 <= seed_of("x") < 2**56


def sequences(lengths):
    frames, steps = sum(lengths) + len(lengths), sum(lengths)
    # mu holds (episode, time); actions and rewards hold the same, so that alignment can be read off.
    mu = torch.tensor([(e, t) for e, n in enumerate(lengths) for t in range(n + 1)]).float()
    actions = torch.tensor([(e, t) for e, n in enumerate(lengths) for t in range(n)]).float()
    dones = torch.zeros(steps)
    dones[lengths[0] - 1] = 1
    return Sequences(mu, torch.zeros(frames, 2), actions, actions[:, 1] * 10, dones, list(lengths))


def test_windows_are_aligned_and_never_cross_episodes():
    data = sequences([30, 7, 50])
    frames, steps, mask = data.batch(np.random.default_rng(0), 400, 10)
    assert frames.shape == (400, 11) and steps.shape == mask.shape == (400, 10)
    z, action = data.mu[frames], data.actions[steps]
    inside = mask.bool()
    assert torch.equal(z[:, :-1][inside], action[inside])  # frame t beside action t
    assert torch.equal(z[:, 1:, 1][inside], action[inside][:, 1] + 1)  # target: the next frame
    assert torch.equal(z[:, 1:, 0][inside], action[inside][:, 0])  # of the same episode
    assert torch.equal(data.rewards[steps][inside], action[inside][:, 1] * 10)
    assert mask[:, 0].all() and not mask.all()


def test_the_last_step_is_met_about_as_often_as_others_however_short_the_game():
    lengths = [30, 7, 10, 11, 50]
    data = sequences(lengths)
    _, steps, mask = data.batch(np.random.default_rng(1), 50_000, 10)
    counts = torch.bincount(steps[mask.bool()], minlength=sum(lengths)).float()
    inner = counts[10:20].mean()  # of the first game
    ends = counts[torch.tensor(lengths).cumsum(0) - 1]
    assert (ends > 0.4 * inner).all() and (ends < 0.6 * inner).all()


def test_v_learns_and_encoding_is_v(store, task):
    torch.manual_seed(0)
    config = VAEConfig(steps=8, batch_size=16)
    trained = train_vae(store, task, config, seed=1, log=QUIET)
    again = train_vae(store, task, config, seed=1, log=QUIET)
    for a, b in zip(trained.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    data = encode_store(trained, store)
    assert data.lengths == [20, 8, 30] and data.mu.shape == (61, 32)
    episode = store.episode(5)
    from wmlib.vae import to_images

    mu, _ = trained.encode(to_images(torch.from_numpy(np.array(episode.frames))))
    torch.testing.assert_close(data.mu[21:30], mu.detach(), rtol=1e-3, atol=1e-4)
    assert data.dones.nonzero().flatten().tolist() == [27]  # the last step of the second episode


def test_training_can_go_on_from_the_weights_before(store, task, vae, mdnrnn):
    still = MDNRNNConfig(
        steps=1, batch_size=4, sequence_length=5, learning_rate=1e-7, precision="float32"
    )
    trained = train_mdnrnn(encode_store(vae, store), task, still, 1, QUIET, start=mdnrnn)
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
    m = train_mdnrnn(data, task, config, seed=1, log=QUIET)
    prediction, _ = m(z[None, :-1], actions[None])
    error = (prediction.reward[0, 50:] - actions[50:, 1]).square().mean()
    assert error < 0.05 * actions[50:, 1].var()
