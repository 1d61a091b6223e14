"""How much memory a training takes: what is on the disk stays there."""

import os
import subprocess
import sys

import pytest

from wmlib.episodes import EpisodeStore

TRAIN = """
import resource, sys
from pathlib import Path
from wmlib.config import VAEConfig, find_task
from wmlib.episodes import EpisodeStore
from wmlib.runlog import RunLog
from wmlib.training import train_vae

store = EpisodeStore(Path(sys.argv[1]))
assert len(store) == 300 and store.steps == 300_000
train_vae(store, find_task("carracing"), VAEConfig(steps=40), 1, RunLog(quiet=True))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count resident memory otherwise")
def test_training_v_on_300_whole_episodes_stays_under_2_gb(tmp_path, make_episode):
    # 300 files of 12 MB each. They share one place on the disk; memory maps of them do not share theirs.
    store = EpisodeStore(tmp_path)
    store.add(make_episode(0, 1000), {"digest": ""})
    for seed in range(1, 300):
        name = f"episode_{seed:07d}.safetensors"
        os.link(store.path(0), tmp_path / name)
        store.rows[seed] = store.rows[0] | {"file": name}
    store.save_manifest()
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) * 1024 < 2e9
