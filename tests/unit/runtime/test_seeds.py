"""Chance by key: the same for the same key, in every process."""

import torch

from wmlib.runtime.seeds import digest_of, digest_of_weights, generator_of, seed_of


def test_seeds_follow_their_key():
    assert seed_of(1, "vae", 2) == seed_of(1, "vae", 2) != seed_of(1, "vae", 3)
    assert 0 <= seed_of("x") < 2**56


def test_seeds_are_the_same_in_every_process_and_release():
    # sha256("(1, 'vae', 7)"), its first seven bytes, the least first: worked out by another program.
    assert seed_of(1, "vae", 7) == int.from_bytes(bytes.fromhex("24f3d628f00d6f"), "little")
    assert digest_of("a", 1) == "391d545b6971354e"


def test_keys_are_told_apart_by_kind_and_by_where_they_are_parted():
    seeds = {seed_of(1), seed_of("1"), seed_of(1.0), seed_of(1, 1), seed_of("1, 1"), seed_of((1, 1))}
    assert len(seeds) == 6
    assert digest_of("ab", "c") != digest_of("a", "bc")


def test_generators_of_one_key_draw_alike():
    first, again = (torch.randn(4, generator=generator_of(1, "x")) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, torch.randn(4, generator=generator_of(2, "x")))
    by_hand = torch.Generator().manual_seed(seed_of(1, "x"))
    assert torch.equal(first, torch.randn(4, generator=by_hand))


def test_weights_are_told_apart_by_each_of_their_numbers():
    model = torch.nn.Linear(3, 2)
    before = digest_of_weights(model)
    assert digest_of_weights(model) == before
    with torch.no_grad():
        model.bias[1] += 1e-6
    assert digest_of_weights(model) != before
