"""What the stages of a run leave to each other."""

import numpy as np
import pytest
import torch

from wmlib.agent import load_agent
from wmlib.config import RunConfig
from wmlib.data.episodes import EpisodeStore
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.files import ArtifactError, load_tensors
from wmlib.runtime.log import RunLog
from wmlib.stages.folder import RunFolder
from wmlib.vae import VAE, to_images


@pytest.fixture
def files(tmp_path):
    return RunFolder(RunConfig(), tmp_path, RunLog(quiet=True))


def test_a_stage_gets_the_newest_m_before_it(files, task):
    first, second = MDNRNN(task), MDNRNN(task)
    files.save_mdnrnn("mdnrnn", first)
    files.save_mdnrnn("rounds", second)
    for stage, expected in (("dream", first), ("rounds", first), ("real", second)):
        assert torch.equal(files.load_mdnrnn(stage).head.weight, expected.head.weight), stage
    plain, _ = load_tensors(files.path / "mdnrnn.safetensors")
    assert torch.equal(plain["head.weight"], second.head.weight)


def test_a_stage_gets_the_newest_controller_before_it(files):
    for value, stage in enumerate(("dream", "rounds", "real")):
        files.save_controller(stage, torch.full((867,), float(value)), 10.0)
    assert [files.load_controller(s)[0] for s in ("rounds", "real", "evaluate")] == [0, 1, 2]


def test_done_means_done_under_the_same_configuration_and_still_there(files, tmp_path):
    files.save_controller("dream", torch.zeros(867))
    assert not files.is_done("dream")
    files.mark_done("dream")
    assert files.is_done("dream") and not files.is_done("real")
    other = RunFolder(RunConfig(seed=2), tmp_path, RunLog(quiet=True))
    assert not other.is_done("dream")
    assert other.holds("dream")  # under whatever configuration it was made
    for name in ("controller_dream", "controller"):
        files.save_controller("dream", torch.zeros(867))
        assert files.is_done("dream")
        (tmp_path / f"{name}.safetensors").unlink()
        assert not files.is_done("dream") and not files.holds("dream"), name


@pytest.mark.parametrize(
    "name",
    [
        "vae.safetensors", "dream_starts.safetensors", "stages/vae.safetensors",
        "checkpoints/vae.safetensors", "config.json",
    ],
)  # fmt: skip
def test_what_cannot_be_written_in_the_end_is_refused_before_the_work(files, name, monkeypatch):
    monkeypatch.setattr(RunFolder, "is_done", lambda *_: True)  # all the stages before it
    files.begin("vae")
    assert [path.name for path in files.path.iterdir()] == ["config.json"]
    (files.path / "config.json").unlink()
    (files.path / name).mkdir(parents=True)
    with pytest.raises(ArtifactError, match=rf"{name} is a folder, not a file; "):
        files.begin("vae")
    assert not (files.path / "config.json").is_file()


def test_what_stands_on_a_stage_made_again_is_not_done(files):
    for stage in ("dream", "real"):
        files.save_controller(stage, torch.zeros(867))
        files.mark_done(stage)
    assert files.is_done("dream") and files.is_done("real")
    files.mark_done("dream")
    assert files.is_done("dream") and not files.is_done("real")


def test_episodes_that_are_gone_are_not_done(files, tmp_path, make_episode):
    store = EpisodeStore(tmp_path / "episodes")
    for seed in (0, 1):
        store.add(make_episode(seed, 5), {"digest": ""})
    files.mark_done("collect")
    assert files.is_done("collect")
    store.path(1).unlink()
    assert not files.is_done("collect")


def test_a_stage_waits_for_those_before_it(files, tmp_path):
    for stage in ("vae", "mdnrnn", "evaluate"):
        with pytest.raises(ArtifactError, match=r"needs collect.*first run: python -m wmlib collect"):
            files.begin(stage)
    assert not (tmp_path / "config.json").exists()  # what can't begin leaves no trace
    files.begin("collect")
    assert (tmp_path / "config.json").exists()


def test_a_damaged_list_of_stages_is_named(files, tmp_path):
    (tmp_path / "done.json").write_text("[]")
    with pytest.raises(ArtifactError, match=r"done.json is not ours; delete it"):
        files.is_done("vae")


def test_missing_weights_are_named(files):
    with pytest.raises(ArtifactError, match=r"stages/vae.safetensors is missing.*made again"):
        files.load_vae("mdnrnn")


def test_c_is_played_with_the_m_that_it_learned_with(files, tmp_path, task, store):
    first, second, vae = MDNRNN(task), MDNRNN(task), VAE(32)
    files.save_vae("vae", vae, files.starts(vae))
    files.save_mdnrnn("mdnrnn", first)
    files.save_controller("dream", torch.zeros(867))
    files.save_mdnrnn("rounds", second)
    files.save_controller("rounds", torch.ones(867))
    for stage, expected in (("dream", first), ("rounds", second)):
        agent = load_agent(tmp_path, f"controller_{stage}.safetensors")
        assert torch.equal(agent.mdnrnn.head.weight, expected.head.weight), stage
    # V was trained again, otherwise, and what follows it not yet.
    other = RunFolder(RunConfig(seed=2), tmp_path, RunLog(quiet=True))
    other.save_vae("vae", vae, files.starts(vae))
    with pytest.raises(ArtifactError, match=r"of different runs; finish the run"):
        load_agent(tmp_path)


def test_with_a_v_go_the_first_frames_as_it_sees_them(files, store, task):
    vae = VAE(task.z_size)
    files.save_vae("vae", vae, files.starts(vae))
    files.save_mdnrnn("mdnrnn", MDNRNN(task))
    starts = files.agent("dream").starts
    first = np.stack([store.frames(seed)[0] for seed in (3, 5, 9)])
    mu, logvar = vae.encode(to_images(torch.from_numpy(first)))
    torch.testing.assert_close(starts.mu, mu, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(starts.logvar, logvar, rtol=1e-4, atol=1e-5)
