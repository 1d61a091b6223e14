import dataclasses

import numpy as np
import torch

from wmlib.cluster.kind import difference, game_of, kind


def test_a_process_is_of_its_own_kind_whatever_its_number_of_threads():
    before = torch.get_num_threads()
    ours = kind()
    try:
        torch.set_num_threads(before % 2 + 1)
        kind.cache_clear()
        assert difference(ours, kind()) == ""
    finally:
        torch.set_num_threads(before)
    assert ours["torch"] == torch.__version__.partition("+")[0] or ours["torch"] == torch.__version__
    assert ours["vector units"].endswith(torch.backends.cpu.get_cpu_capability())


def test_what_differs_is_named():
    ours = {"torch": "2", "vector units": "x86_64 AVX2", "code": "a", "bits": "b"}
    assert difference(ours, ours | {"torch": "1", "bits": "c"}) == "it has torch 1, not 2"
    assert difference(ours | {"envpool": "1.2"}, ours) == "it has envpool none, not 1.2"
    units = difference(ours, ours | {"vector units": "x86_64 AVX512", "torch": "1", "code": "c"})
    assert units == "it has torch 1, not 2; it has vector units x86_64 AVX512, not x86_64 AVX2"
    assert difference(ours, ours | {"code": "c"}) == "its wmlib is of other code"
    assert "rounds otherwise" in difference(ours, ours | {"bits": "c"})


def test_a_game_is_known_by_what_its_task_says_and_by_the_releases_behind_it(task):
    ours = game_of(task)
    assert ours.keys() == {"game"} and difference(ours, game_of(task)) == ""
    other = dataclasses.replace(task, z_size=8, packages=("numpy",))
    assert difference(ours, game_of(dataclasses.replace(other, packages=()))) == (
        "its game is another, as where the game's file was edited"
    )
    assert difference(game_of(other), ours) == f"it has numpy none, not {np.__version__}"
