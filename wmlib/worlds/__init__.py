"""Worlds to act in, the real game and the dream, and the loop that plays them."""

from wmlib.worlds.dream import DreamWorld
from wmlib.worlds.moments import DreamStarts, features_at, features_of, memories, moments
from wmlib.worlds.noisy import NoisyController
from wmlib.worlds.play import Observer, play, play_games
from wmlib.worlds.real import FrameWorld, RealWorld
from wmlib.worlds.record import Step, record
from wmlib.worlds.world import World

__all__ = [
    "DreamStarts",
    "DreamWorld",
    "FrameWorld",
    "NoisyController",
    "Observer",
    "RealWorld",
    "Step",
    "World",
    "features_at",
    "features_of",
    "memories",
    "moments",
    "play",
    "play_games",
    "record",
]
