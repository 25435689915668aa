"""beryl eval: the demo models on their test problems against transformers' answers, resuming, and what it refuses."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest

TASKS = ["gsm8k", "gsm8k_cot", "gsm8k_cot_llama"]


@pytest.fixture(scope="session")
def demo_data(project):
    return project / "models/demo/test.jsonl"


@pytest.fixture(scope="session")
def evaluate(beryl, demo_data):
    """Runs the demo's own task; returns the JSON report."""

    def run(*arguments):
        done = beryl("eval", "gsm8k_zero_shot", *arguments, "--data", demo_data, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def read_lines(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_f32_gives_the_answers_of_transformers(evaluate, project, tmp_path):
    models = [project / "models/demo", project / "models/demo-fp8"]
    report = evaluate(*models, "--compute", "f32", "--output", tmp_path / "answers.jsonl")
    answers = read_lines(tmp_path / "answers.jsonl")
    for model, result in zip(models, report["models"]):
        reference = json.loads((model / "reference_answers.json").read_text(encoding="utf-8"))["answers"]
        ours = sorted((each for each in answers if each["model"] == str(model)), key=lambda each: each["index"])
        assert [each["answer"] for each in ours] == [each["text"] for each in reference]
        assert [each["strict_right"] for each in ours] == [each["right"] for each in reference]
        assert [each["prompt_tokens"] for each in ours] == [each["prompt_tokens"] for each in reference]
        assert result["strict"]["right"] == sum(each["right"] for each in reference)
        assert result["complete"]
    pair = report["pairs"][0]["strict"]
    assert pair["both"] + pair["only_first"] == report["models"][0]["strict"]["right"]
    assert pair["both"] + pair["only_second"] == report["models"][1]["strict"]["right"]


def test_bf16_is_right_as_often_within_one_answer(evaluate, project):
    for name in ("demo", "demo-fp8"):
        model = project / "models" / name
        recorded = json.loads((model / "reference_answers.json").read_text(encoding="utf-8"))["accuracy"]
        report = evaluate(model)
        assert abs(report["models"][0]["strict"]["right"] - 200 * recorded) <= 1


def test_goes_on_where_it_was(evaluate, demo, tmp_path):
    log = tmp_path / "answers.jsonl"
    evaluate(demo, "--limit", 4, "--output", log)
    with log.open("a", encoding="utf-8") as file:
        file.write('{"model": "half a li')
    report = evaluate(demo, "--limit", 7, "--output", log)["models"][0]
    assert report["answered_before"] == 4 and report["questions"] == 7
    assert sorted(each["index"] for each in read_lines(log)) == list(range(7))
    whole = evaluate(demo, "--limit", 7)["models"][0]
    assert whole["strict"] == report["strict"]


def test_an_interrupt_keeps_what_was_answered(beryl_bin, beryl, project, demo_data, tmp_path):
    log = tmp_path / "answers.jsonl"
    command = ["eval", "gsm8k_zero_shot", str(project / "models/demo"), "--data", str(demo_data), "--output", str(log)]
    running = subprocess.Popen([beryl_bin, *command, "--threads", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    deadline = time.monotonic() + 60
    while not (log.is_file() and log.read_bytes().count(b"\n") >= 3) and time.monotonic() < deadline:
        time.sleep(0.005)
    running.send_signal(signal.SIGINT)
    out, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert "INCOMPLETE" in out and "goes on from the recorded answers" in errors
    answered = len(read_lines(log))
    assert 3 <= answered < 200
    done = beryl(*command, "--json")
    assert json.loads(done.stdout)["models"][0]["answered_before"] == answered
    assert sorted(each["index"] for each in read_lines(log)) == list(range(200))


def test_concurrency_does_not_change_answers(evaluate, demo, tmp_path):
    answers = []
    for concurrency in (1, 5):
        log = tmp_path / f"{concurrency}.jsonl"
        evaluate(demo, "--limit", 12, "--concurrency", concurrency, "--output", log)
        answers.append({each["index"]: each["answer"] for each in read_lines(log)})
    assert answers[0] == answers[1]


def test_refuses_a_log_of_other_questions(beryl, demo, demo_data, tmp_path):
    log = tmp_path / "answers.jsonl"
    command = ["eval", "gsm8k_zero_shot", demo, "--data", demo_data, "--limit", 2, "--output", log]
    assert beryl(*command).returncode == 0
    thinking = beryl(*command, "--think")
    assert thinking.returncode == 1 and "another prompt" in thinking.stderr and "--output" in thinking.stderr
    shorter = beryl(*command, "--max-tokens", 5)
    assert shorter.returncode == 1 and "other settings" in shorter.stderr


def test_counts_cut_off_and_invalid_answers(evaluate, demo):
    report = evaluate(demo, "--limit", 3, "--max-tokens", 5)["models"][0]
    assert report["truncated"] == 3 and report["strict"]["invalid"] == 3 and report["strict"]["right"] == 0


def test_separates_thoughts_from_answers(evaluate, demo, tmp_path):
    evaluate(demo, "--limit", 3, "--think", "--output", tmp_path / "answers.jsonl")
    for each in read_lines(tmp_path / "answers.jsonl"):
        assert each["reasoning"] and "####" in each["answer"] and "####" not in each["reasoning"]


def test_prints_a_table_for_people(beryl, project, demo_data):
    models = [project / "models/demo", project / "models/demo-fp8"]
    done = beryl("eval", "gsm8k_zero_shot", *models, "--data", demo_data, "--limit", 5)
    assert done.returncode == 0, done.stderr
    for part in ("5 questions, 0 examples, chat template, greedy, bf16", "strict", "flexible", "invalid",
                 "demo-fp8 against demo, on the same 5 questions", "McNemar's exact test", "exactly the same 5 of 5"):
        assert part in done.stdout


@pytest.mark.parametrize("arguments, part", [
    (["mmlu", "MODEL"], "no task 'mmlu'"),
    (["gsm8k", "MODEL"], "--shots"),
    (["gsm8k_cot", "MODEL", "--num-fewshot", "9"], "gsm8k_cot has 8"),
    (["gsm8k_zero_shot"], "name a model"),
    (["gsm8k_zero_shot", "MODEL", "MODEL"], "named twice"),
    (["gsm8k_zero_shot", "MODEL", "--limit", "0"], "--limit"),
])
def test_says_what_is_wrong(beryl, demo, demo_data, arguments, part):
    done = beryl("eval", *[demo if each == "MODEL" else each for each in arguments], "--data", demo_data)
    assert done.returncode in (1, 2)
    assert part in done.stderr


def harness_python(more="datasets"):
    """A Python that has lm-eval and `more` modules: $BERYL_LM_EVAL_PYTHON, or this one."""
    python = os.environ.get("BERYL_LM_EVAL_PYTHON", sys.executable)
    found = subprocess.run([python, "-c", f"import lm_eval, {more}"], capture_output=True, check=False)
    if found.returncode != 0:
        pytest.skip("lm-eval is not installed: tools/gsm8k_reference.py tells how; name its Python in "
                    "BERYL_LM_EVAL_PYTHON")
    return python


def gsm8k_folder(project):
    """GSM8K itself, from $BERYL_SHARED or beside the project."""
    folder = pathlib.Path(os.environ.get("BERYL_SHARED", project.parent / "shared")) / "data/gsm8k"
    if not (folder / "test.jsonl").is_file():
        pytest.skip(f"GSM8K is not in {folder}")
    return folder


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("form", ["--no-chat", "--chat"])
def test_prompts_are_those_of_the_harness(beryl, project, task, form):
    data = gsm8k_folder(project)
    options = [task, "--data", data / "test.jsonl", "--shots", data / "train.jsonl", "--limit", "50"]
    command = [harness_python(), project / "tools/gsm8k_reference.py", "prompts", *options]
    theirs = subprocess.run([*command, *(["--chat"] if form == "--chat" else [])], capture_output=True, text=True,
                            check=True)
    ours = beryl("eval", *options, form, "--prompts")
    assert ours.returncode == 0, ours.stderr
    ours, theirs = ([json.loads(line) for line in text.splitlines()] for text in (ours.stdout, theirs.stdout))
    assert len(ours) == 50
    assert ours == theirs


@pytest.fixture
def served_demo(beryl_bin, project):
    """beryl serve with the demo model in float32; gives the address of its chat completions."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([beryl_bin, "serve", project / "models/demo", "--port", str(port), "--compute", "f32"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and server.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/v1/chat/completions"
    finally:
        server.terminate()
        server.wait(timeout=30)


def test_the_harness_gets_the_same_answers_from_a_server(beryl, project, demo_data, served_demo, tmp_path):
    python = harness_python("aiohttp, requests, tenacity")
    options = ["gsm8k", "--data", demo_data, "--num-fewshot", "0", "--limit", "50", "--max-tokens", "256"]
    asked = subprocess.run([python, project / "tools/gsm8k_reference.py", "ask", *options, "--url", served_demo],
                           capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
    theirs = [json.loads(line) for line in asked.stdout.splitlines() if line.startswith("{")]
    log = tmp_path / "answers.jsonl"
    done = beryl("eval", *options, project / "models/demo", "--chat", "--compute", "f32", "--output", log)
    assert done.returncode == 0, done.stderr
    ours = [{name: each[name] for name in ("index", "answer", "strict", "strict_right")} for each in read_lines(log)]
    assert len(ours) == 50
    assert sorted(ours, key=lambda each: each["index"]) == sorted(theirs, key=lambda each: each["index"])
