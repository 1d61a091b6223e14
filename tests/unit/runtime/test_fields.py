"""Checks of fields: each refuses what lies outside, takes the bound itself, and says the rule."""

from dataclasses import dataclass
from typing import Literal

import pytest

from wmlib.runtime.fields import (
    HIGHEST_COUNT,
    HIGHEST_TAU,
    LOWEST_TAU,
    ConfigError,
    check,
    check_choices,
    check_counts,
    check_counts_or_all,
    check_range,
    check_taus,
)


@dataclass
class Plan:
    count: object = 3
    share: float = 0.5
    tau: object = 1.0
    end: Literal["cutoff", "sampled"] = "cutoff"


def test_the_message_names_class_field_value_and_rule():
    with pytest.raises(ConfigError, match=r"^Plan\.share is 0\.5; it must be a whole hour$"):
        check(Plan(), "share", False, "a whole hour")
    check(Plan(), "share", True, "a whole hour")


@pytest.mark.parametrize("value", [2, 2.0, "3", True, None])
def test_a_count_is_a_whole_number_from_its_bound_on(value):
    check_counts(Plan(count=3), count=3)
    with pytest.raises(ConfigError, match=r"^Plan\.count is .*; it must be a whole number, 3 or more$"):
        check_counts(Plan(count=value), count=3)


@pytest.mark.parametrize("value", [HIGHEST_COUNT + 1, 10**30])
def test_a_count_has_an_upper_bound_too(value):
    for one in (lambda plan: check_counts(plan, count=0), lambda p: check_counts_or_all(p, "count")):
        one(Plan(count=HIGHEST_COUNT))
        with pytest.raises(ConfigError, match=rf"count is {value}; it must be 10,000,000 or less$"):
            one(Plan(count=value))


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "all"])
def test_none_stands_for_all_and_nothing_else_does(value):
    for fits in (None, 1, 24):
        check_counts_or_all(Plan(count=fits), "count")
    with pytest.raises(ConfigError, match="whole number, 1 or more, or None for all there are"):
        check_counts_or_all(Plan(count=value), "count")


def test_a_range_holds_both_its_ends():
    for fits in (0.0, 1.0):
        check_range(Plan(share=fits), 0.0, 1.0, "share")
    for value in (-1e-9, 1 + 1e-9, float("nan")):
        with pytest.raises(ConfigError, match=r"Plan\.share is .*; it must be from 0 to 1$"):
            check_range(Plan(share=value), 0.0, 1.0, "share")


def test_every_temperature_of_several_is_within_bounds():
    for fits in (LOWEST_TAU, HIGHEST_TAU, (LOWEST_TAU, 1.0, HIGHEST_TAU)):
        check_taus(Plan(tau=fits), "tau")
    for value in (0.04, 10.1, (1.0, 0.04), float("nan")):
        with pytest.raises(ConfigError, match=r"Plan\.tau is .*; it must be from 0\.05 to 10$"):
            check_taus(Plan(tau=value), "tau")


def test_a_choice_is_one_of_those_its_type_names():
    check_choices(Plan(end="sampled"))
    with pytest.raises(ConfigError, match=r"Plan\.end is 'late'; it must be one of: cutoff, sampled"):
        check_choices(Plan(end="late"))
