"""What V and M learn from: recorded episodes, the same encoded, and the explorers that play them."""

from wmlib.data.episodes import Episode, EpisodeStore
from wmlib.data.explorers import (
    BrownianPolicy,
    FreshPolicy,
    HeldPolicy,
    NoisePolicy,
    StrafingPolicy,
    UniformPolicy,
    WhitePolicy,
)
from wmlib.data.sequences import Sequences

__all__ = [
    "BrownianPolicy",
    "Episode",
    "EpisodeStore",
    "FreshPolicy",
    "HeldPolicy",
    "NoisePolicy",
    "Sequences",
    "StrafingPolicy",
    "UniformPolicy",
    "WhitePolicy",
]
