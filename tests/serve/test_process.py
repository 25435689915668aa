"""The server as a process under stress: its log-probabilities, its secrets, its end, its clients' end, and overload.

BERYL_LONG_TESTS=1 makes the long runs: 200 ends, 1,000 clients that go away, a minute of overload.
"""

import asyncio
import base64
import json
import os
import random
import re
import signal
import socket
import statistics
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.parse

import pytest

from conftest import PROJECT

IS_LONG = os.environ.get("BERYL_LONG_TESTS") == "1"
ENDS = 200 if IS_LONG else 12
DISCONNECTS = 1000 if IS_LONG else 60
OVERLOAD_SECONDS = 60 if IS_LONG else 3
# A busy machine may take so long for what should take none.
SLACK_SECONDS = 5
PROMPT = "Sam has twelve boxes with seven apples each"


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


# Log-probabilities


def write_golden(file, texts, vocabulary):
    """A golden file of the token lists whose reference logits are all zero: only Beryl's own numbers are wanted."""
    header, data = {}, b""
    for i, tokens in enumerate(texts):
        for name, kind, shape, content in [
            ("input_ids", "I32", [len(tokens)], struct.pack(f"<{len(tokens)}i", *tokens)),
            ("logits", "F32", [len(tokens), vocabulary], bytes(4 * len(tokens) * vocabulary)),
            ("greedy", "I32", [0], b""),
            ("greedy_margin", "F32", [0], b""),
        ]:
            header[f"prompt{i}.{name}"] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
            data += content
    head = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(head)) + head + data)


@pytest.fixture(scope="module")
def texts(server):
    """Token ids of word problems with their answers, one of them long."""
    lines = [json.loads(line) for line in (PROJECT / "models/demo/test.jsonl").read_text().splitlines()[:12]]
    problems = [f"{line['question']}\n{line['answer']}\n" for line in lines]
    return [[2, *server.tokenize(text)] for text in [*problems[:3], "".join(problems[3:6])]]


def test_log_probabilities_are_those_of_check(server, beryl_bin, texts, tmp_path):
    vocabulary = json.loads((PROJECT / "models/demo/config.json").read_text())["text_config"]["vocab_size"]
    golden = tmp_path / "texts.safetensors"
    write_golden(golden, texts, vocabulary)
    done = subprocess.run([beryl_bin, "check", PROJECT / "models/demo", golden, "--json", "--logprobs"],
                          capture_output=True, text=True, check=False, timeout=120)
    prompts = json.loads(done.stdout)["prompts"]
    assert [prompt["tokens"] for prompt in prompts] == texts
    for prompt in prompts:
        echo = server.post("/v1/completions", {"prompt": prompt["tokens"], "echo": True, "max_tokens": 0, "logprobs": 1})
        logprobs = echo["choices"][0]["logprobs"]["token_logprobs"]
        assert logprobs == prompt["token_logprobs"]  # the same doubles
        assert logprobs[0] is None
        assert all(-40 < logprob < 0 for logprob in logprobs[1:])


@pytest.mark.parametrize("sampling", [{"temperature": 0}, {"temperature": 1.3, "seed": 4, "top_p": 0.9}])
def test_log_probabilities_of_an_answer_are_those_of_its_echo(server, texts, sampling):
    prompt = texts[0][:20]
    answer = server.post("/v1/completions", {"prompt": prompt, "max_tokens": 40, "logprobs": 2, "ignore_eos": True,
                                             "return_token_ids": True, **sampling})["choices"][0]
    whole = [*prompt, *answer["token_ids"]]
    echo = server.post("/v1/completions", {"prompt": whole, "echo": True, "max_tokens": 0, "logprobs": 2})["choices"][0]
    assert len(answer["token_ids"]) == 40
    assert answer["logprobs"]["token_logprobs"] == echo["logprobs"]["token_logprobs"][len(prompt):]
    assert answer["logprobs"]["top_logprobs"] == echo["logprobs"]["top_logprobs"][len(prompt):]


# Secrets


def send_raw(port, data):
    """What the server answers to bytes until it closes or falls silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        answer = b""
        try:
            connection.settimeout(1)
            while piece := connection.recv(65536):
                answer += piece
        except (TimeoutError, ConnectionError):
            pass
        return answer


def key_requests(key):
    """Requests that present a key in every way that clients have, or get wrong."""
    encoded = base64.b64encode(f"user:{key}".encode()).decode()
    lines = [f"Authorization: Bearer {key}", f"authorization: bearer   {key}", f"Authorization: {key}",
             f"Authorization: Basic {encoded}", f"Authorization: Token {key}", f"AUTHORIZATION:Bearer {key} ",
             f"x-api-key: {key}", f"X-API-KEY:{key}", f"api-key: {key}", f"Cookie: key={key}",
             f"Authorization: Bearer {key}\r\nAuthorization: Bearer {key}", f"Authorization : Bearer {key}",
             f"Authorization: Bearer\r\n {key}", f"Authorization: Bearer {key}\x01", f"x-api-key: {key}\x7f{key}",
             f"Proxy-Authorization: Bearer {key}", f"Referer: http://localhost/?api_key={key}",
             f"Origin: http://{key}@localhost", f"Authorization: Bearer {key}" + "x" * 20_000]
    body = json.dumps({"prompt": "Sam", "max_tokens": 1, "api_key": key, "user": key})
    for line in lines:
        for start, content in [("GET /v1/models", ""), ("POST /v1/completions", body)]:
            yield f"{start} HTTP/1.1\r\nHost: localhost\r\n{line}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n{content}"
    for target in [f"/v1/models?api_key={key}", f"/metrics?key={key}&x=1", f"/nothing?{key}", f"http://{key}@localhost/v1/models",
                   f"/v1/models#{key}"]:
        yield f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    yield f"GET /v1/models {key}\r\n\r\n"
    yield f"GET /v1/models HTTP/1.1\r\nHost: {key}\r\nConnection: close\r\n\r\n"
    yield f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nContent-Length: {key}\r\n\r\n"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_keys_are_in_no_log(start_server, tmp_path, log_format):
    keys = {"flag": "sk-flag-0123456789abcdef", "file": "sk-file-fedcba9876543210", "wrong": "sk-wrong-5a5a5a5a5a5a5a"}
    key_file = tmp_path / "keys"
    key_file.write_text(f"{keys['file']} alice\n")
    server = start_server("--ctx", 512, "--api-key", keys["flag"], "--api-key-file", key_file, "--access-log", log_format,
                          "-v", stdout=subprocess.PIPE)
    port = int(server.url.rsplit(":", 1)[1])
    statuses = {name: set() for name in keys}
    for name, key in keys.items():
        for request in key_requests(key):
            answer = send_raw(port, request.encode("latin-1"))
            if found := re.match(rb"HTTP/1\.1 (\d+)", answer):
                statuses[name].add(int(found[1]))
    assert server.stop() == 0
    server.reader.join(timeout=10)
    log = "".join(server.log) + server.process.stdout.read()
    assert "alice" in log  # what the label is for
    assert log.count("/v1/models") >= 3 * 15
    assert {200, 400, 401} <= statuses["flag"] and {200, 400, 401} <= statuses["file"]
    assert 200 not in statuses["wrong"] and 401 in statuses["wrong"]
    for key in keys.values():
        encoded = base64.b64encode(f"user:{key}".encode()).decode()
        for form in [key, key[3:], urllib.parse.quote(key), encoded, encoded[:16]]:
            assert form.lower() not in log.lower(), [line for line in log.splitlines() if form.lower() in line.lower()]


# A client without costs, since it shares the processor with the server


class Connection:
    """A connection that is kept for one request after the other."""

    def __init__(self, port):
        self.port = port
        self.writer = None

    async def ask(self, body):
        """(status, seconds to the first piece of the body, seconds to its end)."""
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        content = json.dumps(body).encode()
        begin = time.monotonic()
        self.writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
                          % (len(content), content))
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head[9:12])
        if found := re.search(rb"content-length: (\d+)", head):
            await self.reader.readexactly(int(found[1]))
            first = time.monotonic()
        else:
            first = None
            while size := int(await self.reader.readuntil(b"\n"), 16):
                await self.reader.readexactly(size + 2)
                first = first or time.monotonic()
            await self.reader.readuntil(b"\n")
        end = time.monotonic()
        if b"connection: close" in head:
            self.close()
        return status, first - begin, end - begin

    def close(self):
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def port_of(server):
    return int(server.url.rsplit(":", 1)[1])


# The end of the server


async def keep_asking(port, rng):
    """Asks until the server is gone."""
    connection = Connection(port)
    while True:
        body = {"prompt": PROMPT * rng.choice([1, 1, 8]), "max_tokens": rng.choice([1, 20, 100, 7000]), "ignore_eos": True,
                "stream": rng.random() < 0.7, "temperature": 1}
        try:
            await connection.ask(body)
        except (OSError, asyncio.IncompleteReadError):
            connection.close()
            try:
                connection = Connection(port)
                await connection.ask({"prompt": "Sam", "max_tokens": 1})
            except (OSError, asyncio.IncompleteReadError):
                return


def load_until_gone(port, seed):
    rng = random.Random(seed)

    async def all_of_them():
        await asyncio.gather(*(keep_asking(port, rng) for _ in range(rng.randint(1, 12))))

    thread = threading.Thread(target=lambda: asyncio.run(all_of_them()), daemon=True)
    thread.start()
    return thread


def test_a_server_ends_in_time_whenever_it_is_told_to(start_server):
    """Also while it is being loaded, and with answers that would take longer than it has."""
    rng = random.Random(1)
    lateness = []
    for i in range(ENDS):
        drain_seconds = rng.choice([0, 0, 1])
        is_loading = rng.random() < 0.2
        server = start_server("--drain-seconds", drain_seconds, waits=not is_loading)
        clients = load_until_gone(port_of(server), i)
        time.sleep(rng.random() ** 2 * 0.6)
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        code = server.process.wait(timeout=drain_seconds + 60)
        lateness.append(time.monotonic() - begin - drain_seconds)
        clients.join(timeout=10)
        assert not clients.is_alive()
        assert code == 0, (i, code, server.log[-10:])
        assert lateness[-1] < SLACK_SECONDS, (i, lateness[-1], server.log[-10:])
    print(f"{ENDS} ends; seconds beyond the drain time: median {statistics.median(lateness):.3f}, most {max(lateness):.3f}")


# The end of clients


def go_away(port, rng):
    """A client that leaves somewhere between the first byte of its request and the last of the answer."""
    body = json.dumps({"prompt": PROMPT * rng.choice([1, 1, 4]), "max_tokens": rng.choice([1, 30, 300]), "ignore_eos": True,
                       "stream": rng.random() < 0.7, "n": rng.choice([1, 1, 2]), "temperature": 1}).encode()
    request = (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
               % (len(body), body))
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        try:
            cut = rng.randint(0, len(request) - 1) if rng.random() < 0.2 else len(request)
            connection.sendall(request[:cut])
            if cut == len(request) and rng.random() < 0.5:
                for _ in range(rng.randint(0, 8)):
                    if not connection.recv(4096):
                        break
            else:
                time.sleep(rng.random() ** 3 * 0.3)
            if rng.random() < 0.3:  # at once, without a goodbye
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif rng.random() < 0.3:
                connection.shutdown(socket.SHUT_WR)
                time.sleep(rng.random() * 0.05)
        except OSError:
            pass


def read_metrics(server):
    """Values by name, of metrics without labels of their own."""
    with urllib.request.urlopen(server.url + "/metrics", timeout=30) as response:
        lines = response.read().decode().splitlines()
    return {line.split("{")[0].split(" ")[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}


@pytest.mark.parametrize("options", [(), ("--no-prefix-cache",)], ids=["cache", "no cache"])
def test_clients_that_go_away_leave_nothing_behind(start_server, options):
    server = start_server("--ctx", 512, *options)
    server.post("/v1/completions", {"prompt": "Sam", "max_tokens": 1})
    server.wait_until_idle()
    descriptors = server.descriptors()

    def work(seed):
        rng = random.Random(seed)
        for _ in range(DISCONNECTS // 10):
            go_away(port_of(server), rng)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    status = server.wait_until_idle()
    held = status["prefix_cache"]
    assert status["pages"]["full"]["used"] == held["full_pages"]
    assert status["pages"]["sliding"]["used"] == held["sliding_pages"]
    finished = status["finished"]  # nothing else could stop an answer
    assert finished["cancelled"] + finished["stop"] > DISCONNECTS / 10
    metrics = read_metrics(server)
    assert metrics["beryl_num_requests_running"] == metrics["beryl_num_requests_waiting"] == 0
    assert metrics["beryl_iteration_tokens_total_count"] == metrics["beryl_steps_total"] > 0
    assert metrics["beryl_cache_config_info"] == 1
    assert metrics["beryl_request_params_n_count"] > 0
    if options:
        assert metrics["beryl_kv_cache_usage_perc"] == metrics["beryl_prefix_cache_pages"] == 0
    deadline = time.monotonic() + 20
    while server.descriptors() > descriptors and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.descriptors() <= descriptors
    assert server.stop() == 0


# Overload


def resident_kilobytes(server):
    with open(f"/proc/{server.process.pid}/status") as file:
        return int(re.search(r"RssAnon:\s+(\d+)", file.read())[1])


def ask_for(port, clients, seconds, pause):
    """Clients that ask again and again, after a refusal with a pause: seconds to first tokens, seconds to refusals."""
    first_tokens, refusals = [], []

    async def client(end):
        connection = Connection(port)
        while time.monotonic() < end:
            body = {"prompt": PROMPT, "max_tokens": 60, "ignore_eos": True, "stream": True}
            status, first, _ = await connection.ask(body)
            if status == 200:
                first_tokens.append(first)
            else:
                assert status in (429, 503)
                refusals.append(first)
                await asyncio.sleep(pause)
        connection.close()

    async def all_of_them():
        end = time.monotonic() + seconds
        await asyncio.gather(*(client(end) for _ in range(clients)))

    asyncio.run(all_of_them())
    return first_tokens, refusals


def test_an_overload_harms_nobody_who_is_served(start_server):
    """Ten times as many clients as the batch and the queue hold, against as many as they hold."""
    places = 8
    threads = os.cpu_count() if IS_LONG else 1  # all, as a server by default; two that wait for each other need them whole
    server = start_server("--ctx", 512, "--max-seqs", places // 2, "--queue", places // 2, "--access-log", "json",
                          "--threads", threads)
    port = port_of(server)
    ask_for(port, places, 1, 0.01)  # fills the prefix cache, the allocator's lists and so on
    # Now and then one is refused here, too, when it comes before those that wait have moved up.
    usual, _ = ask_for(port, places, max(2, OVERLOAD_SECONDS / 4), 0.01)
    ask_for(port, 10 * places, 1, 0.1)
    before = resident_kilobytes(server)
    server.log.clear()
    first_tokens, refusals = ask_for(port, 10 * places, OVERLOAD_SECONDS, 0.1)
    server.wait_until_idle()
    records = [json.loads(line) for line in list(server.log) if line.startswith("{")]
    refused = [record["seconds"] for record in records if record["status"] in (429, 503)]
    growth = resident_kilobytes(server) - before
    print(f"{OVERLOAD_SECONDS} s: {len(first_tokens)} answers, {len(refusals)} refusals; first token: median "
          f"{statistics.median(first_tokens) * 1e3:.1f} ms, without overload {statistics.median(usual) * 1e3:.1f} ms; p99 "
          f"{percentile(first_tokens, 0.99) * 1e3:.1f}, {percentile(usual, 0.99) * 1e3:.1f} ms; refusals p50, p99: client "
          f"{percentile(refusals, 0.5) * 1e3:.2f}, {percentile(refusals, 0.99) * 1e3:.2f} ms, server "
          f"{percentile(refused, 0.5) * 1e3:.2f}, {percentile(refused, 0.99) * 1e3:.2f} ms; memory grew by {growth} kB")
    assert len(refusals) > len(first_tokens) >= places
    assert statistics.median(first_tokens) < 2 * statistics.median(usual)
    # In a short run the slowest ones tell more of what else the machine does.
    assert percentile(refused, 0.99 if IS_LONG else 0.5) < 0.02
    assert growth < 16 * 1024
    assert server.stop() == 0
