"""The store gives back what it was given, and notices what was damaged."""

import os

import numpy as np
import pytest

from wmlib.data.episodes import BothWays, EpisodeStore, learnable
from wmlib.runtime.disk import ArtifactError
from wmlib.task import find_task


def test_what_goes_in_comes_out(store, make_episode):
    again = EpisodeStore(store.folder)
    assert again.seeds == [3, 5, 9] and again.steps == 58
    for seed, steps in ((3, 20), (5, 8), (9, 30)):
        expected, found = make_episode(seed, steps, seed == 5), again.episode(seed)
        np.testing.assert_array_equal(found.frames, expected.frames)
        np.testing.assert_array_equal(found.actions, expected.actions)
        np.testing.assert_array_equal(found.rewards, expected.rewards)
        assert found.terminated == expected.terminated
    again.verify()


def test_a_seed_may_be_numpys(store, make_episode):
    store.add(make_episode(np.int64(12), 5), {"digest": ""})
    again = EpisodeStore(store.folder)
    assert again.seeds == [3, 5, 9, 12] and again.path(12).name == "episode_0000012.safetensors"
    again.verify()


def test_frames_are_mapped_not_read(store):
    assert isinstance(store.frames(9), np.memmap)


def test_sampled_frames_come_evenly_from_all_frames(store):
    every = np.concatenate([store.frames(seed) for seed in store.seeds])
    index_of = {frame.tobytes(): i for i, frame in enumerate(every)}
    rng = np.random.default_rng(0)
    picks = [index_of[f.tobytes()] for _ in range(40) for f in store.sample_frames(rng, 61)]
    counts = np.bincount(picks, minlength=len(every))
    assert len(every) == 61 and counts.min() > 15 and counts.max() < 75  # 40 expected, deviation 6.3


def test_both_ways_shows_each_episode_and_then_its_mirror_image(store):
    both = BothWays(store)
    assert len(both) == 6 and both.steps == 2 * store.steps
    episodes = list(both)
    for episode, mirrored in zip(episodes[::2], episodes[1::2], strict=True):
        assert mirrored.seed == episode.seed and mirrored.terminated == episode.terminated
        np.testing.assert_array_equal(mirrored.rewards, episode.rewards)
        np.testing.assert_array_equal(mirrored.actions, -episode.actions)
        for x in (0, 20, 63):
            np.testing.assert_array_equal(mirrored.frames[:, :, x], episode.frames[:, :, 63 - x])


def test_half_of_the_frames_drawn_both_ways_are_mirrored(store):
    every = np.concatenate([store.frames(seed) for seed in store.seeds])
    as_recorded = {frame.tobytes() for frame in every}
    mirrored = {frame[:, ::-1].tobytes() for frame in every}
    drawn = [f.tobytes() for f in BothWays(store).sample_frames(np.random.default_rng(0), 400)]
    assert all((frame in as_recorded) != (frame in mirrored) for frame in drawn)
    assert sum(frame in mirrored for frame in drawn) == pytest.approx(200, abs=40)  # 4 deviations


def test_only_a_symmetric_game_is_learned_both_ways(store):
    assert learnable(store, find_task("carracing")) is store
    assert learnable(store, find_task("takecover")) == BothWays(store)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damage_is_found_and_the_file_named(store, damage):
    path = store.path(9)
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-1000] ^= 1
        path.write_bytes(content)
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        path.unlink()
    with pytest.raises(ArtifactError, match=r"episode_0000009.*\n?.*collect"):
        EpisodeStore(store.folder).verify()


def test_a_cut_file_is_an_error_when_read_too(store):
    path = store.path(9)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ArtifactError, match="episode_0000009"):
        np.array(store.frames(9))


def test_a_manifest_cannot_point_outside_the_folder(store):
    for name in ("../../secret.safetensors", "/etc/passwd", "a\0b"):
        store.rows[3]["file"] = name
        store.save_manifest()
        with pytest.raises(ArtifactError, match="not the name of a file in this folder"):
            EpisodeStore(store.folder)


@pytest.mark.parametrize("text", ["", "[]", '{"format": 99, "episodes": []}', '{"format": 1}', "{"])
def test_a_broken_manifest_is_one_clear_error(store, text):
    store.manifest_path.write_text(text)
    with pytest.raises(ArtifactError, match=r"manifest\.json is damaged.*collect again"):
        EpisodeStore(store.folder)


@pytest.mark.parametrize(
    "row",
    [
        {"seed": "3"}, {"seed": True}, {"seed": 3.0}, {"seed": []}, {"seed": 10**400}, {"seed": -1},
        {"length": "20"}, {"length": 0}, {"length": True}, {"length": 10**400}, {"file": ["x"]},
        {"file": None}, {"terminated": 1}, {"sha256": ""}, {"sha256": 7},
    ],
)  # fmt: skip
def test_a_row_with_values_of_another_kind_is_one_clear_error(store, row):
    store.rows[3].update(row)  # with a digest of its own: whole in itself
    store.save_manifest()
    with pytest.raises(ArtifactError, match=r"manifest\.json is damaged.* row .*collect again"):
        EpisodeStore(store.folder)


def test_what_is_no_file_is_neither_mapped_nor_verified(store):
    store.path(9).unlink()
    os.mkfifo(store.path(9))
    for read in (store.verify, lambda: store.frames(9), lambda: store.episode(9)):
        with pytest.raises(
            ArtifactError, match=r"episode_0000009.* is a named pipe, not a file; delete"
        ):
            read()


def test_a_missing_episode_can_be_struck_and_recorded_again(store):
    store.path(5).unlink()
    again = EpisodeStore(store.folder)
    again.forget_missing()
    assert again.seeds == [3, 9]


def test_only_missing_episodes_are_struck_and_their_rows_still_vouch(store):
    store.forget_missing()
    assert store.seeds == [3, 5, 9]
    assert store.rows[5]["terminated"] is True and store.rows[3]["terminated"] is False
    assert store.rows[9]["return"] == pytest.approx(float(store.episode(9).rewards.sum()), abs=1e-3)
    assert store.rows[9]["bytes"] == store.path(9).stat().st_size


def test_a_store_that_is_not_there_is_no_empty_store(tmp_path):
    store = EpisodeStore(tmp_path / "tpyo")
    for read in (iter, EpisodeStore.verify, lambda store: store.seeds):
        with pytest.raises(
            ArtifactError, match=r"tpyo holds no episodes \(manifest.json is missing\); name"
        ):
            list(read(store))
