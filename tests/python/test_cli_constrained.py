"""`beryl run` with --json-schema, --choices, --regex and --grammar: what the model may write, checked by other programs."""

import json
import re

import pytest

jsonschema = pytest.importorskip("jsonschema")

QUESTION = "Mia has 23 stickers. Mark has 2 more stickers than Mia. How many stickers do they have altogether?"
THINKING_QUESTION = "Emma had 28 shells. She bought 13 more and then gave 25 to Mark. How many shells does Emma have now?"
ORDER = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 12},
        "size": {"enum": ["small", "large"]},
        "count": {"type": "integer", "minimum": 1, "maximum": 99},
        "notes": {"type": "array", "items": {"type": "string", "maxLength": 8}, "maxItems": 2},
    },
    "required": ["name", "size", "count"],
    "additionalProperties": False,
}
SUM = 'root ::= number ("+" number){1,3} "=" number\nnumber ::= [1-9] [0-9]?\n'


@pytest.fixture(scope="module")
def schema_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("schemas") / "order.json"
    file.write_text(json.dumps(ORDER))
    return file


@pytest.fixture(scope="module")
def answer(beryl, demo):
    """The answer to a question as it is printed, without its line end."""

    def run(*options, question=QUESTION, **keywords):
        done = beryl("run", demo, *options, question, **keywords)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith("\n")
        return done.stdout[:-1]

    return run


@pytest.mark.parametrize("seed", range(3))
def test_an_answer_is_valid_for_a_schema(answer, schema_file, seed):
    text = answer("--json-schema", schema_file, "--seed", seed, "--temperature", 1)
    jsonschema.validate(json.loads(text), ORDER)


def test_a_schema_may_be_the_argument_itself(answer):
    schema = {"type": "object", "properties": {"sum": {"const": 48}}, "required": ["sum"]}
    assert json.loads(answer("--json-schema", json.dumps(schema))) == {"sum": 48}


@pytest.mark.parametrize("question", ["Is 2 + 2 = 4?", "What is 12 * 7?"])
def test_an_answer_is_one_of_the_choices(answer, question):
    assert answer("--choices", "yes,no", "--choices", "not sure", question=question) in ("yes", "no", "not sure")


def test_the_model_decides_between_choices(answer):
    options = ["--temperature", 0, "--choices", "no idea,12 * 7 = 48,12 * 7 = 84"]
    assert answer(*options, question="What is 12 * 7?") == "12 * 7 = 84"


def test_an_answer_matches_an_expression(answer):
    expression = r"(mon|tues)day, [0-2]\d:[0-5]\d( or so)?"
    for seed in range(3):
        text = answer("--regex", expression, "--seed", seed, "--temperature", 1)
        assert re.fullmatch(expression, text), text


@pytest.mark.parametrize("is_file", [True, False])
def test_an_answer_follows_a_grammar(answer, tmp_path, is_file):
    value = SUM
    if is_file:
        value = tmp_path / "sum.gbnf"
        value.write_text(SUM)
    assert re.fullmatch(r"[1-9]\d?(\+[1-9]\d?){1,3}=[1-9]\d?", answer("--grammar", value, "--temperature", 0))


def test_a_prompt_may_be_piped_in(beryl, demo):
    done = beryl("run", demo, "--choices", "yes,no", input="Is 2 + 2 = 4?")
    assert done.returncode == 0
    assert done.stdout in ("yes\n", "no\n")


def test_the_json_answer_holds_the_text(answer, schema_file):
    reply = json.loads(answer("--json-schema", schema_file, "--json", "--temperature", 0))
    jsonschema.validate(json.loads(reply["message"]["content"]), ORDER)
    assert reply["finish_reason"] == "stop"


def test_thinking_stays_free(answer):
    options = ["--think", "--json", "--temperature", 0]
    free = json.loads(answer(*options, question=THINKING_QUESTION))
    bound = json.loads(answer(*options, "--regex", "[A-Z]{5}", question=THINKING_QUESTION))
    assert bound["message"]["reasoning"] == free["message"]["reasoning"] != ""
    assert re.fullmatch("[A-Z]{5}", bound["message"]["content"])


def test_continued_text_is_bound_at_once(beryl, demo):
    done = beryl("run", demo, "--raw", "<bos>2 + 2 =", "--regex", " [0-9]{3}")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r" \d{3}\n", done.stdout)


def test_every_answer_of_a_chat_is_bound(beryl_on_terminal, demo, tmp_path):
    terminal = beryl_on_terminal("run", str(demo), "--choices", "aye,nay",
                                 env={"TERM": "dumb", "NO_COLOR": "1", "HOME": str(tmp_path)})
    terminal.expect_prompt(">>> ")
    for question in ["Is 2 + 2 = 4?", "Is 1 + 1 = 3?"]:
        terminal.enter(question)
        terminal.expect(question + "\n")
        shown = terminal.expect_prompt(">>> ")
        assert shown.splitlines()[0] in ("aye", "nay"), shown


@pytest.mark.parametrize("raw", [False, True])
def test_an_answer_that_is_cut_off_says_so(beryl, demo, schema_file, raw):
    prompt = ["--raw", "<bos>Hi"] if raw else [QUESTION]
    done = beryl("run", demo, *prompt, "--json-schema", schema_file, "--max-tokens", 3)
    assert done.returncode == 0
    assert done.stderr.startswith("warning: ")
    assert "--max-tokens" in done.stderr
    assert done.stdout.startswith("{")


CONSTRAINTS = {"--json-schema": "{}", "--choices": "a,b", "--regex": "a", "--grammar": 'root ::= "a"'}


@pytest.mark.parametrize("first, second", [("--json-schema", "--choices"), ("--regex", "--grammar"),
                                           ("--json-schema", "--tools")])
def test_contradictions_are_wrong_usage(beryl, demo, demo_tools, first, second):
    values = {**CONSTRAINTS, "--tools": demo_tools}
    done = beryl("run", demo, first, values[first], second, values[second], QUESTION)
    assert (done.returncode, done.stdout) == (2, "")
    assert first in done.stderr
    assert second in done.stderr
    assert "excludes" in done.stderr


REFUSED = {
    "keyword of a schema": (["--json-schema", '{"properties": {"a": {"not": {}}}}'], ["--json-schema", "not", "/properties/a"]),
    "schema that is no JSON": (["--json-schema", "{]"], ["--json-schema"]),
    "schema that nothing satisfies": (["--json-schema", '{"type": "integer", "minimum": 2, "maximum": 1}'], ["--json-schema"]),
    "missing schema": (["--json-schema", "no/such.json"], ["'no/such.json'", "help: "]),
    "missing grammar": (["--grammar", "no/such.gbnf"], ["'no/such.gbnf'", "help: "]),
    "grammar without root": (["--grammar", 'start ::= "a"'], ["--grammar", "root"]),
    "grammar with an unknown rule": (["--grammar", "root ::= b"], ["--grammar", "line 1"]),
    "back-reference": (["--regex", r"(a)\1"], ["--regex", "byte 5"]),
}


@pytest.mark.parametrize("options, words", REFUSED.values(), ids=REFUSED)
def test_says_what_is_wrong_with_a_constraint(beryl, demo, options, words):
    done = beryl("run", demo, *options, QUESTION)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    for word in words:
        assert word in done.stderr


def test_a_file_of_a_constraint_is_named(beryl, demo, tmp_path):
    file = tmp_path / "bad.json"
    file.write_text('{"uniqueItems": true}')
    done = beryl("run", demo, "--json-schema", file, QUESTION)
    assert done.returncode == 1
    assert f"--json-schema '{file}'" in done.stderr
    assert "uniqueItems" in done.stderr
    # It is said before the weights are read, which may take minutes.
    assert "loading" not in done.stderr


@pytest.mark.parametrize("stop", [["--stop", "="], ["--stop", "=", "--stop", "zzz"]])
def test_a_stop_text_does_not_take_the_prompt(beryl, demo, stop):
    done = beryl("run", demo, "--temperature", 0, *stop, QUESTION)
    assert (done.returncode, done.stderr) == (0, "")
    assert "=" not in done.stdout
    assert "23" in done.stdout


TOOL_QUESTION = "What is 12 * 7?"


def test_calls_of_tools_fit_their_schema(beryl, demo, demo_tools, tmp_path):
    """The model would write 12*7, which this schema does not allow."""
    tools = json.loads(demo_tools.read_text())
    tools[0]["function"]["parameters"]["properties"]["expression"]["enum"] = ["1+1", "2+2"]
    file = tmp_path / "tools.json"
    file.write_text(json.dumps(tools))
    done = beryl("run", demo, TOOL_QUESTION, "--tools", file, "--temperature", 0)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout in ('tool call: calculate {"expression":"1+1"}\n', 'tool call: calculate {"expression":"2+2"}\n')
