"""An agent: the worlds that it opens, and what is refused when it is read from a folder."""

import json
import shutil
from dataclasses import asdict

import numpy as np
import pytest
import torch

from wmlib.agent import Agent, load_agent
from wmlib.config import Machine
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.files import REFERENCE, load_tensors, save_json, save_tensors, sha256, signature
from wmlib.worlds.dream import DreamWorld
from wmlib.worlds.play import play
from wmlib.worlds.real import RealWorld


@pytest.fixture
def agent(task, vae, mdnrnn, controller, starts):
    with torch.no_grad():
        mdnrnn.head.bias[-1] = -20.0  # an untrained M sees the end of the game anywhere
    return Agent(task, vae, mdnrnn, controller, torch.randn(controller.size) * 0.1, starts)


@pytest.fixture
def folder(agent, tmp_path):
    """A folder as a run leaves it."""
    about = {"task": "carracing", "controller": asdict(agent.controller.config)}
    starts = {"mu": agent.starts.mu, "logvar": agent.starts.logvar}
    weights = {
        "vae": agent.vae.state_dict(),
        "mdnrnn": agent.mdnrnn.state_dict(),
        "dream_starts": starts,
    }
    for name, tensors in weights.items():
        save_tensors(tmp_path / f"{name}.safetensors", tensors, about)
    about["made_from"] = {name: signature(tmp_path / f"{name}.safetensors") for name in weights}
    save_tensors(tmp_path / "controller.safetensors", {"params": agent.params}, about)
    return tmp_path


def rewrite(path, tensors=None, **about):
    """Change what a file holds, and sign it anew; C's file then names it as what it was made from."""
    held, said = load_tensors(path)
    save_tensors(path, held if tensors is None else tensors, said | about)
    if path.stem != "controller":
        made_from = load_tensors(path.with_stem("controller"))[1]["made_from"]
        made_from |= {path.stem: signature(path)}
        rewrite(path.with_stem("controller"), made_from=made_from)


# The worlds that it opens


def test_in_its_dream_it_plays_what_the_dream_world_plays(agent):
    seeds, params = [3, 4], agent.params[None]
    options = {"horizon": 9, "tau": 1.3, "end": "sampled"}
    agent.mdnrnn.done_positive_weight = 3.0
    with torch.no_grad():
        agent.mdnrnn.head.bias[-1] = -1.0
    expected = play(
        DreamWorld(agent.mdnrnn, agent.starts, 2, **options), agent.controller, params, seeds
    )
    dream = agent.dream(2, **options)
    np.testing.assert_array_equal(play(dream, agent.controller, params, seeds), expected)
    assert dream.pictures().shape == (2, 64, 64, 3)  # V paints it
    assert agent.dream(2).horizon == 1000
    other = agent.dream(2, **options | {"tau": 0.5})
    assert (play(other, agent.controller, params, seeds) != expected).any()


def test_a_dream_in_bfloat16_is_nearly_the_dream_in_float32(agent):
    first = []
    for precision in ("float32", "bfloat16"):
        dream = agent.dream(1, tau=0.05, precision=precision)
        dream.reset(seed=[3])
        first.append(dream.step(torch.full((1, 3), 0.5))[0].clone())
    assert not torch.equal(*first)
    torch.testing.assert_close(first[0][:, 32:], first[1][:, 32:], rtol=0.1, atol=0.05)


def test_in_the_real_game_it_plays_what_the_real_world_plays(agent):
    with RealWorld(agent.vae, agent.mdnrnn, 2, 1, horizon=5) as world:
        expected = play(world, agent.controller, agent.params[None], [3, 4])
    with agent.real(2, Machine(workers=1), horizon=5) as world:
        assert world.lanes == 2 and world.horizon == 5
        np.testing.assert_array_equal(
            play(world, agent.controller, agent.params[None], [3, 4]), expected
        )


def test_no_more_games_are_open_than_there_are_to_play(agent):
    for games, lanes, expected in ((3, 1, 1), (1, 8, 1)):
        with agent.real(games, Machine(workers=1, lanes=lanes)) as world:
            assert world.lanes == expected and world.horizon == 1000


def test_games_that_are_stepped_together_are_all_open_at_once(agent):
    pytest.importorskip("envpool")
    with agent.real(5, Machine(workers=1, lanes=2), kind="envpool") as world:
        assert world.lanes == 5


def test_watching_shows_the_game_that_play_scores_cut_by_the_worlds_horizon(agent):
    dream = agent.dream(1, horizon=7)
    steps = agent.watch(dream, 5)
    assert len(steps) == 7 and steps[0].frame.shape == (64, 64, 3)
    (expected,) = play(dream, agent.controller, agent.params[None], [5])[0]
    assert sum(step.reward for step in steps) == pytest.approx(expected)
    longer = agent.watch(agent.dream(1, horizon=9), 5)
    for short, long in zip(steps, longer, strict=False):
        np.testing.assert_allclose(short.action, long.action)


def test_as_an_explorer_without_noise_it_does_what_c_does(agent):
    explorer, every = agent.explorer(2, 0.0), np.ones(2, bool)
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    explorer.restart(every, [1, 2], frames)
    features = explorer.perception.features()
    expected = agent.controller.act(agent.params.expand(2, -1), features[:, None])[:, 0]
    np.testing.assert_allclose(explorer.act(every, frames), expected, atol=1e-6)
    noisy = agent.explorer(2, 1.0)
    noisy.restart(every, [1, 2], frames)
    assert (noisy.act(every, frames) != expected.numpy()).all()


# Read from a folder


def test_what_a_run_left_is_read_whole(folder, agent):
    read = load_agent(folder)
    assert read.task is agent.task and read.controller == agent.controller
    assert read.about["sha256"] == signature(folder / "controller.safetensors")
    assert torch.equal(read.params, agent.params)
    assert torch.equal(read.starts.mu, agent.starts.mu) and read.starts.h is None
    for ours, theirs in ((read.vae, agent.vae), (read.mdnrnn, agent.mdnrnn)):
        assert not ours.training
        for found, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(found, expected)


def test_c_is_read_with_the_weights_that_it_names(folder, agent):
    """What a run kept of a stage under `stages/`, or, as in what is shipped, under the plain name."""
    rewrite(folder / "controller.safetensors", weights={"mdnrnn": "old.safetensors"})
    (folder / "stages").mkdir()
    kept, plain = folder / "stages" / "old.safetensors", folder / "mdnrnn.safetensors"
    shutil.copy(plain, kept)
    plain.unlink()
    assert load_agent(folder).mdnrnn.head.bias.any()
    shutil.move(kept, plain)
    assert load_agent(folder).mdnrnn.head.bias.any()


@pytest.mark.parametrize("name", ["vae", "mdnrnn", "dream_starts"])
def test_weights_of_another_making_are_refused(folder, agent, name):
    """Sound in itself and of the same shape: only the content tells."""
    path = folder / f"{name}.safetensors"
    tensors, about = load_tensors(path)
    first = sorted(tensors)[0]
    save_tensors(path, tensors | {first: tensors[first] + 1}, about)
    message = rf"controller.safetensors was not made from .*{name}.safetensors, .*; delete it and finish"
    with pytest.raises(ArtifactError, match=message):
        load_agent(folder)


def test_a_c_that_does_not_say_what_it_was_made_from_is_refused(folder):
    rewrite(folder / "controller.safetensors", made_from=None)
    with pytest.raises(ArtifactError, match="was not made from"):
        load_agent(folder)


@pytest.mark.parametrize(
    ("of_m", "of_c", "expected"),
    [
        ({"done_positive_weight": 7.0}, {"end_weight": 3.0}, 7.0),
        ({}, {"end_weight": 3.0}, 3.0),
        ({}, {}, 10.0),
    ],
)
def test_how_much_ends_weighed_ms_own_file_says_before_all(folder, of_m, of_c, expected):
    rewrite(folder / "mdnrnn.safetensors", **of_m)
    rewrite(folder / "controller.safetensors", **of_c)
    assert load_agent(folder).mdnrnn.done_positive_weight == expected


@pytest.mark.parametrize("name", ["controller", "vae", "mdnrnn", "dream_starts"])
def test_what_is_missing_is_named(folder, name):
    (folder / f"{name}.safetensors").unlink()
    with pytest.raises(
        ArtifactError, match=rf"{name}\.safetensors is missing; finish the run: .*--run-dir"
    ):
        load_agent(folder)


@pytest.mark.parametrize(
    ("name", "about", "message"),
    [
        ("controller", {"task": "chess"}, "is not a controller .*no task 'chess'"),
        ("controller", {"task": None}, "is not a controller"),
        ("controller", {"controller": {"wings": 2}}, "is not a controller .*wings"),
        ("controller", {"controller": {"hidden": -1}}, "is not a controller .*hidden is -1"),
        ("controller", {"weights": [1]}, "is not a controller"),
        ("controller", {"controller": {"bias": False}}, r"params is \(867,\) .* expected \(864\)"),
        ("mdnrnn", {"done_positive_weight": "much"}, "is damaged or not ours"),
    ],
)
def test_a_file_that_says_something_else_is_refused(folder, name, about, message):
    rewrite(folder / f"{name}.safetensors", **about)
    with pytest.raises(ArtifactError, match=rf"{message}.*; (delete it and )?finish the run"):
        load_agent(folder)


@pytest.mark.parametrize(("means", "variances"), [(3, 2), (0, 0)])
def test_dreams_begin_at_moments_with_mean_and_variance(folder, means, variances):
    starts = {"mu": torch.zeros(means, 32), "logvar": torch.zeros(variances, 32)}
    rewrite(folder / "dream_starts.safetensors", starts)
    message = f"{means} means and {variances} variances; delete it and finish the run"
    with pytest.raises(ArtifactError, match=message):
        load_agent(folder)


@pytest.fixture
def shipped(folder):
    """The same with a manifest."""
    digests = {path.name: sha256(path) for path in folder.glob("*.safetensors")}
    save_json(folder / "manifest.json", {"sha256": digests})
    load_agent(folder)
    return folder


def test_what_is_not_what_was_shipped_is_refused(shipped):
    rewrite(shipped / "controller.safetensors", note="another")  # whole in itself
    with pytest.raises(ArtifactError, match=r"controller\.safetensors is not what was shipped"):
        load_agent(shipped)
    (shipped / "controller.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"controller\.safetensors is missing"):
        load_agent(shipped)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ([], "manifest.json is damaged or not ours"),
        ({"sha256": []}, "manifest.json is damaged or not ours"),
        (
            {"sha256": {"../vae.safetensors": "x"}},
            "'../vae.safetensors' is not the name of a file in this",
        ),
    ],
)
def test_a_manifest_that_is_none_is_refused(folder, manifest, message):
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=message):
        load_agent(folder)


def test_for_what_is_shipped_the_remedy_is_another(tmp_path, monkeypatch):
    with pytest.raises(ArtifactError, match="no agent of chess comes with this package; train one"):
        load_agent(REFERENCE / "chess")
    monkeypatch.setattr("wmlib.agent.REFERENCE", tmp_path)
    shutil.copytree(REFERENCE / "carracing", tmp_path / "carracing")
    assert load_agent(tmp_path / "carracing").task.name == "carracing"
    (tmp_path / "carracing" / "mdnrnn.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"is missing; bring back .*: git .*checkout"):
        load_agent(tmp_path / "carracing")
    with pytest.raises(ArtifactError, match=r"takecover.*is missing; bring back .*: git"):
        load_agent(tmp_path / "takecover")
