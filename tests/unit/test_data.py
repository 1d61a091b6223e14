"""What is shipped: whole and small."""

from pathlib import Path

from wmlib.episodes import EpisodeStore

ROOT = Path(__file__).parents[2]


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_sample_episodes_are_whole_and_small():
    store = EpisodeStore(ROOT / "data" / "sample")
    store.verify()
    assert len(store) >= 2 and size(store.folder) <= 6e6
