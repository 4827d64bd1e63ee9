"""The configuration and the outcome of sweeps that are commands."""

from __future__ import annotations

import pytest

from tests.sweeps.commands import COUNTING, finish, metrics
from tests.sweeps.sweeping import CONF_OF_SCRIPT, write_conf


@pytest.fixture(scope="session")
def script_conf(tmp_path_factory):
    """The counting script's configuration."""
    with pytest.MonkeyPatch.context() as patch:
        conf = write_conf(tmp_path_factory.mktemp("sweeps") / "conf")
        patch.setenv(CONF_OF_SCRIPT, str(conf))
        yield


@pytest.fixture(scope="session")
def counted(tmp_path_factory, script_conf):
    """The sweep of counting jobs in one go."""
    folder = tmp_path_factory.mktemp("counted")
    finish(folder, *COUNTING)
    return metrics(folder)
