"""What goes wrong is said on standard error, with a remedy where there is one; the exit code tells usage from failure."""

import json
import os
import subprocess

import pytest
from terminal import TIMEOUT_SECONDS

TRUNCATED_BYTES = 1000


@pytest.fixture(scope="module")
def refuse(beryl, tmp_path_factory):
    """Runs the binary, which must fail with the exit code and say nothing on standard output; returns what it said."""
    env = {"HOME": str(tmp_path_factory.mktemp("home"))}

    def run(exit_code, *arguments, **options):
        done = beryl(*arguments, **{"env": env, **options})
        assert done.returncode == exit_code, done
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert "\x1b" not in done.stderr
        return done.stderr

    return run


def help_line(text):
    error, help_text = text.splitlines()
    assert help_text.startswith("help: ")
    assert error.startswith("error: ")
    return help_text


USAGE_ERRORS = {
    "no command": [],
    "unknown command": ["chat"],
    "no model": ["run"],
    "unknown option": ["run", "models/demo-fp8", "Hi", "--colour"],
    "two prompts": ["run", "models/demo-fp8", "Hi", "there"],
    "prompt and raw text": ["run", "models/demo-fp8", "Hi", "--raw", "<bos>"],
    "raw text and thinking": ["run", "models/demo-fp8", "--raw", "<bos>", "--think"],
    "raw text and tools": ["run", "models/demo-fp8", "--raw", "<bos>", "--tools", "scripts/demo-tools.json"],
    "raw text and template": ["run", "models/demo-fp8", "--raw", "<bos>", "--chat-template", "models/demo-fp8/chat_template.jinja"],
    "seed that is no number": ["run", "models/demo-fp8", "Hi", "--seed", "x"],
    "negative token limit": ["run", "models/demo-fp8", "Hi", "--max-tokens", "-1"],
    "no threads": ["run", "models/demo-fp8", "Hi", "--threads", "0"],
    "unknown arithmetic": ["run", "models/demo-fp8", "Hi", "--compute", "f64"],
    "check without golden file": ["check", "models/demo-fp8"],
    "text and tokens": ["tokenize", "models/demo-fp8", "Hi", "--decode", "2"],
    "text and requests": ["tokenize", "models/demo-fp8", "Hi", "--stdin-json"],
    "tokens and requests": ["tokenize", "models/demo-fp8", "--decode", "2", "--stdin-json"],
    "token that is no number": ["tokenize", "models/demo-fp8", "--decode", "x"],
    "argument of a command without": ["version", "now"],
}


@pytest.mark.parametrize("arguments", USAGE_ERRORS.values(), ids=USAGE_ERRORS.keys())
def test_wrong_usage_exits_2(refuse, arguments):
    assert "--help" in help_line(refuse(2, *arguments))


def test_names_what_is_wrong_with_the_usage(refuse):
    assert "'chat'" in refuse(2, "chat")
    text = refuse(2, "run", "models/demo-fp8", "Hi", "--raw", "<bos>")
    assert "PROMPT" in text and "--raw" in text
    text = refuse(2, "run", "models/demo-fp8", "Hi", "--compute", "f64")
    assert "f64" in text and "bf16" in text and "f32" in text
    assert "--threads" in refuse(2, "run", "models/demo-fp8", "Hi", env={"BERYL_THREADS": "many"})


def test_a_chat_has_no_json_form(beryl_on_terminal, demo):
    shown = beryl_on_terminal("run", demo, "--json")
    code, text = shown.finish()
    assert (code, text) == (2, "")
    assert shown.close().startswith("error: --json")


def test_help_is_no_error(beryl):
    for arguments in (["--help"], ["run", "--help"], ["check", "-h"]):
        done = beryl(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Usage:" in done.stdout


@pytest.mark.parametrize("command", [["run", "{}", "Hi"], ["check", "{}", "testdata/golden/moe-bf16.safetensors"], ["tokenize", "{}", "Hi"]],
                         ids=lambda command: command[0])
def test_suggests_a_model_of_similar_name(refuse, command):
    text = refuse(1, *[word.format("models/demo-fp9") for word in command])
    assert "'models/demo-fp9'" in text
    assert "models/demo-fp8" in help_line(text)


def test_suggests_a_cached_model(refuse, tmp_path):
    (tmp_path / "models--google--gemma-4-demo/snapshots").mkdir(parents=True)
    text = refuse(1, "run", "google/gema-4-demo", "Hi", env={"HF_HUB_CACHE": str(tmp_path)})
    assert "google/gemma-4-demo" in help_line(text)


@pytest.mark.parametrize("model", ["org/no-such-model", "./no/such/folder", "x" * 300], ids=["id", "path", "long name"])
@pytest.mark.parametrize("command", ["run", "tokenize"])
def test_a_missing_model_has_a_remedy(refuse, command, model):
    help_line(refuse(1, command, model, "Hi"))


def test_a_file_is_no_model(refuse):
    assert "'models/demo-fp8'" in help_line(refuse(1, "run", "models/demo-fp8/config.json", "Hi"))


def test_a_truncated_checkpoint_names_the_file_and_the_missing_bytes(refuse, make_demo_copy):
    model = make_demo_copy("truncated")
    file = model / "model.safetensors"
    size = file.stat().st_size
    os.truncate(file, size - TRUNCATED_BYTES)
    text = refuse(1, "run", model, "Hi")
    assert str(file) in text and str(TRUNCATED_BYTES) in text
    assert "download" in help_line(text)


def test_a_checkpoint_without_weights_is_refused(refuse, make_demo_copy):
    model = make_demo_copy("weightless")
    (model / "model.safetensors").unlink()
    assert str(model) in refuse(1, "run", model, "Hi")


def test_another_models_tokenizer_is_refused(refuse, make_demo_copy):
    model = make_demo_copy("mixed")
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append({**tokenizer["added_tokens"][-1], "id": 2048, "content": "<one too many>"})
    tokenizer["model"]["vocab"]["<one too many>"] = 2048
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert "2049" in refuse(1, "run", model, "Hi")


def test_a_damaged_configuration_is_refused(refuse, make_demo_copy):
    model = make_demo_copy("garbled")
    (model / "config.json").write_text("{")
    assert "config.json" in refuse(1, "run", model, "Hi")


def test_gives_the_templates_own_error(refuse, tmp_path, demo):
    template = tmp_path / "picky.jinja"
    template.write_text("{%- if messages | length != 2 -%}{{ raise_exception('poems take two messages') }}{%- endif -%}")
    assert "poems take two messages" in refuse(1, "run", demo, "Hi", "--chat-template", template)


def test_names_template_and_line_of_a_mistake(refuse, tmp_path, demo):
    template = tmp_path / "open.jinja"
    template.write_text("{{ bos_token }}\n{% if messages %}")
    text = refuse(1, "run", demo, "Hi", "--chat-template", template)
    assert "open.jinja" in text and "2" in text.replace(str(tmp_path), "")


@pytest.mark.parametrize("option", ["--tools", "--chat-template"])
def test_names_a_file_that_is_not_there(refuse, demo, option):
    assert "no-such-file" in refuse(1, "run", demo, "Hi", option, "no-such-file")


@pytest.mark.parametrize("content", ["{", "{}", '[{"type": "function"}]'], ids=["no JSON", "no list", "no function"])
def test_refuses_tools_that_are_none(refuse, tmp_path, demo, content):
    file = tmp_path / "tools.json"
    file.write_text(content)
    refuse(1, "run", demo, "Hi", "--tools", file)


def test_refuses_sampling_out_of_range(refuse, demo):
    assert "temperature" in refuse(1, "run", demo, "Hi", "--temperature", "7")


def test_an_empty_pipe_is_no_prompt(refuse, demo):
    assert "pipe" in help_line(refuse(1, "run", demo, input=""))


def test_a_prompt_that_does_not_fit_is_refused(refuse, demo):
    text = refuse(1, "run", demo, "Hi there!", "--ctx", "5")
    assert "5" in text
    help_line(text)


def test_refuses_text_that_is_no_utf8(beryl, demo):
    done = beryl("run", demo, input=b"caf\xe9", text=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"error: ") and b"UTF-8" in done.stderr


@pytest.mark.parametrize("arguments", [["version"], ["run", "models/demo-fp8", "Hi there!"], ["doctor", "--json"]], ids=lambda words: words[0])
def test_output_that_cannot_be_written_is_a_failure(beryl_bin, project, arguments):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([beryl_bin, *arguments], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, text=True,
                              check=False, cwd=project, timeout=TIMEOUT_SECONDS)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and "standard output" in done.stderr
