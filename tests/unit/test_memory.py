"""How much memory 300 whole episodes take, 3.7 GB in all: what is on the disk stays there."""

import pytest

from benchmarks.training import STAGES, lay_out, peak


@pytest.fixture(scope="module")
def episodes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("episodes")
    lay_out(folder, 300)
    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_takes_2_gb(episodes, stage):
    assert peak(stage, "mapped", episodes) < 2000
