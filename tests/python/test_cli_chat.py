"""`beryl run MODEL` on a terminal: the chat, its commands, and Ctrl-C."""

import json
import re

import pytest

PROMPT = ">>> "
FIGURES = re.compile(r"(\d+) tokens, [\d.]+ tokens/s; prompt (\d+) tokens in [\d.]+ s, (\d+) cached; (\w+)\n$")
THINKING_QUESTION = "Emma had 28 shells. She bought 13 more and then gave 25 to Mark. How many shells does Emma have now?"


class Chat:
    """A chat on a terminal, at its prompt."""

    def __init__(self, terminal):
        self.terminal = terminal
        self.greeting = terminal.expect_prompt(PROMPT)

    def say(self, line, prompt=PROMPT):
        """Enters the line; returns what is shown between it and the next prompt."""
        self.terminal.enter(line)
        self.terminal.expect(line + "\n")  # the echo
        return self.terminal.expect_prompt(prompt)

    def saved(self, file):
        assert str(file) in self.say(f"/save {file}")
        return json.loads(file.read_text())


@pytest.fixture
def open_chat(beryl_on_terminal, demo, tmp_path):
    """Opens a greedy chat without colours."""

    def start(*options, model=demo, env=None):
        env = {"TERM": "dumb", "NO_COLOR": "1", "HOME": str(tmp_path), **(env or {})}
        return Chat(beryl_on_terminal("run", model, "--temperature", "0", *options, env=env))

    return start


@pytest.fixture
def chat(open_chat):
    return open_chat()


@pytest.fixture(scope="module")
def two_turns(project):
    """The golden conversation of two questions: the messages, and the float32 answer to the second one."""
    prompts = json.loads((project / "models/demo/golden.json").read_text())["prompts"]
    prompt = next(prompt for prompt in prompts if [message["role"] for message in prompt["messages"]] == ["user", "assistant", "user"])
    return [message["content"] for message in prompt["messages"]], prompt["float32"]["text"].removesuffix("<turn|>")


def figures(text):
    """(answer's tokens, prompt's tokens computed, prompt's tokens cached, reason of the end) from the line of figures."""
    *counts, reason = FIGURES.search(text).groups()
    return *map(int, counts), reason


def test_greets_and_lists_its_commands(chat, demo):
    assert str(demo) in chat.greeting and "/help" in chat.greeting
    text = chat.say("/help")
    for command in ("/system", "/think", "/set", "/clear", "/save", "/stats", "/exit", '"""', "Ctrl-C"):
        assert command in text


def test_holds_a_conversation(open_chat, tmp_path, two_turns):
    (first, answer, second), second_answer = two_turns
    chat = open_chat("--compute", "f32")
    assert chat.say(first).startswith(answer + "\n")
    assert chat.say(second).startswith(second_answer + "\n")
    conversation = chat.saved(tmp_path / "chat.json")
    assert [(message["role"], message["content"]) for message in conversation["messages"]] == [
        ("user", first), ("assistant", answer), ("user", second), ("assistant", second_answer)]


def test_computes_only_what_the_conversation_adds(open_chat, beryl, demo, two_turns):
    (first, answer, second), _ = two_turns
    chat = open_chat()
    _, computed, cached, reason = figures(chat.say(first))
    assert (cached, reason) == (0, "stop")
    alone = json.loads(beryl("run", demo, first, "--json").stdout)["usage"]
    assert computed == alone["prompt_tokens"]
    _, computed_again, cached_again, _ = figures(chat.say(second))
    shared = beryl("tokenize", demo, f"<bos><|turn>user\n{first}<turn|>\n<|turn>model\n", "--json")
    assert cached_again == len(json.loads(shared.stdout)["ids"])
    added = f"{answer}<turn|>\n<|turn>user\n{second}<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"
    assert computed_again == len(json.loads(beryl("tokenize", demo, added, "--json").stdout)["ids"])


def test_shows_and_hides_figures(chat):
    assert FIGURES.search(chat.say("Hi there!"))
    assert re.search(r"\boff\b.* [1-9]\d* of \d+ tokens", chat.say("/stats"))
    assert not FIGURES.search(chat.say("Hi there!"))
    assert "on" in chat.say("/stats")
    assert FIGURES.search(chat.say("Hi there!"))


def test_forgets(chat, tmp_path):
    chat.say("What is 12 * 7?")
    chat.say("/clear")
    assert chat.saved(tmp_path / "empty.json")["messages"] == []
    _, computed, cached, _ = figures(chat.say("What is 12 * 7?"))
    assert len(chat.saved(tmp_path / "one.json")["messages"]) == 2
    assert computed + cached < 30  # one question's prompt, not two


def test_sets_and_removes_the_system_message(chat, tmp_path):
    chat.say("Hi there!")
    chat.say("/system You are a math tutor.")
    chat.say("What is 12 * 7?")
    roles = [message["role"] for message in chat.saved(tmp_path / "with.json")["messages"]]
    assert roles == ["system", "user", "assistant"]
    chat.say("/system")
    assert chat.saved(tmp_path / "without.json")["messages"] == []


def test_thinks_when_told_to(chat, tmp_path):
    assert "on" in chat.say("/think on")
    text = chat.say(THINKING_QUESTION)
    reasoning, content = text.removeprefix("(thoughts)\n").split("(end of thoughts)\n")
    assert "28 + 13" in reasoning and "28 + 13" not in content and "#### 16" in content
    message = chat.saved(tmp_path / "thoughts.json")["messages"][-1]
    assert "28 + 13" not in message["content"]
    assert "off" in chat.say("/think off")
    assert "(thoughts)" not in chat.say(THINKING_QUESTION)


def test_sets_sampling(chat):
    assert "greedy" in chat.say("/set max-tokens 3")
    assert figures(chat.say("Hi there!"))[::3] == (3, "length")
    assert "temperature 0.5, top-k 7" in chat.say("/set temperature 0.5") + chat.say("/set top-k 7")
    assert "seed 42" in chat.say("/set seed 42")
    assert "at most 2048 tokens" in chat.say("/set max-tokens default")


@pytest.mark.parametrize("line", ["/set temperature 9", "/set max-tokens -1", "/set top-k x", "/set colour 1", "/nonsense", "/save",
                                  "/save /no/such/folder/chat.json", "/think maybe"])
def test_goes_on_after_a_wrong_command(chat, line):
    assert chat.say(line).startswith("error: ")
    assert "greedy" in chat.say("/set")
    assert "Hello" in chat.say("Hi there!")


def test_takes_a_text_of_several_lines(chat, tmp_path):
    chat.say('"""What is', prompt="... ")
    chat.say("", prompt="... ")
    assert FIGURES.search(chat.say('12 * 7?"""'))
    assert chat.saved(tmp_path / "lines.json")["messages"][0]["content"] == "What is\n\n12 * 7?"


@pytest.mark.parametrize("locale", ["C.UTF-8", "C", ""])
def test_takes_any_letters(open_chat, tmp_path, locale):
    chat = open_chat("--max-tokens", "1", env={"LC_ALL": locale, "LANG": locale})
    chat.terminal.enter("Grüße, 世界 🙂!")
    chat.terminal.expect("length\n")
    chat.terminal.expect_prompt(PROMPT)
    assert chat.saved(tmp_path / "letters.json")["messages"][0]["content"] == "Grüße, 世界 🙂!"


def test_asks_for_the_results_of_tools(open_chat, demo_tools, tmp_path):
    chat = open_chat("--tools", str(demo_tools))
    text = chat.say("What is 12 * 7?", prompt="result of calculate> ")
    assert 'tool call: calculate {"expression":"12*7"}' in text
    assert "12*7 = 84\n#### 84" in chat.say("84")
    conversation = chat.saved(tmp_path / "tools.json")
    assert [message["role"] for message in conversation["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert conversation["messages"][1]["tool_calls"][0]["function"]["name"] == "calculate"
    assert conversation["messages"][2]["content"] == "84"
    assert conversation["tools"] == json.loads(demo_tools.read_text())


@pytest.mark.parametrize("leave", ["/exit", "/quit", "/bye"])
def test_leaves_when_told_to(chat, leave):
    chat.terminal.enter(leave)
    assert chat.terminal.finish()[0] == 0
    assert chat.terminal.close() == ""


def test_leaves_at_the_end_of_input(chat):
    chat.terminal.press_ctrl_d()
    assert chat.terminal.finish()[0] == 0


def test_ctrl_c_stops_an_answer_and_the_chat_goes_on(open_chat, endless_demo, tmp_path):
    chat = open_chat("--max-tokens", "1000000", "--ctx", "100000", model=endless_demo)
    chat.terminal.enter("Hi there!")
    chat.terminal.expect("Hello")
    chat.terminal.press_ctrl_c()
    assert figures(chat.terminal.expect_prompt(PROMPT))[3] == "cancelled"
    messages = chat.saved(tmp_path / "stopped.json")["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert messages[1]["content"].startswith("Hello")
    chat.say("/set max-tokens 5")
    assert figures(chat.say("What is 12 * 7?"))[::3] == (5, "length")


def test_ctrl_c_drops_a_line_and_twice_leaves(chat):
    chat.terminal.type("What is")
    chat.terminal.expect("What is")
    chat.terminal.press_ctrl_c()
    assert "again" in chat.terminal.expect_prompt(PROMPT)
    assert "Hello" in chat.say("Hi there!")  # neither the dropped line nor the end
    chat.terminal.press_ctrl_c()
    assert "again" in chat.terminal.expect_prompt(PROMPT)
    chat.terminal.press_ctrl_c()
    assert chat.terminal.finish()[0] == 130


def test_ctrl_c_drops_a_text_of_several_lines(chat, tmp_path):
    chat.say('"""What is', prompt="... ")
    chat.terminal.press_ctrl_c()
    chat.terminal.expect_prompt(PROMPT)
    assert chat.saved(tmp_path / "nothing.json")["messages"] == []


def test_ctrl_c_in_place_of_a_result_forgets_the_question(open_chat, demo_tools, tmp_path):
    chat = open_chat("--tools", str(demo_tools))
    chat.say("What is 12 * 7?", prompt="result of calculate> ")
    chat.terminal.press_ctrl_c()
    chat.terminal.expect_prompt(PROMPT)
    assert chat.saved(tmp_path / "nothing.json")["messages"] == []
