import torch

from wmlib.cluster.kind import difference, kind


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
