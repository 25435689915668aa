"""`beryl run MODEL "question"` from outside: answers, their JSON form, and the options that shape them.

What the demo model answers was recorded from transformers: reference_answers.json in its folder, golden.json in demo's.
"""

import json
import shlex
import signal
import subprocess

import pytest
from terminal import TIMEOUT_SECONDS

ANSWERS_COMPARED = 5
TOOL_QUESTION = "What is 12 * 7?"
TOKENS_FOR_MINUTES = ["--max-tokens", 1_000_000, "--ctx", 100_000]


def load_lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def questions(project):
    return [line["question"] for line in load_lines(project / "models/demo/test.jsonl")]


@pytest.fixture(scope="module")
def references(demo):
    return json.loads((demo / "reference_answers.json").read_text())["answers"]


@pytest.fixture(scope="module")
def ask(beryl, demo):
    """The greedy float32 answer to a question, as parsed JSON."""

    def run(question, *options):
        done = beryl("run", demo, question, "--compute", "f32", "--temperature", 0, "--json", *options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("index", range(ANSWERS_COMPARED))
def test_answers_as_transformers_does(beryl, demo, questions, references, index):
    done = beryl("run", demo, questions[index], "--compute", "f32", "--temperature", 0)
    assert done.returncode == 0, done.stderr
    assert done.stdout == references[index]["text"] + "\n"
    assert done.stderr == ""


def test_answers_with_the_unquantised_model_and_several_threads(beryl, project, questions):
    answers = json.loads((project / "models/demo/reference_answers.json").read_text())["answers"]
    done = beryl("run", "models/demo", questions[0], "--compute", "f32", "--temperature", 0, "--threads", 3)
    assert (done.returncode, done.stdout) == (0, answers[0]["text"] + "\n")


def test_answers_the_same_with_weights_left_in_their_files(beryl, demo, questions, references):
    options = ["--compute", "f32", "--temperature", 0, "-v"]
    in_memory, in_files = beryl("run", demo, questions[0], *options), beryl("run", demo, questions[0], *options, "--mmap")
    assert in_memory.stdout == in_files.stdout == references[0]["text"] + "\n"
    assert "memory: weights 0 B" in in_files.stderr and "memory: weights 0 B" not in in_memory.stderr


def test_takes_the_prompt_from_a_pipe(beryl, demo, questions, references):
    done = beryl("run", demo, "--compute", "f32", "--temperature", 0, input=questions[0])
    assert (done.returncode, done.stdout) == (0, references[0]["text"] + "\n")


def test_gives_json(ask, questions, references):
    answer = ask(questions[0], "--seed", 5)
    assert list(answer) == ["message", "finish_reason", "seed", "usage", "timings"]
    assert answer["message"] == {"role": "assistant", "content": references[0]["text"]}
    assert answer["finish_reason"] == "stop"
    assert answer["seed"] == 5


def test_counts_tokens_and_seconds(ask, questions, references):
    answer = ask(questions[0])
    usage, timings = answer["usage"], answer["timings"]
    end_tokens = 1  # of the answer, recorded but not generated text
    assert usage == {"prompt_tokens": references[0]["prompt_tokens"], "cached_tokens": 0,
                     "completion_tokens": len(references[0]["ids"]) - end_tokens}
    assert set(timings) == {"prompt_seconds", "decode_seconds", "tokens_per_second"}
    assert all(isinstance(value, float) and value > 0 for value in timings.values())
    # The first token comes from the prompt's pass.
    counts = (usage["completion_tokens"] - 1, usage["completion_tokens"], usage["completion_tokens"] + end_tokens)
    speeds = [pytest.approx(count / timings["decode_seconds"]) for count in counts]
    assert timings["tokens_per_second"] in speeds


def test_separates_reasoning(ask, project):
    golden = json.loads((project / "models/demo/golden.json").read_text())["prompts"]
    question = next(prompt for prompt in golden if prompt.get("enable_thinking"))["messages"][-1]["content"]
    message = ask(question, "--think")["message"]
    assert message["content"].endswith("#### 16")  # 28 + 13 - 25
    assert "28 + 13" in message["reasoning"]
    assert "28 + 13" not in message["content"]
    for text in message.values():
        assert "<" not in text and "thought" not in text


def test_keeps_reasoning_out_of_plain_text(beryl, ask, demo, questions):
    message = ask(questions[7], "--think")["message"]
    done = beryl("run", demo, questions[7], "--think", "--compute", "f32", "--temperature", 0)
    assert message["reasoning"]
    assert done.stdout == message["content"] + "\n"


def test_has_no_reasoning_when_not_asked_to_think(ask, questions):
    assert "reasoning" not in ask(questions[7])["message"]


def test_parses_a_tool_call(ask, demo_tools):
    answer = ask(TOOL_QUESTION, "--tools", demo_tools)
    assert answer["finish_reason"] == "tool_calls"
    assert answer["message"]["content"] == ""
    (call,) = answer["message"]["tool_calls"]
    assert call["type"] == "function" and isinstance(call["id"], str) and call["id"]
    assert call["function"]["name"] == "calculate"
    assert json.loads(call["function"]["arguments"]) == {"expression": "12*7"}


def test_shows_a_tool_call_as_text(beryl, demo, demo_tools):
    done = beryl("run", demo, TOOL_QUESTION, "--tools", demo_tools, "--temperature", 0)
    assert (done.returncode, done.stdout) == (0, 'tool call: calculate {"expression":"12*7"}\n')


def test_puts_the_system_message_before_the_question(ask, project, references):
    golden = json.loads((project / "models/demo/golden.json").read_text())["prompts"]
    prompt = next(prompt for prompt in golden
                  if prompt["messages"][0]["role"] == "system" and not prompt.get("enable_thinking"))
    system, question = (message["content"] for message in prompt["messages"])
    answer = ask(question, "--system", system)
    assert answer["usage"]["prompt_tokens"] == len(prompt["prompt_ids"])
    assert answer["usage"]["prompt_tokens"] > ask(question)["usage"]["prompt_tokens"]
    assert answer["message"]["content"].endswith("#### 105")  # 70 + 70 / 2


def test_continues_raw_text(beryl, demo, questions, references):
    """The rendered prompt, given as it stands, leads to the same answer; greedy is the default here."""
    prompt = f"<bos><|turn>user\n{questions[0]}<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"
    done = beryl("run", demo, "--raw", prompt, "--compute", "f32")
    assert (done.returncode, done.stdout, done.stderr) == (0, references[0]["text"] + "\n", "")
    done = beryl("run", demo, "--raw", prompt, "--compute", "f32", "--json")
    answer = json.loads(done.stdout)
    assert answer["text"] == references[0]["text"]
    assert answer["usage"]["prompt_tokens"] == references[0]["prompt_tokens"]


def test_warns_of_raw_text_without_bos_and_of_an_unused_system_message(beryl, demo):
    done = beryl("run", demo, "--raw", "There are", "--system", "Be brief.", "--max-tokens", 2)
    assert done.returncode == 0
    warnings = done.stderr.splitlines()
    assert len(warnings) == 2 and all(line.startswith("warning: ") for line in warnings)
    assert "<bos>" in done.stderr and "system message" in done.stderr


def test_repeats_an_answer_with_its_seed(beryl, demo):
    """Hot sampling, so that two seeds hardly ever agree over sixty tokens."""

    def sample(seed):
        done = beryl("run", demo, "Hi there!", "--temperature", 2, "--top-k", 0, "--top-p", 1, "--seed", seed,
                     "--max-tokens", 60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert sample(1) == sample(1)
    assert len({sample(seed) for seed in range(1, 6)}) > 1


def test_reports_the_seed_that_it_drew(beryl, demo):
    options = ["run", demo, "Hi there!", "--temperature", 2, "--top-p", 1, "--json", "--max-tokens", 40]
    first = json.loads(beryl(*options).stdout)
    again = json.loads(beryl(*options, "--seed", first["seed"]).stdout)
    assert again["message"] == first["message"]
    assert json.loads(beryl(*options).stdout)["seed"] != first["seed"]


def test_takes_options_from_the_environment(beryl, demo, questions, references):
    env = {"BERYL_TEMPERATURE": "0", "BERYL_COMPUTE": "f32", "BERYL_MAX_TOKENS": "4"}
    answer = json.loads(beryl("run", demo, questions[0], "--json", env=env).stdout)
    assert answer["usage"]["completion_tokens"] == 4
    answer = json.loads(beryl("run", demo, questions[0], "--json", "--max-tokens", 100, env=env).stdout)
    assert answer["message"]["content"] == references[0]["text"]


def test_stops_at_the_token_limit(ask, questions, references):
    answer = ask(questions[0], "--max-tokens", 7)
    assert answer["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 7
    assert answer["message"]["content"]
    assert references[0]["text"].startswith(answer["message"]["content"])


def test_stops_at_a_text(ask, questions, references):
    expected = references[0]["text"].split(" marbles")[0]
    answer = ask(questions[0], "--stop", "no such text", "--stop", " marbles")
    assert answer["message"]["content"] == expected
    assert answer["finish_reason"] == "stop"


def test_uses_another_template(ask, tmp_path, questions, references):
    fixed = tmp_path / "fixed.jinja"
    fixed.write_text("{{ bos_token }}<|turn>user\n" + questions[1] + "<turn|>\n<|turn>model\n<|channel>thought\n<channel|>")
    assert ask(questions[0], "--chat-template", fixed)["message"]["content"] == references[1]["text"]


def test_writes_no_escape_codes_into_a_pipe(beryl, demo, questions):
    for options in (["--think"], ["--verbose"]):
        done = beryl("run", demo, questions[0], "--temperature", 0, *options, env={"TERM": "xterm-256color"})
        assert done.returncode == 0
        assert "\x1b" not in done.stdout + done.stderr and "\r" not in done.stdout + done.stderr


def test_dims_reasoning_on_a_terminal(beryl_on_terminal, demo, questions):
    shown = beryl_on_terminal("run", demo, questions[7], "--think", "--temperature", 0, env={"TERM": "xterm"})
    code, text = shown.finish()
    assert code == 0
    before, reasoning, content = text.replace("\x1b[0m", "\x1b[2m").split("\x1b[2m")
    assert before == "" and "28 + 13" in reasoning and "28 + 13" not in content
    assert content.rstrip("\n").endswith("#### 16")


def test_uses_no_colours_where_they_are_not_wanted(beryl_on_terminal, demo, questions):
    env = {"TERM": "xterm-256color", "NO_COLOR": "1"}
    code, text = beryl_on_terminal("run", demo, questions[7], "--think", "--temperature", 0, env=env).finish()
    assert code == 0
    assert "\x1b" not in text
    reasoning, content = text.removeprefix("(thoughts)\n").split("(end of thoughts)\n")
    assert "28 + 13" in reasoning and content.endswith("#### 16\n")


@pytest.fixture
def start(beryl_bin):
    """Starts the binary with its output in pipes."""
    started = []

    def run(*arguments):
        started.append(subprocess.Popen([beryl_bin, *map(str, arguments)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_ends_with_130_when_interrupted(start, endless_demo):
    process = start("run", endless_demo, "Hi there!", "--temperature", 0, *TOKENS_FOR_MINUTES)
    beginning = process.stdout.read(5)
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 130
    assert beginning == b"Hello"
    assert rest.endswith(b"\n") and errors == b""


def test_says_in_json_that_it_was_interrupted(start, endless_demo):
    """The line about sampling is the last one before the answer is generated."""
    process = start("run", endless_demo, "Hi there!", "--json", "--verbose", *TOKENS_FOR_MINUTES)
    while not process.stderr.readline().startswith(b"sampling:"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 130
    assert json.loads(output)["finish_reason"] == "cancelled"


def without_timings(text):
    """The fields of a JSON answer that do not depend on the machine; other text as it is."""
    if not text.startswith("{"):
        return text
    return {name: value for name, value in json.loads(text).items() if name != "timings"}


def test_answers_as_the_readme_shows(beryl, project):
    block = next(block for block in (project / "README.md").read_text().split("```\n") if block.startswith("== "))
    examples = [part.split("\n", 2) for part in block.split("== ")[1:]]
    assert len(examples) == 3
    for _, command, shown in examples:
        done = beryl(*shlex.split(command.removeprefix("$ "))[1:])
        assert done.returncode == 0, done.stderr
        assert without_timings(done.stdout.rstrip()) == without_timings(shown.rstrip()), command
