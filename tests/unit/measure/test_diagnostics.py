"""Diagnostics on data whose answer is known."""

import numpy as np
import pytest
import torch

from wmlib.data.sequences import Sequences
from wmlib.mdnrnn import MDNRNN
from wmlib.measure.diagnostics import examine_mdnrnn, examine_vae, linear_probe, open_loop_drift
from wmlib.task import find_task


def data_of(z, actions, lengths, dones=None):
    frames = len(z)
    zeros = torch.zeros(len(actions))
    return Sequences(
        z, torch.full((frames, 32), -20.0), actions, zeros, zeros if dones is None else dones, lengths
    )


def test_a_silent_latent_is_not_active(vae):
    with torch.no_grad():
        for layer, bias in ((vae.to_mu, 0.0), (vae.to_logvar, 0.0)):
            layer.weight.zero_(), layer.bias.fill_(bias)
        vae.to_mu.bias[3] = 2.0  # KL 2 nats
        vae.to_mu.bias[8] = 1.0  # KL 0.5 nats
    frames = np.random.default_rng(0).integers(0, 256, (70, 64, 64, 3), np.uint8)
    report = examine_vae(vae, frames)
    assert report.active.tolist() == [3, 8]
    assert report.kl[3] == pytest.approx(2.0) and report.kl[8] == pytest.approx(0.5)
    images = frames.astype(np.float64) / 255
    expected = np.square(images - images.mean(0)).sum((1, 2, 3)).mean()
    assert report.mean_picture_error == pytest.approx(expected, rel=1e-3)


def test_baselines_of_m_on_known_series(mdnrnn):
    g = torch.Generator().manual_seed(0)
    still = torch.randn(1, 32, generator=g) + 0.01 * torch.randn(401, 32, generator=g)
    dones = torch.zeros(400)
    dones[-1] = 1
    report = examine_mdnrnn(mdnrnn, data_of(still, torch.rand(400, 3, generator=g), [400], dones))
    # A Gaussian of deviation s costs log(s sqrt(2 pi e)) nats; the differences have sqrt(2) * 0.01.
    assert report.nll_constant == pytest.approx(np.log(0.01 * np.sqrt(2 * np.pi * np.e)), abs=0.05)
    assert report.nll_copy_last == pytest.approx(report.nll_constant + np.log(2) / 2, abs=0.05)
    assert report.nll > report.nll_constant  # M was never trained
    assert report.ends == 1 and report.recall in (0.0, 1.0)


def test_recall_and_false_alarms_are_counted(mdnrnn):
    with torch.no_grad():
        mdnrnn.head.weight[-1].zero_()
        mdnrnn.head.bias[-1] = 3.0  # always cries wolf
    dones = torch.zeros(50)
    dones[-1] = 1
    report = examine_mdnrnn(mdnrnn, data_of(torch.randn(51, 32), torch.rand(50, 3), [50], dones))
    assert (report.recall, report.false_alarms) == (1.0, 1.0)


def test_drift_of_copying_is_exact(mdnrnn):
    z = torch.arange(201.0)[:, None].expand(-1, 32).contiguous()
    data = data_of(z, torch.rand(200, 3), [200])
    dream, copied = open_loop_drift(mdnrnn, data, horizon=10, warm_up=50)
    sd = np.arange(201).std(ddof=1)
    np.testing.assert_allclose(copied, np.arange(1, 11) / sd, rtol=1e-4)
    assert dream.shape == (10,) and np.isfinite(dream).all()
    z[:, 5], data.logvar[:, 5] = 0.0, 0.0  # this one falls silent, and counts no more
    np.testing.assert_allclose(open_loop_drift(mdnrnn, data, 10, 50)[1], copied, rtol=1e-4)
    with pytest.raises(ValueError, match="longer than 500"):
        open_loop_drift(mdnrnn, data, horizon=450)


def test_the_probe_reads_what_is_linear_and_nothing_else():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, 6)) * [1, 5, 0.1, 1, 1, 1] + 3
    assert linear_probe(x, x @ [1, 2, 30, 0, 0, 0]) > 0.99
    assert abs(linear_probe(x, rng.normal(size=5000))) < 0.05


def test_drift_of_pictures_is_that_of_what_v_paints(vae, mdnrnn):
    z = torch.randn(120, 32, generator=torch.Generator().manual_seed(1))
    data = data_of(z, torch.rand(119, 3), [119])
    _, copied = open_loop_drift(mdnrnn, data, horizon=4, warm_up=20, painter=vae)
    with torch.inference_mode():
        pictures = vae.decode(z)
    expected = (pictures[20] - pictures[21:25]).square().flatten(1).mean(1).sqrt()
    np.testing.assert_allclose(copied, expected, rtol=1e-4)


def test_an_m_without_reward_can_be_examined_too():
    task = find_task("takecover")
    mdnrnn = MDNRNN(task).eval()
    z, actions = torch.randn(9, 64), torch.rand(8, 1)
    data = Sequences(z, torch.zeros_like(z), actions, torch.ones(8), torch.zeros(8), [8])
    report = examine_mdnrnn(mdnrnn, data)
    assert np.isnan(report.reward_r2) and np.isfinite(report.nll)
    drift, _ = open_loop_drift(mdnrnn, data, horizon=3, warm_up=2)
    assert np.isfinite(drift).all()
