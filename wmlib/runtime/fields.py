"""What the fields of a configuration may hold: a bad value fails when the object is made, by name."""

from typing import get_args, get_type_hints

LOWEST_TAU, HIGHEST_TAU = 0.05, 10.0
"""Bounds of the temperature, wherever one is given."""


class ConfigError(ValueError):
    """A configuration that can't work. The message names the field and what it may be."""


def check(config: object, field_name: str, ok: bool, rule: str) -> None:
    """Raise a `ConfigError` that names the field, its value and the rule, if not `ok`."""
    if not ok:
        value = getattr(config, field_name)
        raise ConfigError(f"{type(config).__name__}.{field_name} is {value!r}; it must be {rule}")


HIGHEST_COUNT = 10_000_000
"""Bound of a number of things: more would be played or learned for years, and fit no memory."""


def check_counts(config: object, **lowest: int) -> None:
    """Fields that hold a number of things, each with the lowest that it may be."""
    for name, bound in lowest.items():
        value, rule = getattr(config, name), f"a whole number, {bound} or more"
        check(config, name, _is_count(value, bound), rule)
        check(config, name, value <= HIGHEST_COUNT, f"{HIGHEST_COUNT:,} or less")


def check_counts_or_all(config: object, *names: str) -> None:
    """Fields that hold a whole number from 1 on, or None for all there are."""
    for name in names:
        value = getattr(config, name)
        fits = value is None or _is_count(value, 1)
        check(config, name, fits, "a whole number, 1 or more, or None for all there are")
        check(config, name, value is None or value <= HIGHEST_COUNT, f"{HIGHEST_COUNT:,} or less")


def check_range(config: object, low: float, high: float, *names: str) -> None:
    for name in names:
        check(config, name, low <= getattr(config, name) <= high, f"from {low:g} to {high:g}")


def check_taus(config: object, *names: str) -> None:
    """Fields that hold a temperature, or several."""
    for name in names:
        value = getattr(config, name)
        fits = all(LOWEST_TAU <= tau <= HIGHEST_TAU for tau in _several(value))
        check(config, name, fits, f"from {LOWEST_TAU:g} to {HIGHEST_TAU:g}")


def check_choices(config: object) -> None:
    """Fields of a Literal type hold one of its values, whoever made the object."""
    for name, hint in get_type_hints(type(config)).items():
        choices = get_args(hint)
        if choices and all(isinstance(choice, str) for choice in choices):
            check(config, name, getattr(config, name) in choices, f"one of: {', '.join(choices)}")


def _is_count(value: object, bound: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= bound


def _several(value: float | tuple[float, ...]) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,)
