import harness
import pytest


@pytest.fixture(scope="session")
def undisturbed(made_once):
    """A run to compare with."""
    return made_once("undisturbed", harness.run)
