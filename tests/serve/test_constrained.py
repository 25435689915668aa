"""Answers that follow a schema, an expression, a grammar or a tool, asked for with OpenAI's own Python client."""

import json
import re
from typing import Literal

import jsonschema
import openai
import pydantic
import pytest

SUM = [{"role": "user", "content": "Sam has 12 boxes with 7 apples each. How many apples does Sam have?"}]
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "apples": {"type": "integer", "minimum": 0, "maximum": 999},
        "kind": {"enum": ["red", "green"]},
        "boxes": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"$ref": "#/$defs/box"}},
    },
    "required": ["name", "apples", "kind", "boxes"],
    "additionalProperties": False,
    "$defs": {"box": {"type": "object", "properties": {"full": {"type": "boolean"}}, "required": ["full"],
                      "additionalProperties": False}},
}
TOOLS = [
    {"type": "function", "function": {
        "name": "calculate", "description": "Evaluate an arithmetic expression",
        "parameters": {"type": "object", "required": ["expression", "digits"], "properties": {
            "expression": {"type": "string", "maxLength": 12}, "digits": {"enum": [0, 2]}}}}},
    {"type": "function", "function": {
        "name": "note", "parameters": {"type": "object", "required": ["loud"], "properties": {
            "loud": {"type": "boolean"}, "words": {"type": "array", "maxItems": 2, "items": {"enum": ["a", "b"]}}}}}},
]


@pytest.fixture(scope="module")
def client(server):
    """A client as its documentation makes it."""
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)


def ask(client, **more):
    """A choice of a chat; greedy unless a seed is given."""
    sampling = {"seed": more["seed"], "temperature": 1.5} if "seed" in more else {"temperature": 0}
    return client.chat.completions.create(**{"model": "demo", "messages": SUM, "max_tokens": 300, **sampling,
                                             **more}).choices[0]


def schema_format(schema):
    """The field of a request that asks for a schema."""
    return {"type": "json_schema", "json_schema": {"name": "thing", "strict": True, "schema": schema}}


def structured(**constraint):
    """vLLM's field."""
    return {"structured_outputs": constraint}


def check_calls(message):
    """The names of the calls, whose arguments fit their tools."""
    parameters = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}
    for call in message.tool_calls:
        jsonschema.validate(json.loads(call.function.arguments), parameters[call.function.name])
    return [call.function.name for call in message.tool_calls]


# ---- Formats ----

@pytest.mark.parametrize("sampling", [{}, {"seed": 1}, {"seed": 2}, {"seed": 3, "n": 3}])
def test_schema(client, sampling):
    answer = client.chat.completions.create(model="demo", messages=SUM, temperature=1 if sampling else 0, **sampling,
                                            response_format=schema_format(SCHEMA))
    for choice in answer.choices:
        assert choice.finish_reason == "stop"
        jsonschema.validate(json.loads(choice.message.content), SCHEMA)


def test_schema_in_a_stream(client):
    whole = ask(client, response_format=schema_format(SCHEMA))
    chunks = list(client.chat.completions.create(model="demo", messages=SUM, temperature=0, stream=True,
                                                 response_format=schema_format(SCHEMA)))
    content = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    jsonschema.validate(json.loads(content), SCHEMA)
    assert content == whole.message.content
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_pydantic_models_are_parsed(client):
    class Box(pydantic.BaseModel):
        colour: Literal["red", "green"]
        is_full: bool

    class Order(pydantic.BaseModel):
        count: Literal[12, 84]
        first: Box
        second: Box | None

    completion = client.chat.completions.parse(model="demo", messages=SUM, temperature=0, response_format=Order)
    assert isinstance(completion.choices[0].message.parsed, Order)
    with client.chat.completions.stream(model="demo", messages=SUM, temperature=0, response_format=Order) as stream:
        parsed = stream.get_final_completion().choices[0].message.parsed
    assert parsed == completion.choices[0].message.parsed


def test_any_json_object(client, server):
    """A brace that closes is the likeliest token wherever it is allowed."""
    bias = {token: 100 for token in server.tokenize("}")}
    choice = ask(client, response_format={"type": "json_object"}, logit_bias=bias)
    assert choice.finish_reason == "stop"
    assert isinstance(json.loads(choice.message.content), dict)
    cut = ask(client, response_format={"type": "json_object"}, max_tokens=3)
    assert cut.message.content.startswith("{")


def test_structured_outputs(client):
    content = ask(client, extra_body=structured(json=SCHEMA)).message.content
    jsonschema.validate(json.loads(content), SCHEMA)
    assert ask(client, extra_body=structured(json=json.dumps(SCHEMA))).message.content == content
    assert ask(client, extra_body=structured(choice=["yes", "no"])).message.content in ("yes", "no")
    assert re.fullmatch(r"[A-Z]{2}-\d{3}", ask(client, extra_body=structured(regex=r"[A-Z]{2}-\d{3}")).message.content)
    grammar = 'root ::= number (" + " number){1,3}\nnumber ::= [1-9] [0-9]?'
    content = ask(client, extra_body=structured(grammar=grammar)).message.content
    assert re.fullmatch(r"[1-9]\d?( \+ [1-9]\d?){1,3}", content)
    assert ask(client, extra_body=structured(json_object=True), max_tokens=3).message.content.startswith("{")


def test_samples_differ(client):
    answer = client.chat.completions.create(model="demo", messages=SUM, n=8, seed=4, temperature=2, top_p=1,
                                            extra_body={"top_k": -1, **structured(choice=["A", "B", "C"])})
    contents = {choice.message.content for choice in answer.choices}
    assert len(contents) > 1
    assert contents <= {"A", "B", "C"}


def test_legacy_completions(client):
    answer = client.completions.create(model="demo", prompt=["Sam has", "Mia has"], max_tokens=20, temperature=0,
                                       extra_body=structured(regex=r" \d{1,3} (apples|boxes)\."))
    for choice in answer.choices:
        assert re.fullmatch(r" \d{1,3} (apples|boxes)\.", choice.text)
        assert choice.finish_reason == "stop"
    answer = client.completions.create(model="demo", prompt="Sam has", max_tokens=300, temperature=0,
                                       extra_body={"response_format": schema_format(SCHEMA)})
    jsonschema.validate(json.loads(answer.choices[0].text), SCHEMA)


def test_thoughts_are_untouched(client):
    thinks = {"chat_template_kwargs": {"enable_thinking": True}}
    free = ask(client, extra_body=thinks)
    choice = ask(client, extra_body={**thinks, **structured(choice=["many", "few"])})
    assert choice.message.reasoning and choice.message.reasoning == free.message.reasoning
    assert choice.message.content in ("many", "few")
    assert check_calls(ask(client, extra_body=thinks, tools=TOOLS, tool_choice="required").message)


# ---- Tools ----

@pytest.mark.parametrize("sampling", [{}, {"seed": 1}, {"seed": 2}])
def test_required_calls(client, sampling):
    choice = ask(client, tools=TOOLS, tool_choice="required", **sampling)
    assert choice.finish_reason == "tool_calls"
    assert not choice.message.content
    assert check_calls(choice.message)
    single = ask(client, tools=TOOLS, tool_choice="required", parallel_tool_calls=False, **sampling)
    assert len(check_calls(single.message)) == 1


@pytest.mark.parametrize("name", ["calculate", "note"])
def test_named_calls(client, name):
    named = {"type": "function", "function": {"name": name}}
    choice = ask(client, tools=TOOLS, tool_choice=named, seed=5)
    assert check_calls(choice.message) == [name]
    arguments, names = "", []
    for chunk in client.chat.completions.create(model="demo", messages=SUM, tools=TOOLS, tool_choice=named, seed=5,
                                                temperature=1.5, max_tokens=300, stream=True):
        for delta in chunk.choices[0].delta.tool_calls or []:
            names += [delta.function.name] if delta.function.name else []
            arguments += delta.function.arguments or ""
    assert names == [name]
    assert arguments == choice.message.tool_calls[0].function.arguments


def test_calls_that_begin_fit_their_tool(client, server):
    """The model would rather write other arguments; left alone it answers in words."""
    choice = ask(client, tools=TOOLS, parallel_tool_calls=False,
                 logit_bias={token: 100 for token in server.tokenize("<|tool_call>")})
    assert choice.finish_reason == "tool_calls"
    assert check_calls(choice.message)


def test_a_format_leaves_calls_possible(client):
    calculator = [{"type": "function", "function": {
        "name": "calculate", "description": "Work out an arithmetic expression.", "parameters": {
            "type": "object", "required": ["expression"], "properties": {
                "expression": {"type": "string", "description": "The expression, such as 3*4"}}}}}]
    more = {"response_format": schema_format(SCHEMA), "tools": calculator,
            "messages": [{"role": "user", "content": "What is 12 * 7?"}]}
    called = ask(client, **more)
    assert called.finish_reason == "tool_calls"
    assert json.loads(called.message.tool_calls[0].function.arguments) == {"expression": "12*7"}
    content = ask(client, **more, tool_choice="none").message.content
    jsonschema.validate(json.loads(content), SCHEMA)


def test_pydantic_tools_are_parsed(client):
    class Calculate(pydantic.BaseModel):
        digits: Literal[0, 2]
        rounds_up: bool

    message = client.chat.completions.parse(model="demo", messages=SUM, temperature=0, tool_choice="required",
                                            tools=[openai.pydantic_function_tool(Calculate)]).choices[0].message
    assert all(isinstance(call.function.parsed_arguments, Calculate) for call in message.tool_calls)


# ---- Errors ----

@pytest.mark.parametrize("field, reason, body", [
    ("response_format.json_schema.schema", "'not'",
     {"response_format": schema_format({"type": "object", "properties": {"a": {"not": {"type": "null"}}}})}),
    ("response_format.type", "xml", {"response_format": {"type": "xml"}}),
    ("structured_outputs.regex", "response_format",
     {"response_format": schema_format(SCHEMA), **structured(regex="a")}),
    ("structured_outputs.choice", "structured_outputs.regex", structured(regex="a", choice=["a"])),
    ("structured_outputs.regex", "", structured(regex="(a")),
    ("structured_outputs.regex", "", structured(regex=r"(a)\1")),
    ("structured_outputs.grammar", "", structured(grammar="root ::= nothing")),
    ("min_tokens", "structured_outputs.regex", {"min_tokens": 3, **structured(regex="a")}),
    ("guided_json", "structured_outputs.json", {"guided_json": SCHEMA}),
    ("tool_choice", "no tools", {"tool_choice": "required"}),
    ("tool_choice.function.name", "other",
     {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "other"}}}),
    ("tool_choice", "response_format",
     {"tools": TOOLS, "tool_choice": "required", "response_format": {"type": "json_object"}}),
])
def test_errors_name_the_field(client, field, reason, body):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, extra_body=body)
    assert refused.value.param == field
    assert reason in refused.value.body["message"]


def test_a_grammar_that_cannot_be_followed_ends_its_request_alone(client, server):
    """Each bracket may be of either kind until one closes, so there are twice as many ways after each."""
    body = {"extra_body": structured(grammar='root ::= "(" root ")" | "(" root "]" | "x"'),
            "logit_bias": {token: 100 for token in server.tokenize("(")}}
    with pytest.raises(openai.BadRequestError, match="too ambiguous") as refused:
        ask(client, **body)
    assert refused.value.param == "structured_outputs.grammar"
    stream = client.chat.completions.create(model="demo", messages=SUM, temperature=0, stream=True, **body)
    with pytest.raises(openai.APIError, match="too ambiguous"):
        list(stream)
    assert ask(client, extra_body=structured(choice=["well"])).message.content == "well"
