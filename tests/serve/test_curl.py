"""curl: what is on the wire, and the examples of docs/api.md."""

import json
import re
import shlex
import shutil
import subprocess

import pytest

from conftest import PROJECT

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


def curl(server, path, *arguments):
    """Status, headers in lower case, body."""
    command = ["curl", "-sS", "-i", "--max-time", "60", server.url + path, *arguments]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    head, body = output.replace("\r\n", "\n").split("\n\n", 1)
    lines = head.split("\n")
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
    return int(lines[0].split()[1]), headers, body


def test_stream_is_framed_as_events(server):
    body = {"messages": [{"role": "user", "content": "Hi there!"}], "temperature": 0, "stream": True}
    status, headers, text = curl(server, "/v1/chat/completions", "-N", "-d", json.dumps(body))
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    events = text.split("\n\n")
    assert events.pop() == ""
    assert events.pop() == "data: [DONE]"
    for event in events:
        assert event.startswith("data: {") and "\n" not in event
        assert json.loads(event[6:])["object"] == "chat.completion.chunk"


def test_errors_are_json(server):
    for path, arguments, expected in [("/v1/nothing", (), 404), ("/v1/completions", (), 405),
                                      ("/v1/completions", ("-d", "{"), 400),
                                      ("/v1/completions", ("-d", '{"prompt": "a", "n": 9}'), 400)]:
        status, headers, body = curl(server, path, *arguments)
        assert status == expected
        assert headers["content-type"] == "application/json"
        assert set(json.loads(body)["error"]) >= {"message", "type", "param", "code"}


def test_token_ids_without_bos_are_warned_of(server):
    ids = server.tokenize("Sam has")
    for prompt, is_warned in [(ids, True), ([2, *ids], False)]:
        body = {"prompt": prompt, "max_tokens": 1}
        _, headers, _ = curl(server, "/v1/completions", "-d", json.dumps(body))
        assert ("x-beryl-warning" in headers) == is_warned


def test_tokens_go_there_and_back(server):
    ids = server.tokenize("Sam has 12 boxes.")
    assert server.post("/detokenize", {"tokens": ids})["prompt"] == "Sam has 12 boxes."
    info = server.get("/tokenizer_info")
    assert (info["bos_token"], info["eos_token"]) == ("<bos>", "<eos>")


def test_template_is_that_of_the_chat(server):
    messages = [{"role": "user", "content": "Hi there!"}]
    prompt = server.post("/apply-template", {"messages": messages})["prompt"]
    assert prompt.startswith("<bos><|turn>user\nHi there!<turn|>")
    chat = server.post("/v1/chat/completions", {"messages": messages, "temperature": 0})
    text = server.post("/v1/completions", {"prompt": prompt, "temperature": 0, "max_tokens": 100})
    assert text["choices"][0]["text"] == chat["choices"][0]["message"]["content"]


def test_metrics_and_status(server):
    status, headers, body = curl(server, "/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain")
    assert "beryl_" in body
    assert server.get("/status")["model"] == "demo"


def test_examples_of_the_documentation_work(server):
    """Every curl line of docs/api.md, against this server."""
    text = (PROJECT / "docs/api.md").read_text()
    commands = [line for block in re.findall(r"```sh\n(.*?)```", text, re.S)
                for line in re.sub(r"\\\n\s*", "", block).splitlines() if line.startswith("curl ")]
    assert len(commands) >= 5
    for command in commands:
        arguments = shlex.split(command.replace("http://127.0.0.1:8484", server.url))
        done = subprocess.run([*arguments, "-sS", "--fail-with-body", "--max-time", "60"], capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, command + "\n" + done.stdout + done.stderr
