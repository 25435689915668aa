"""Fixtures that the Python tests share: where the project, the binary under test and the project's tools are."""

import os
import pathlib
import subprocess
import sys

import pytest

PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def project():
    """The project's folder."""
    return PROJECT


@pytest.fixture(scope="session")
def beryl_bin():
    """The binary under test: $BERYL_BIN, or the release build."""
    path = pathlib.Path(os.environ.get("BERYL_BIN", PROJECT / "build/release/src/cli/beryl"))
    if not path.is_file():
        pytest.fail(f"{path} is not there; build it or set BERYL_BIN")
    return path


@pytest.fixture(scope="session")
def run_tool():
    """Runs a script of tools/ by name; returns the finished process with its output as text."""

    def run(name, *arguments):
        command = [sys.executable, PROJECT / "tools" / name, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run
