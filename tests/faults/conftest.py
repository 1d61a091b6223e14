import harness
import pytest


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """A run to compare with."""
    folder = tmp_path_factory.mktemp("undisturbed")
    harness.run(folder)
    return folder
