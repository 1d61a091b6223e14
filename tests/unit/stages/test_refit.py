"""C with new eyes: the same driver, in other numbers."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch

from wmlib.agent import load_agent
from wmlib.config import REFIT_SEEDS, ControllerConfig
from wmlib.controller import Controller
from wmlib.data.episodes import EpisodeStore
from wmlib.stages.pipeline import Pipeline
from wmlib.stages.refit import carried_over
from wmlib.task import find_profile
from wmlib.training import encode_store
from wmlib.worlds.moments import features_of


@pytest.mark.parametrize("bias", [True, False])
def test_where_the_new_numbers_hold_the_old_ones_c_says_the_same(task, bias):
    controller = Controller(task, ControllerConfig(bias=bias))
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(4000, 288, generator=generator)
    turn = torch.linalg.qr(torch.randn(288, 288, generator=generator))[0]
    sees = seen @ turn + (0.7 if bias else 0.0)  # other units, other places: nothing is lost
    params = torch.randn(controller.size, generator=generator) / 17
    carried, share = carried_over(controller, params, seen, sees)
    assert share > 0.99
    fresh = torch.randn(500, 288, generator=generator)
    old = controller.act(params[None], fresh[None])
    new = controller.act(carried[None], (fresh @ turn + (0.7 if bias else 0.0))[None])
    assert float((old - new).abs().mean()) < 0.02


def test_what_the_new_numbers_do_not_hold_is_told(task):
    controller = Controller(task, ControllerConfig())
    seen, sees = torch.randn(2, 3000, 288)
    _, share = carried_over(controller, torch.randn(controller.size), seen, sees)
    assert share < 0.3


def test_a_c_that_sees_h_alone_is_carried_over_from_h_alone(task):
    controller = Controller(task, ControllerConfig(inputs="h"))
    params, seen = torch.randn(controller.size), torch.randn(4000, 288)
    sees = torch.cat([torch.randn(4000, 32), seen[:, 32:]], 1)
    carried, share = carried_over(controller, params, seen, sees)
    assert share > 0.99
    torch.testing.assert_close(carried, params, rtol=0.05, atol=0.05)


def test_a_hidden_layer_is_refused(task):
    controller = Controller(task, ControllerConfig(hidden=4))
    with pytest.raises(ValueError, match="hidden layer"):
        carried_over(controller, torch.zeros(controller.size), *torch.zeros(2, 10, 288))


def test_a_run_goes_on_with_the_new_eyes_and_keeps_the_old(tmp_path, smoke_run):
    run = Path(shutil.copytree(smoke_run, tmp_path / "run"))
    config = find_profile("smoke")
    stages = ("collect", "vae", "mdnrnn", "dream", "rounds", "refit", "real", "evaluate")
    Pipeline(dataclasses.replace(config, stages=stages), run, quiet=True).run(["refit"])
    old = load_agent(run, "controller_rounds.safetensors")
    new = load_agent(run, "controller_refit.safetensors")
    assert not torch.equal(old.vae.to_mu.weight, new.vae.to_mu.weight)
    assert not torch.equal(old.mdnrnn.head.weight, new.mdnrnn.head.weight)
    games = EpisodeStore(run / "refit/episodes")
    assert games.seeds == [REFIT_SEEDS, REFIT_SEEDS + 1]
    seen, sees = (
        torch.cat(features_of(agent.mdnrnn, encode_store(agent.vae, games))) for agent in (old, new)
    )
    params, _ = carried_over(old.controller, old.params, seen, sees)
    torch.testing.assert_close(params, new.params, rtol=1e-3, atol=1e-4)
