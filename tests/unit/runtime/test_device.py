"""Number formats and threads: what torch is told, and that it is put back."""

import pytest
import torch

from wmlib.runtime import device
from wmlib.runtime.device import (
    best_device,
    dream_dtype,
    one_thread,
    processor_kind,
    uses_bfloat16,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_best_device_is_the_first_that_is_there(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert best_device().type == expected


@pytest.mark.parametrize(
    ("abilities", "expected"),
    [({"amx_bf16": True}, True), ({"avx512_bf16": True}, True), ({"avx2": True}, False), ({}, False)],
)
def test_auto_takes_bfloat16_where_the_processor_has_units_for_it(monkeypatch, abilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert uses_bfloat16("auto", CPU) is expected
    assert processor_kind() == ("avx512_bf16" if expected else "avx2")
    assert uses_bfloat16("bfloat16", CPU) and not uses_bfloat16("float32", CPU)
    assert not uses_bfloat16("auto", torch.device("mps"))
    assert dream_dtype("auto") is (torch.bfloat16 if expected else torch.float32)
    assert dream_dtype("float32") is torch.float32 and dream_dtype("bfloat16") is torch.bfloat16


def test_a_gpu_that_emulates_bfloat16_is_not_asked_for_it(monkeypatch):
    """As cards older than Ampere do."""
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation
    )
    assert not uses_bfloat16("auto", torch.device("cuda"))
    assert uses_bfloat16("bfloat16", torch.device("cuda"))


def test_a_processor_that_is_held_to_avx2_has_no_bfloat16(monkeypatch):
    """As ATEN_CPU_CAPABILITY=avx2 does, which torch reads when it is loaded."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not uses_bfloat16("auto", CPU) and processor_kind() == "avx2"


def test_one_thread_is_for_a_while_even_if_the_work_fails():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        with pytest.raises(RuntimeError, match="midway"), one_thread():
            raise RuntimeError("midway")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("cores", "told", "expected"), [(2, None, 2), (5, None, 3), (2, "3", 3)])
def test_torch_takes_no_more_threads_than_a_quota_leaves(monkeypatch, cores, told, expected):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if told:
        monkeypatch.setenv("OMP_NUM_THREADS", told)
    monkeypatch.setattr(device, "core_count", lambda: cores)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        device.heed_quota()
        assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("error", [OSError, TypeError, AttributeError])
def test_another_c_library_keeps_its_own_ways(monkeypatch, error):
    def no_library(name):
        raise error

    monkeypatch.setattr(device.ctypes, "CDLL", no_library)
    device.keep_freed_memory()
