"""What all checkers share: how an answer is asked for, and what is said of it."""

import functools
import os
from collections.abc import Callable


class Wrong(AssertionError):
    """The answer is not right; the message says why."""


def exercise(number: int) -> Callable:
    """Make a checker of a function that takes an answer and raises `Wrong` where it isn't right.

    An answer of None, and a function that raises NotImplementedError or returns None, is "not attempted
    yet": that is said, and is no error, unless WMLIB_STRICT_CHECKS is set, as it is for the solutions.
    """

    def decorate(check: Callable) -> Callable:
        @functools.wraps(check)
        def checker(answer: object) -> None:
            name = f"exercise {number}"
            try:
                if answer is None:
                    raise NotImplementedError
                check(answer)
            except NotImplementedError:
                if os.environ.get("WMLIB_STRICT_CHECKS"):
                    raise AssertionError(f"{name}: not attempted") from None
                print(f"{name}: not attempted yet")
            except Wrong as wrong:
                raise AssertionError(f"{name}: {wrong}") from None
            else:
                print(f"{name}: right ✓")

        return checker

    return decorate


def ask(function: Callable, *args: object) -> object:
    """The learner's function's answer."""
    answer = function(*args)
    if answer is None:
        raise NotImplementedError
    return answer


def expect(right: bool, complaint: str) -> None:
    if not right:
        raise Wrong(complaint)
