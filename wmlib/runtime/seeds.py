"""Chance that follows from what is being done, so that no generator's state has to be saved."""

import hashlib

import torch


def seed_of(*key: object) -> int:
    """A seed made of anything: seed_of(1, "vae", 7)."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:7], "little")


def generator_of(*key: object) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(*key))


def digest_of(*parts: object) -> str:
    """The same for the same parts; another for others. Parts are told apart by their `repr`."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def digest_of_weights(module: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for tensor in module.state_dict().values():
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
