"""What the browser is given for those who don't use a mouse."""

import re
from pathlib import Path

import pytest
import traitlets

from wmlib.widgets import access
from wmlib.widgets.access import Access

FILE = Path(access.__file__)


def test_the_browser_is_given_the_texts_and_our_own_script_and_style():
    state = Access(pictures=["one", "two"]).get_state()
    assert state["pictures"] == ["one", "two"]
    for key, kind in (("_esm", ".js"), ("_css", ".css")):
        assert state[key] == FILE.with_suffix(kind).read_text(encoding="utf-8")


def test_a_text_is_a_text():
    with pytest.raises(traitlets.TraitError):
        Access(pictures=["one", 2])


def test_the_script_reads_what_python_writes():
    """The names of the traits are the seam between the two languages."""
    script = FILE.with_suffix(".js").read_text(encoding="utf-8")
    asked_for = set(re.findall(r"""model\.get\(["'](\w+)["']\)""", script))
    assert asked_for == {"pictures"} and asked_for <= set(Access.class_trait_names(sync=True))
