"""GGUF files that the `gguf` package writes, run from end to end."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

gguf = pytest.importorskip("gguf")

PROBLEMS = 12
PADDED_PROBLEMS = 4
PADDING = 32  # a block of Q8_0
PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent
GOOGLE = pathlib.Path(os.environ.get("BERYL_SHARED", PROJECT.parent / "shared")) / "data/tokenizer/tokenizer.json"


@pytest.fixture(scope="module", params=["bf16", "q8_0"])
def demo_gguf(request, project, run_tool, tmp_path_factory):
    """The demo model as one GGUF file, and the type of its matrices."""
    file = tmp_path_factory.mktemp("gguf") / "demo.gguf"
    made = run_tool("make_gguf_vectors.py", "model", project / "models/demo", file, "--type", request.param)
    assert made.returncode == 0, made.stderr
    return file, request.param


def problems(project):
    """The demo model's first questions and what transformers answers in float32."""
    folder = project / "models/demo"
    questions = [json.loads(line)["question"] for line in (folder / "test.jsonl").read_text().splitlines()]
    answers = json.loads((folder / "reference_answers.json").read_text())["answers"]
    return list(zip(questions, answers))[:PROBLEMS]


def answer(beryl_bin, file, question):
    command = [beryl_bin, "run", file, question, "--json", "--temperature", "0", "--compute", "f32", "--threads", "1"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_answers_as_the_reference(demo_gguf, beryl_bin, project):
    file, kind = demo_gguf
    equal = 0
    for question, reference in problems(project):
        found = answer(beryl_bin, file, question)
        assert found["usage"]["prompt_tokens"] == reference["prompt_tokens"]
        is_equal = found["message"]["content"] == reference["text"]
        # bf16 holds the weights that the reference was made with. Q8_0 rounds them, and may go other ways.
        assert is_equal or kind != "bf16", question
        equal += is_equal
    assert equal >= PROBLEMS * 2 // 3


def width_in(file, name):
    """A width in the keys of a GGUF file."""
    return int(gguf.GGUFReader(file).get_field(f"gemma4.{name}feed_forward_length").contents())


def test_a_file_padded_with_zeros_answers_as_without(demo_gguf, beryl_bin, project, run_tool, tmp_path):
    file, kind = demo_gguf
    padded = tmp_path / "padded.gguf"
    made = run_tool("make_gguf_vectors.py", "model", project / "models/demo", padded, "--type", kind, "--pad", PADDING)
    assert made.returncode == 0, made.stderr
    for name in ("", "expert_"):
        assert width_in(padded, name) == width_in(file, name) + PADDING
    for question, reference in problems(project)[:PADDED_PROBLEMS]:
        found = answer(beryl_bin, padded, question)["message"]
        assert found == answer(beryl_bin, file, question)["message"], question
        assert found["content"] == reference["text"] or kind != "bf16", question


def check_tokens(beryl_bin, file, vectors):
    requests = "".join(json.dumps({"text": entry["text"]}) + "\n" for entry in vectors)
    run = subprocess.run([beryl_bin, "tokenize", file, "--stdin-json"], input=requests, capture_output=True, text=True,
                         check=True)
    assert [json.loads(line)["ids"] for line in run.stdout.splitlines()] == [entry["ids"] for entry in vectors]


def test_tokenizes_as_the_reference(demo_gguf, beryl_bin, project):
    check_tokens(beryl_bin, demo_gguf[0],
                 json.loads((project / "testdata/tokenizer/demo_vectors.json").read_text())["encode"])


@pytest.mark.skipif(not GOOGLE.is_file(), reason=f"NOT TESTED with Google's vocabulary: there is no {GOOGLE}")
def test_tokenizes_with_googles_vocabulary(beryl_bin, project, run_tool, tmp_path):
    shutil.copy(GOOGLE, tmp_path)
    shutil.copy(project / "models/demo/chat_template.jinja", tmp_path)
    made = run_tool("make_gguf_vectors.py", "tokenizer", tmp_path, tmp_path / "google.gguf")
    assert made.returncode == 0, made.stderr
    check_tokens(beryl_bin, tmp_path / "google.gguf",
                 json.loads((project / "testdata/tokenizer/golden_tokens.json").read_text()))


@pytest.mark.parametrize("arguments", [("blocks",), ("tokenizer", "models/demo")])
def test_the_files_in_the_tree_are_what_the_tool_writes(arguments, project, run_tool, tmp_path):
    name = f"{arguments[0]}.gguf"
    folders = [project / folder for folder in arguments[1:]]
    made = run_tool("make_gguf_vectors.py", arguments[0], *folders, tmp_path / name)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / name).read_bytes() == (project / "testdata/gguf" / name).read_bytes()
