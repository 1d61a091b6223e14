"""What torch computes on: device, number format, threads; and what becomes of freed memory."""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from typing import Literal

import torch

from wmlib.runtime.cores import core_count

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_NEVER = 2**30


def best_device() -> torch.device:
    """CUDA or Apple's MPS where present, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def uses_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether to compute products in bfloat16. A CPU without instructions for it is slower that way, and
    so is one that ATEN_CPU_CAPABILITY=avx2 holds back."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    abilities = torch.cpu.get_capabilities()
    able = bool(abilities.get("amx_bf16") or abilities.get("avx512_bf16"))
    return device.type == "cpu" and able and torch.backends.cpu.get_cpu_capability() != "AVX2"


def processor_kind() -> Literal["avx512_bf16", "avx2"]:
    """What speeds differ by most: whether the processor has units for bfloat16, or AVX2 alone."""
    return "avx512_bf16" if uses_bfloat16("auto", torch.device("cpu")) else "avx2"


def dream_dtype(precision: str) -> torch.dtype:
    """In which a dream's products are computed; dreams run on the CPU."""
    return torch.bfloat16 if uses_bfloat16(precision, torch.device("cpu")) else torch.float32


def heed_quota() -> None:
    """Have torch take no more threads than there are cores for this process, if it was told no number.

    It sees affinity, but no container's quota: beyond it, threads only wait for one another.
    """
    cores = core_count()
    if "OMP_NUM_THREADS" not in os.environ and cores < torch.get_num_threads():
        torch.set_num_threads(cores)


heed_quota()  # here, since all that computes imports this module, once


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """For work of a few milliseconds, done beside a browser that wants the processor too: threads that
    wait for one another would lose far more than they win."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Let the process keep what it frees.

    A training frees and allocates the same large blocks in every batch. glibc gives such blocks back to
    the system, and then each page of them costs a fault again: a tenth of the time of V's training.
    Where the C library is another one, nothing happens.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # macOS, musl, Windows
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _NEVER)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)
