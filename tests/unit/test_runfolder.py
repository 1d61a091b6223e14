"""What the stages of a run leave to each other."""

import pytest
import torch

from wmlib.artifacts import ArtifactError, load_tensors
from wmlib.config import ConfigError, RunConfig
from wmlib.mdnrnn import MDNRNN
from wmlib.runfolder import RunFolder
from wmlib.runlog import RunLog
from wmlib.vae import VAE


@pytest.fixture
def files(tmp_path):
    return RunFolder(RunConfig(), tmp_path, RunLog(quiet=True))


def test_a_stage_gets_the_newest_v_before_it(files, task):
    first, second = VAE(task.z_size), VAE(task.z_size)
    files.save_weights("vae", first.state_dict())
    files.save_weights("vae2", second.state_dict())
    for stage, expected in (("dream", first), ("collect2", first), ("vae2", first), ("real", second)):
        assert torch.equal(files.load_vae(stage).to_mu.weight, expected.to_mu.weight), stage
    plain, _ = load_tensors(files.path / "vae.safetensors")
    assert torch.equal(plain["to_mu.weight"], second.to_mu.weight)


def test_a_stage_gets_the_newest_driver_before_it(files):
    files.save_driver("dream", torch.full((867,), 1.0), 10.0)
    files.save_driver("real", torch.full((867,), 2.0), 20.0)
    assert files.load_driver("collect2")[0] == files.load_driver("real")[0] == 1.0
    assert files.load_driver("evaluate")[0] == 2.0


def test_episodes_recorded_later_are_not_seen_earlier(files, make_episode):
    from wmlib.episodes import EpisodeStore

    for stage, seed in (("collect", 1), ("collect2", 2)):
        EpisodeStore(files.episodes(stage)).add(make_episode(seed, 5), {"digest": ""})
    assert files.store("vae").seeds == [1]
    assert files.store("vae2").seeds == [1, 2]


def test_done_means_done_under_the_same_configuration(files, tmp_path):
    files.mark_done("vae")
    assert files.is_done("vae") and not files.is_done("mdnrnn")
    other = RunFolder(RunConfig(seed=2), tmp_path, RunLog(quiet=True))
    assert not other.is_done("vae")


def test_what_is_missing_is_named_with_the_command_that_makes_it(files, task):
    with pytest.raises(ArtifactError, match=r"stages/vae.safetensors.*\n?.*python -m wmlib vae"):
        files.load_vae("mdnrnn")
    files.save_weights("mdnrnn", MDNRNN(task).state_dict())
    with pytest.raises(ArtifactError, match=r"mdnrnn2.safetensors.*\n?.*python -m wmlib run"):
        files.load_mdnrnn("real")
    with pytest.raises(ConfigError, match="vae needs a stage before it that is one of: vae"):
        files.load_vae("vae")
    with pytest.raises(ArtifactError, match="holds no episodes"):
        files.store("vae")
