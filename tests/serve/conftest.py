"""Fixtures of the tests that drive `beryl serve` with real clients: a server with the demo model, shared by all."""

import json
import os
import pathlib
import queue
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent
STARTING_SECONDS = 60


class Server:
    """A running server; `log` is what it has written to standard error so far. Unless it `waits`, it may still be loading."""

    def __init__(self, binary, *arguments, waits=True, stdout=subprocess.DEVNULL):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BERYL_")}
        environment["BERYL_THREADS"] = "1"
        command = [binary, "serve", PROJECT / "models/demo", "--port", "0", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment)
        self.log = []
        addresses = queue.Queue()
        self.reader = threading.Thread(target=self._read_log, args=(addresses,), daemon=True)
        self.reader.start()
        self.url = addresses.get(timeout=STARTING_SECONDS)
        if waits:
            self._wait_until_ready()

    def _read_log(self, addresses):
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(r"http://[\d.]+:\d+", line):
                addresses.put(found[0])

    def _wait_until_ready(self):
        deadline = time.monotonic() + STARTING_SECONDS
        while time.monotonic() < deadline:
            try:
                return self.get("/health")
            except urllib.error.HTTPError as error:
                assert error.code == 503
            time.sleep(0.05)
        pytest.fail("the server does not become ready:\n" + "".join(self.log))

    def get(self, path):
        """The JSON at a path."""
        with urllib.request.urlopen(self.url + path, timeout=30) as response:
            return json.load(response)

    def post(self, path, body):
        """The JSON that answers a body; errors raise urllib.error.HTTPError."""
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as response:
            return json.load(response)

    def tokenize(self, text):
        """Token ids without <bos>."""
        return self.post("/tokenize", {"prompt": text, "add_special_tokens": False})["tokens"]

    def descriptors(self):
        """How many files the process has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def wait_until_idle(self, seconds=30):
        """/status once nothing runs and nothing waits."""
        deadline = time.monotonic() + seconds
        while True:
            status = self.get("/status")
            if status["running"] == 0 and status["waiting"] == 0:
                return status
            assert time.monotonic() < deadline, status
            time.sleep(0.02)

    def stop(self):
        """Ends it as a service manager does; returns the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=60)


@pytest.fixture(scope="session")
def beryl_bin():
    """The binary under test: $BERYL_BIN, or the release build."""
    path = pathlib.Path(os.environ.get("BERYL_BIN", PROJECT / "build/release/src/cli/beryl"))
    if not path.is_file():
        pytest.fail(f"{path} is not there; build it or set BERYL_BIN")
    return path


@pytest.fixture(scope="session")
def start_server(beryl_bin):
    """Starts servers with arguments of their own and options of Server; all are ended after the tests."""
    started = []

    def start(*arguments, **options):
        started.append(Server(beryl_bin, *arguments, **options))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()


@pytest.fixture(scope="session")
def server(start_server):
    """A server with the demo model that most tests share; its end is a test, too."""
    shared = start_server("--ctx", 512)
    yield shared
    assert shared.process.poll() is None, "".join(shared.log[-20:])
    assert shared.stop() == 0
