"""How the C library treats memory that is freed and soon needed again."""

import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_NEVER = 2**30


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
