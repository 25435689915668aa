"""Fixtures that the Python tests share: where the project, the binary under test and the project's tools are."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import terminal

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


def clean_environment(**variables):
    """The environment without what would change Beryl's answers or colours, and with `variables`."""
    inherited = {name: value for name, value in os.environ.items()
                 if not name.startswith("BERYL_") and name not in ("NO_COLOR", "HF_HOME", "HF_HUB_CACHE")}
    # One thread: two that wait for each other take many times as long where other programs take turns with them.
    return {**inherited, "BERYL_THREADS": "1", **variables}


@pytest.fixture(scope="session")
def beryl(beryl_bin):
    """Runs the binary to its end; returns the finished process. `input` is piped in."""

    def run(*arguments, input="", env=None, text=True):
        command = [beryl_bin, *map(str, arguments)]
        return subprocess.run(command, input=input, capture_output=True, text=text, check=False, cwd=PROJECT,
                              timeout=terminal.TIMEOUT_SECONDS, env=clean_environment(**(env or {})))

    return run


@pytest.fixture
def beryl_on_terminal(beryl_bin):
    """Starts the binary on a terminal; returns the terminal. Ended after the test."""
    started = []

    def start(*arguments, env=None):
        started.append(terminal.Terminal([beryl_bin, *arguments], cwd=PROJECT, env=clean_environment(**(env or {}))))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture(scope="session")
def demo():
    """The demo model in FP8."""
    return PROJECT / "models/demo-fp8"


@pytest.fixture(scope="session")
def demo_tools():
    """The calculator that the demo model was trained with, as a file for --tools."""
    return PROJECT / "scripts/demo-tools.json"


@pytest.fixture(scope="session")
def make_demo_copy(demo, tmp_path_factory):
    """Copies the demo model; returns the copy's folder. `generation` changes fields of generation_config.json."""

    def copy(name, generation=None):
        folder = tmp_path_factory.mktemp("models") / name
        shutil.copytree(demo, folder)
        file = folder / "generation_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **(generation or {})}))
        return folder

    return copy


@pytest.fixture(scope="session")
def endless_demo(make_demo_copy):
    """A copy of the demo model that may not sample the tokens that end an answer, so that it talks on and on."""
    end_tokens = [1, 50, 106]
    return make_demo_copy("endless", {"suppress_tokens": end_tokens})
