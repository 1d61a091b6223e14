"""What the stages of a run leave to each other."""

import numpy as np
import pytest
import torch

from wmlib.agent import load_agent
from wmlib.config import RunConfig
from wmlib.data.episodes import EpisodeStore
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.files import load_tensors, save_tensors
from wmlib.runtime.log import RunLog
from wmlib.stages.folder import RunFolder
from wmlib.vae import VAE, to_images


def files_of(folder, seed=1):
    return RunFolder(RunConfig(seed=seed), folder, RunLog(quiet=True))


@pytest.fixture
def files(tmp_path):
    return files_of(tmp_path)


@pytest.fixture
def begun(files, store, task):
    """A run with episodes, V and M."""
    files.mark_done("collect")
    vae = VAE(task.z_size)
    files.save_vae("vae", vae, files.starts(vae))
    files.mark_done("vae")
    files.save_mdnrnn("mdnrnn", MDNRNN(task))
    files.mark_done("mdnrnn")
    return files


def test_a_stage_gets_the_newest_m_before_it(begun, task):
    first, second = begun.load_mdnrnn("dream"), MDNRNN(task)
    begun.save_controller("dream", torch.zeros(867))
    begun.save_mdnrnn("rounds", second)
    for stage, expected in (("dream", first), ("rounds", first), ("real", second)):
        assert torch.equal(begun.load_mdnrnn(stage).head.weight, expected.head.weight), stage
    plain, _ = load_tensors(begun.path / "mdnrnn.safetensors")
    assert torch.equal(plain["head.weight"], second.head.weight)


def test_a_stage_gets_the_newest_controller_before_it(begun, task):
    for value, stage in enumerate(("dream", "rounds", "real")):
        if stage == "rounds":
            begun.save_mdnrnn("rounds", MDNRNN(task))
        begun.save_controller(stage, torch.full((867,), float(value)), 10.0)
    assert [begun.load_controller(s)[0] for s in ("rounds", "real", "evaluate")] == [0, 1, 2]


def test_done_means_done_under_the_same_configuration_and_still_there(begun, tmp_path):
    begun.save_controller("dream", torch.zeros(867))
    assert not begun.is_done("dream")
    begun.mark_done("dream")
    assert begun.is_done("dream") and not begun.is_done("real")
    other = files_of(tmp_path, seed=2)
    assert not other.is_done("dream")
    assert other.holds("dream")  # under whatever configuration it was made
    for name in ("controller_dream", "controller"):
        begun.save_controller("dream", torch.zeros(867))
        assert begun.is_done("dream")
        (tmp_path / f"{name}.safetensors").unlink()
        assert not begun.is_done("dream") and not begun.holds("dream"), name


@pytest.mark.parametrize(
    "name",
    [
        "vae.safetensors", "dream_starts.safetensors", "stages/vae.safetensors",
        "checkpoints/vae.safetensors", "config.json",
    ],
)  # fmt: skip
def test_what_cannot_be_written_in_the_end_is_refused_before_the_work(files, name):
    files.begin("vae")
    assert [path.name for path in files.path.iterdir()] == ["config.json"]
    (files.path / "config.json").unlink()
    (files.path / name).mkdir(parents=True)
    with pytest.raises(ArtifactError, match=rf"{name} is a folder, not a file; "):
        files.begin("vae")
    assert not (files.path / "config.json").is_file()


def test_a_file_of_another_run_is_not_taken_for_what_a_stage_made(begun, tmp_path, task):
    """It is whole, signed, of the right shapes, and has the right name."""
    path = tmp_path / "stages" / "mdnrnn.safetensors"
    ours, about = load_tensors(path)
    save_tensors(path, MDNRNN(task).state_dict(), about)
    message = r"stages/mdnrnn.safetensors is not what the stage mdnrnn made; delete it and run the same"
    for refused in (lambda: begun.is_done("mdnrnn"), lambda: begun.check_before("dream")):
        with pytest.raises(ArtifactError, match=message):
            refused()
    path.unlink()  # as it says
    assert not begun.is_done("mdnrnn")
    path.mkdir()
    with pytest.raises(ArtifactError, match=r"mdnrnn.safetensors is a folder, not a file; delete it"):
        begun.check_before("dream")
    path.rmdir()
    save_tensors(path, ours, about)
    assert begun.is_done("mdnrnn")


def test_each_file_names_what_it_was_made_from(begun, store, tmp_path, task):
    begun.save_controller("dream", torch.zeros(867))
    begun.save_mdnrnn("rounds", MDNRNN(task))
    begun.save_controller("rounds", torch.ones(867))

    def about(name):
        return load_tensors(tmp_path / f"{name}.safetensors")[1]

    vae, starts, m1, m2, c1 = (
        about(name)["sha256"]
        for name in ("stages/vae", "stages/vae_dream_starts", "stages/mdnrnn", "stages/rounds",
                     "controller_dream")
    )  # fmt: skip
    episodes = EpisodeStore(tmp_path / "episodes").sha256
    before = {"episodes": episodes, "vae": vae, "dream_starts": starts}
    for name, made_from in {
        "stages/vae": {"episodes": episodes},
        "stages/vae_dream_starts": {"episodes": episodes, "vae": vae},
        "stages/mdnrnn": before,
        "controller_dream": before | {"mdnrnn": m1},
        "stages/rounds": before | {"mdnrnn": m1, "controller": c1},
        "controller_rounds": before | {"mdnrnn": m2, "controller": c1},
    }.items():
        assert about(name)["made_from"] == made_from, name
    for stage, made_from in (("vae", {"episodes": episodes}), ("dream", before | {"mdnrnn": m1})):
        assert begun.stands_on(stage) == made_from


def test_work_is_gone_on_with_only_where_it_stands_on_the_same(begun, task, make_episode):
    """A checkpoint, V's view of the episodes: of another V, M or episodes they are of no use."""
    job, seen = begun.job("dream"), begun.digest("mdnrnn")
    assert begun.job("dream").digest == job.digest
    begun.save_mdnrnn("mdnrnn", MDNRNN(task))
    assert begun.job("dream").digest != job.digest
    assert begun.digest("mdnrnn") == seen
    EpisodeStore(begun.episodes).add(make_episode(11, 4), {"digest": ""})
    assert begun.digest("mdnrnn") != seen


def test_an_m_of_another_v_is_refused(begun, task):
    vae = VAE(task.z_size)
    begun.save_vae("vae", vae, begun.starts(vae))
    with pytest.raises(ArtifactError, match=r"mdnrnn.safetensors was not made from .*vae.safetensors"):
        begun.load_mdnrnn("dream")


def test_what_stands_on_a_stage_made_again_is_not_done(begun):
    begun.save_controller("dream", torch.zeros(867))
    begun.mark_done("dream")
    begun.save_mdnrnn("rounds", begun.load_mdnrnn("dream"))
    begun.save_controller("rounds", torch.zeros(867))
    begun.mark_done("rounds")
    assert begun.is_done("dream") and begun.is_done("rounds")
    begun.mark_done("dream")
    assert begun.is_done("dream") and not begun.is_done("rounds")


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
            files.check_before(stage)
    files.check_before("collect")
    assert not list(tmp_path.iterdir())
    files.begin("collect")
    assert (tmp_path / "config.json").exists()


def test_a_damaged_list_of_stages_is_named(files, store, tmp_path):
    files.mark_done("collect")
    path = tmp_path / "done.json"
    others = ("[]", '{"vae": "a digest, as of old"}', path.read_text().replace("episodes", "episode"))
    for content in others:
        path.write_text(content)
        with pytest.raises(ArtifactError, match=r"done.json is damaged or not ours; delete it"):
            files.is_done("vae")


def test_missing_weights_are_named(files):
    with pytest.raises(ArtifactError, match=r"stages/vae.safetensors is missing.*made again"):
        files.load_vae("mdnrnn")


def test_c_is_played_with_the_m_that_it_learned_with(begun, tmp_path, task):
    first, second = begun.load_mdnrnn("dream"), MDNRNN(task)
    begun.save_controller("dream", torch.zeros(867))
    begun.save_mdnrnn("rounds", second)
    begun.save_controller("rounds", torch.ones(867))
    for stage, expected in (("dream", first), ("rounds", second)):
        agent = load_agent(tmp_path, f"controller_{stage}.safetensors")
        assert torch.equal(agent.mdnrnn.head.weight, expected.head.weight), stage
    # Another M lies under the plain name. It is not taken for the one that is gone.
    (tmp_path / "stages" / "mdnrnn.safetensors").unlink()
    message = r"controller_dream.safetensors was not made from .*/mdnrnn.safetensors, .*; delete it"
    with pytest.raises(ArtifactError, match=message):
        load_agent(tmp_path, "controller_dream.safetensors")


def test_with_a_v_go_the_first_frames_as_it_sees_them(begun, store):
    vae, starts = begun.load_vae("dream"), begun.agent("dream").starts
    first = np.stack([store.frames(seed)[0] for seed in (3, 5, 9)])
    mu, logvar = vae.encode(to_images(torch.from_numpy(first)))
    torch.testing.assert_close(starts.mu, mu, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(starts.logvar, logvar, rtol=1e-4, atol=1e-5)
