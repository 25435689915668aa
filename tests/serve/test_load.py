"""Many clients at a time: streams that do not disturb each other, clients that go away, a queue that is full."""

import asyncio
import json
import os
import random
import time

import aiohttp
import pytest

STREAMS = 64
# BERYL_DISCONNECTS=1000 makes a long run.
DISCONNECTS = int(os.environ.get("BERYL_DISCONNECTS", "150"))
WORDS = "Sam has twelve boxes with seven apples each and gives some of them to a friend in the park".split()


def make_requests(count, seed=1):
    """Paths and bodies of mixed requests: chats and texts, greedy and sampled, long and short, some sharing beginnings."""
    rng = random.Random(seed)
    requests = []
    for i in range(count):
        words = " ".join(rng.choice(WORDS) for _ in range(rng.choice([1, 5, 30, 90])))
        if i % 4 == 0:
            words = " ".join(WORDS * 4) + words
        body = {"stream": True, "temperature": rng.choice([0, 0.7, 1]), "seed": i, "max_tokens": rng.randint(1, 24),
                "stream_options": {"include_usage": True}}
        if i % 3 == 0:
            requests.append(("/v1/completions", {**body, "prompt": words, "logprobs": 2}))
        elif i % 3 == 1:
            requests.append(("/v1/chat/completions", {**body, "messages": [{"role": "user", "content": words}]}))
        else:
            messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": words}]
            requests.append(("/v1/chat/completions", {**body, "messages": messages, "logprobs": True,
                                                      "chat_template_kwargs": {"enable_thinking": True}}))
    return requests


async def stream(session, url, path, body):
    """The choices of all chunks, in order."""
    async with session.post(url + path, json=body) as response:
        assert response.status == 200, await response.text()
        lines = [line async for line in response.content]
    events = [line[6:].strip() for line in lines if line.startswith(b"data: ")]
    assert events.pop() == b"[DONE]"
    chunks = [json.loads(event) for event in events]
    assert not any("error" in chunk for chunk in chunks)
    assert chunks[-1]["usage"]["completion_tokens"] <= body["max_tokens"]
    return [chunk["choices"] for chunk in chunks]


def run(work):
    """Runs a coroutine that takes a session without limits."""

    async def main():
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(240)) as session:
            return await work(session)

    return asyncio.run(main())


def test_streams_at_once_equal_streams_alone(server):
    requests = make_requests(STREAMS)

    async def at_once(session):
        return await asyncio.gather(*(stream(session, server.url, *request) for request in requests))

    async def one_by_one(session):
        return [await stream(session, server.url, *request) for request in requests]

    together = run(at_once)
    alone = run(one_by_one)
    for request, one, other in zip(requests, together, alone):
        assert one == other, request


async def disconnect(session, url, request, rng):
    """Goes away at some moment: before the answer, within it, or never."""
    path, body = request
    body = {**body, "max_tokens": 200, "ignore_eos": True, "stream": rng.random() < 0.7}
    if not body["stream"]:
        body.pop("stream_options")
    moment = rng.random()
    try:
        async with asyncio.timeout(moment ** 3 * 0.5):
            async with session.post(url + path, json=body) as response:
                chunks_wanted = rng.randint(0, 20)
                async for _ in response.content:
                    chunks_wanted -= 1
                    if chunks_wanted <= 0:
                        response.close()
                        return
    except (TimeoutError, asyncio.TimeoutError, aiohttp.ClientError):
        pass


@pytest.mark.parametrize("options", [(), ("--no-prefix-cache",)])
def test_clients_that_go_away_leave_nothing_behind(start_server, options):
    server = start_server("--ctx", 512, *options)
    server.post("/v1/completions", {"prompt": "Sam", "max_tokens": 2})
    before, descriptors = server.wait_until_idle(), server.descriptors()
    rng = random.Random(5)
    requests = make_requests(DISCONNECTS, seed=2)

    async def all_of_them(session):
        gate = asyncio.Semaphore(16)

        async def one(request):
            async with gate:
                await disconnect(session, server.url, request, rng)

        await asyncio.gather(*(one(request) for request in requests))

    run(all_of_them)
    after = server.wait_until_idle()
    held = after["prefix_cache"]
    assert after["pages"]["full"]["used"] == held["full_pages"]
    assert after["pages"]["sliding"]["used"] == held["sliding_pages"]
    assert options == () or after["pages"] == before["pages"]
    assert after["requests"] == []
    assert after["finished"]["cancelled"] + after["finished"]["stop"] > DISCONNECTS / 4
    deadline = time.monotonic() + 10
    while server.descriptors() > descriptors and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.descriptors() <= descriptors
    # And it still answers.
    assert server.post("/v1/completions", {"prompt": "Sam", "max_tokens": 2})["choices"][0]["text"]


def test_an_overload_is_refused_at_once(start_server):
    server = start_server("--ctx", 512, "--max-seqs", 2, "--queue", 2)
    body = {"prompt": "Sam has", "max_tokens": 150, "ignore_eos": True}
    refused = []

    async def one(session):
        begin = time.monotonic()
        async with session.post(server.url + "/v1/completions", json=body) as response:
            if response.status == 200:
                return await response.json()
            refused.append(time.monotonic() - begin)
            assert response.status == 429
            assert 1 <= int(response.headers["Retry-After"]) <= 60
            assert (await response.json())["error"]["type"] == "rate_limit_error"
            return None

    async def all_of_them(session):
        return await asyncio.gather(*(one(session) for _ in range(40)))

    answers = [answer for answer in run(all_of_them) if answer]
    assert len(answers) + len(refused) == 40
    assert len(answers) >= 2 and len(refused) >= 20
    assert sorted(refused)[len(refused) // 2] < 1
    assert len({answer["choices"][0]["text"] for answer in answers}) > 0
    server.wait_until_idle()


@pytest.mark.parametrize("stream_wanted", [False, True])
def test_end_of_the_server_lets_answers_finish(start_server, stream_wanted):
    server = start_server("--ctx", 512)
    body = {"prompt": "Sam has", "max_tokens": 60, "ignore_eos": True, "stream": stream_wanted}

    async def ask_and_end(session):
        task = asyncio.create_task(session.post(server.url + "/v1/completions", json=body))
        while server.get("/status")["running"] == 0 and not task.done():
            await asyncio.sleep(0.005)
        server.process.terminate()
        async with await task as response:
            return await response.text()

    text = run(ask_and_end)
    assert "data: [DONE]" in text if stream_wanted else json.loads(text)["usage"]["completion_tokens"] == 60
    assert server.process.wait(timeout=60) == 0
