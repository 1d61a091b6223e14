"""Checkers for the exercises: each takes your answer and compares it with an oracle."""

from wmlib.checks.start import check_action, check_compression, check_interval
from wmlib.checks.vision import check_effect, check_free_bits, check_nats, check_reparameterised
from wmlib.checks.world import check_gigabytes, check_hold, check_tiles, check_walk

__all__ = [
    "check_action",
    "check_compression",
    "check_effect",
    "check_free_bits",
    "check_gigabytes",
    "check_hold",
    "check_interval",
    "check_nats",
    "check_reparameterised",
    "check_tiles",
    "check_walk",
]
