"""M laid out for speed, against torch's own LSTM and `sample_mixture`."""

import pytest
import torch

from wmlib.mdnrnn import MDNRNN, sample_mixture
from wmlib.task import find_task
from wmlib.worlds.imagination import Imagination, Stepper


def test_the_stepper_is_torchs_lstm(mdnrnn, task):
    z, actions = torch.randn(4, 9, 32), torch.rand(4, 9, 3)
    h = c = torch.zeros(4, 256)
    step = Stepper(mdnrnn)
    for t in range(9):
        h, c = step(torch.cat([z[:, t], actions[:, t]], 1), h, c)
    expected, (_, c_n) = mdnrnn.lstm(torch.cat([z, actions], -1))
    torch.testing.assert_close(h, expected[:, -1], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(c, c_n[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "task", [find_task("carracing"), find_task("takecover")], ids=lambda task: task.name
)
@pytest.mark.parametrize("tau", [0.5, 1.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_imagination_is_m_and_a_draw_from_its_mixture(task, tau, dtype):
    mdnrnn = MDNRNN(task)
    with torch.no_grad():
        mdnrnn.head.weight *= 10  # components that differ
    lanes = 200
    seen = torch.randn(lanes, mdnrnn.lstm.input_size)
    h, c = torch.rand(lanes, task.hidden_size) - 0.5, torch.randn(lanes, task.hidden_size)
    uniform, normal = torch.rand(lanes, task.z_size), torch.randn(lanes, task.z_size)
    imagine = Imagination(mdnrnn, lanes, dtype)
    imagine(torch.randn_like(seen), c, h, normal, uniform)  # buffers that hold another step
    z, h_next, c_next, heads = imagine(seen, h, c, uniform, normal, tau)

    out, (_, c_expected) = mdnrnn.lstm(seen[:, None], (h[None], c[None]))
    prediction = mdnrnn.predict(out[:, 0])
    expected = sample_mixture(prediction, uniform, normal, tau)
    heads_expected = [value for value in (prediction.reward, prediction.done_logit) if value is not None]
    same = 1e-4 if dtype == torch.float32 else 0.05
    torch.testing.assert_close(h_next, out[:, 0], rtol=same, atol=same)
    torch.testing.assert_close(c_next, c_expected[0], rtol=same, atol=same)
    torch.testing.assert_close(heads, torch.stack(heads_expected, 1), rtol=2 * same, atol=2 * same)
    # A draw at the border of two components may fall on either side.
    close = torch.isclose(z, expected, rtol=4 * same, atol=4 * same)
    assert close.float().mean() > (0.9999 if dtype == torch.float32 else 0.97)


def test_fewer_lanes_than_it_was_made_for_give_the_same(mdnrnn):
    imagine = Imagination(mdnrnn, 8)
    seen, h, c = torch.randn(8, 35), torch.randn(8, 256), torch.randn(8, 256)
    uniform, normal = torch.rand(8, 32), torch.randn(8, 32)
    whole = [x.clone() for x in imagine(seen, h, c, uniform, normal)]
    rows = torch.tensor([1, 4, 6])
    some = imagine(seen[rows], h[rows], c[rows], uniform[rows], normal[rows])
    for part, all_lanes in zip(some, whole, strict=True):
        torch.testing.assert_close(part, all_lanes[rows], rtol=1e-4, atol=1e-5)


def test_they_keep_the_weights_that_m_had_when_they_were_made(mdnrnn):
    seen, h, c = torch.randn(2, 35), torch.randn(2, 256), torch.randn(2, 256)
    noise = torch.rand(2, 32), torch.randn(2, 32)
    step, imagine = Stepper(mdnrnn), Imagination(mdnrnn, 2)
    stepped, imagined = step(seen, h, c)[0], imagine(seen, h, c, *noise)[0].clone()
    with torch.no_grad():
        for parameter in mdnrnn.parameters():
            parameter += 1.0
    assert torch.equal(step(seen, h, c)[0], stepped)
    assert torch.equal(imagine(seen, h, c, *noise)[0], imagined)


def test_it_computes_where_its_weights_are(mdnrnn, task):
    imagination = Imagination(mdnrnn.to("meta"), lanes=4)  # which knows shapes and devices alone
    seen, h = torch.zeros(3, 35, device="meta"), torch.zeros(3, 256, device="meta")
    noise = torch.zeros(2, 3, 32, device="meta")
    for tau in (1.0, torch.ones(3, device="meta")):
        z, h, c, heads = imagination(seen, h, h, *noise, tau)
        assert {x.device.type for x in (z, h, c, heads)} == {"meta"}
        assert z.shape == (3, 32) and heads.shape == (3, 2)
