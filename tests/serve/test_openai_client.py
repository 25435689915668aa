"""OpenAI's own Python client: chats, streams, tools, log-probabilities, errors."""

import json

import openai
import pytest

QUESTION = [{"role": "user", "content": "Hi there!"}]
SUM = [{"role": "user", "content": "Sam has 12 boxes with 7 apples each. How many apples does Sam have?"}]
CALCULATOR = {"type": "function", "function": {
    "name": "calculate", "description": "Evaluate an arithmetic expression",
    "parameters": {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]}}}


@pytest.fixture(scope="module")
def client(server):
    """A client as its documentation makes it."""
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)


def ask(client, messages, **more):
    """A greedy chat completion."""
    return client.chat.completions.create(model="demo", messages=messages, temperature=0, **more)


def read_golden(index):
    """A recorded prompt of the demo model with transformers' answer."""
    from conftest import PROJECT

    return json.loads((PROJECT / "models/demo/golden.json").read_text())["prompts"][index]


def test_finds_the_model(client):
    assert [model.id for model in client.models.list().data] == ["demo"]


def test_answers_what_transformers_answered(client):
    golden = read_golden(0)
    answer = ask(client, golden["messages"])
    message = answer.choices[0].message
    assert message.role == "assistant"
    assert message.content and golden["float32"]["text"].startswith(message.content)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens == len(golden["prompt_ids"])
    assert answer.usage.completion_tokens == golden["float32"]["stop"] + 1
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_stream_is_the_whole_answer_a_token_at_a_time(client):
    whole = ask(client, QUESTION)
    chunks = list(ask(client, QUESTION, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) \
        == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert not chunks[-1].choices
    usage = chunks[-1].usage
    assert usage.completion_tokens == whole.usage.completion_tokens
    # The role, the tokens, the finish reason, the usage.
    assert len(chunks) == 1 + usage.completion_tokens + 2
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1


def test_second_turn_finds_the_first_in_the_cache(client):
    first = ask(client, SUM)
    turn = [*SUM, {"role": "assistant", "content": first.choices[0].message.content}, *QUESTION]
    second = ask(client, turn, max_tokens=1)
    assert second.usage.prompt_tokens_details.cached_tokens >= first.usage.prompt_tokens - 8


def test_reasoning_has_a_field_of_its_own(client):
    answer = ask(client, SUM, extra_body={"chat_template_kwargs": {"enable_thinking": True}})
    message = answer.choices[0].message
    assert message.reasoning and message.reasoning == message.reasoning_content
    assert "<" not in message.content
    assert answer.usage.completion_tokens_details.reasoning_tokens > 0
    chunks = list(ask(client, SUM, stream=True, reasoning_effort="low"))
    reasoning = "".join(getattr(chunk.choices[0].delta, "reasoning", "") for chunk in chunks)
    assert reasoning == message.reasoning


def test_calls_a_tool_and_goes_on_with_its_result(client):
    golden = read_golden(7)
    answer = ask(client, golden["messages"], tools=golden["tools"])
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    call = choice.message.tool_calls[0]
    assert call.function.name == golden["tools"][0]["function"]["name"]
    assert isinstance(json.loads(call.function.arguments), dict)

    arguments, name = "", None
    for chunk in ask(client, golden["messages"], tools=golden["tools"], stream=True):
        for delta in chunk.choices[0].delta.tool_calls or []:
            name = delta.function.name or name
            arguments += delta.function.arguments or ""
    assert (name, arguments) == (call.function.name, call.function.arguments)

    history = [*golden["messages"], choice.message.to_dict(),
               {"role": "tool", "tool_call_id": call.id, "content": "84"}]
    assert ask(client, history, tools=golden["tools"]).choices[0].message.content


def test_logprobs(client):
    answer = ask(client, QUESTION, logprobs=True, top_logprobs=3)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == answer.usage.completion_tokens
    for token in tokens:
        assert token.logprob == token.top_logprobs[0].logprob <= 0  # greedy
        assert len(token.top_logprobs) == 3
    text = b"".join(bytes(token.bytes) for token in tokens[:-1]).decode()
    assert text == answer.choices[0].message.content


def test_samples_with_a_seed_repeat(client):
    def sample():
        answer = client.chat.completions.create(model="demo", messages=SUM, temperature=2, top_p=1, seed=7, n=3,
                                                max_tokens=12, extra_body={"top_k": -1})
        return [choice.message.content for choice in answer.choices]

    first = sample()
    assert len(set(first)) > 1
    assert sample() == first


def test_stops(client):
    whole = ask(client, QUESTION).choices[0].message.content
    stop = whole.split()[2]
    answer = ask(client, QUESTION, stop=[stop]).choices[0]
    assert answer.message.content == whole[:whole.index(stop)]
    assert answer.finish_reason == "stop"
    assert ask(client, QUESTION, max_completion_tokens=2).choices[0].finish_reason == "length"


def test_errors_are_the_clients_exceptions(client):
    with pytest.raises(openai.NotFoundError, match="gpt-4"):
        client.chat.completions.create(model="gpt-4", messages=QUESTION)
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, [{"role": "user", "content": 7}])
    assert refused.value.param == "messages[0].content"
    assert refused.value.type == "invalid_request_error"
    with pytest.raises(openai.BadRequestError) as too_long:
        ask(client, [{"role": "user", "content": "How many apples? " * 300}])
    assert too_long.value.code == "context_length_exceeded"
    assert too_long.value.body["n_ctx"] == 512
    with pytest.raises(openai.BadRequestError, match="response_format"):
        ask(client, QUESTION, response_format={"type": "xml"})


def test_legacy_completions(client):
    answer = client.completions.create(model="demo", prompt=["Hi", "Sam has"], max_tokens=4, temperature=0, logprobs=2,
                                       echo=True)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.choices[1].text.startswith("Sam has")
    logprobs = answer.choices[1].logprobs
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.top_logprobs)
    assert logprobs.token_logprobs[0] is None
    streamed = client.completions.create(model="demo", prompt="Sam has", max_tokens=4, temperature=0, echo=True,
                                         stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed) == answer.choices[1].text


def test_retries_when_the_queue_is_full(start_server):
    """Refusals carry a Retry-After that the client waits for; in the end everyone is answered."""
    import concurrent.futures

    small = start_server("--ctx", 256, "--max-seqs", 1, "--queue", 1)
    client = openai.OpenAI(base_url=small.url + "/v1", api_key="none", max_retries=30)
    for _ in range(3):  # from here on it knows how fast answers end
        ask(client, QUESTION, max_tokens=1)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: ask(client, QUESTION, max_tokens=8), range(6)))
    assert len({answer.choices[0].message.content for answer in answers}) == 1
