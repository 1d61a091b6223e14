"""What the stages of a run leave to each other."""

import pytest
import torch

from wmlib.artifacts import ArtifactError, load_tensors
from wmlib.config import ConfigError, RunConfig
from wmlib.mdnrnn import MDNRNN
from wmlib.runfolder import RunFolder
from wmlib.runlog import RunLog


@pytest.fixture
def files(tmp_path):
    return RunFolder(RunConfig(), tmp_path, RunLog(quiet=True))


def test_a_stage_gets_the_newest_m_before_it(files, task):
    first, second = MDNRNN(task), MDNRNN(task)
    files.save_weights("mdnrnn", first.state_dict())
    files.save_weights("rounds", second.state_dict())
    for stage, expected in (("dream", first), ("rounds", first), ("real", second)):
        assert torch.equal(files.load_mdnrnn(stage).head.weight, expected.head.weight), stage
    plain, _ = load_tensors(files.path / "mdnrnn.safetensors")
    assert torch.equal(plain["head.weight"], second.head.weight)


def test_a_stage_gets_the_newest_driver_before_it(files):
    for value, stage in enumerate(("dream", "rounds", "real")):
        files.save_driver(stage, torch.full((867,), float(value)), 10.0)
    assert [files.load_driver(s)[0] for s in ("rounds", "real", "evaluate")] == [0, 1, 2]


def test_done_means_done_under_the_same_configuration(files, tmp_path):
    files.mark_done("vae")
    assert files.is_done("vae") and not files.is_done("mdnrnn")
    other = RunFolder(RunConfig(seed=2), tmp_path, RunLog(quiet=True))
    assert not other.is_done("vae")


def test_what_is_missing_is_named_with_the_command_that_makes_it(files, tmp_path):
    with pytest.raises(ArtifactError, match=r"stages/vae.safetensors.*\n?.*python -m wmlib vae"):
        files.load_vae()
    with pytest.raises(ArtifactError, match=r"mdnrnn.safetensors.*\n?.*python -m wmlib mdnrnn"):
        files.load_mdnrnn("dream")
    with pytest.raises(ArtifactError, match=r"controller_dream.*\n?.*python -m wmlib evolve"):
        files.load_driver("rounds")
    with pytest.raises(ArtifactError, match="holds no episodes"):
        files.store()
    blind = RunFolder(RunConfig(stages=("collect", "vae", "real")), tmp_path, RunLog(quiet=True))
    with pytest.raises(ConfigError, match="real needs a stage before it that is one of: mdnrnn, rounds"):
        blind.load_mdnrnn("real")
