"""Checkers for the exercises: each takes your answer and compares it with an oracle."""

from wmlib.checks.control import check_controller_size, check_lead, check_mean_step, check_strategy
from wmlib.checks.dreaming import check_kept, check_rank_correlation, check_reward_loss, check_rollout
from wmlib.checks.memory import check_lstm_step, check_mixture_nll, check_moments, check_surprise
from wmlib.checks.own_game import check_explore, check_pay, check_stretched
from wmlib.checks.results import check_flattery, check_half, check_tracks
from wmlib.checks.start import check_action, check_compression, check_interval
from wmlib.checks.temperature import check_alarms, check_odds, check_survival
from wmlib.checks.vision import check_effect, check_free_bits, check_nats, check_reparameterised
from wmlib.checks.world import check_gigabytes, check_hold, check_tiles, check_walk

__all__ = [
    "check_action",
    "check_alarms",
    "check_compression",
    "check_controller_size",
    "check_effect",
    "check_explore",
    "check_flattery",
    "check_free_bits",
    "check_gigabytes",
    "check_half",
    "check_hold",
    "check_interval",
    "check_kept",
    "check_lead",
    "check_lstm_step",
    "check_mean_step",
    "check_mixture_nll",
    "check_moments",
    "check_nats",
    "check_odds",
    "check_pay",
    "check_rank_correlation",
    "check_reparameterised",
    "check_reward_loss",
    "check_rollout",
    "check_strategy",
    "check_stretched",
    "check_surprise",
    "check_survival",
    "check_tiles",
    "check_tracks",
    "check_walk",
]
