"""`beryl tokenize`, `check`, `doctor` and `version` from outside."""

import json
import re
import shutil

import numpy as np
import pytest

GOLDEN = ["testdata/checkpoints/{0}", "testdata/golden/{0}.safetensors"]


def golden_of(name):
    return [path.format(name) for path in GOLDEN]


def load_safetensors(file):
    """Tensors of int32 and float32 by name."""
    data = file.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    arrays = {}
    for name, entry in json.loads(data[8:start]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            kind = {"I32": "<i4", "F32": "<f4"}[entry["dtype"]]
            arrays[name] = np.frombuffer(data[start + begin : start + end], kind).reshape(entry["shape"])
    return arrays


def test_tokenizes_and_decodes(beryl, project):
    """Prompt and ids as transformers made them."""
    prompt = json.loads((project / "models/demo/golden.json").read_text())["prompts"][0]
    for model in ("models/demo", "models/demo-fp8", "models/demo/tokenizer.json"):
        done = beryl("tokenize", model, prompt["prompt"], "--json")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["ids"] == prompt["prompt_ids"]
    done = beryl("tokenize", "models/demo", "--decode", ",".join(map(str, prompt["prompt_ids"])), "--json")
    assert json.loads(done.stdout) == {"text": prompt["prompt"]}


def test_shows_one_token_a_line(beryl, project):
    prompt = json.loads((project / "models/demo/golden.json").read_text())["prompts"][0]
    lines = beryl("tokenize", "models/demo", input=prompt["prompt"]).stdout.splitlines()
    ids, texts = zip(*(line.split("\t") for line in lines))
    assert list(map(int, ids)) == prompt["prompt_ids"]
    assert "".join(map(json.loads, texts)).replace("\u2581", " ") == prompt["prompt"]


def test_takes_special_tokens_as_text(beryl):
    done = beryl("tokenize", "models/demo", "<bos>", "--as-text", "--json")
    ids = json.loads(done.stdout)["ids"]
    assert 2 not in ids and len(ids) > 1


def test_tokenizes_with_a_cached_model(beryl, project, tmp_path):
    entry = tmp_path / "models--beryl--demo"
    commit = "0123456789" * 4
    shutil.copytree(project / "models/demo-fp8", entry / "snapshots" / commit)
    (entry / "refs").mkdir()
    (entry / "refs/main").write_text(commit)
    env = {"HF_HUB_CACHE": str(tmp_path)}
    done = beryl("tokenize", "beryl/demo", "<bos>", "--json", env=env)
    assert (done.returncode, json.loads(done.stdout)["ids"]) == (0, [2])
    done = beryl("run", "beryl/demo", "What is 12 * 7?", "--temperature", 0, env=env)
    assert (done.returncode, done.stdout) == (0, "12 * 7 = 84\n#### 84\n")


@pytest.mark.parametrize("compute", ["bf16", "f32"])
def test_checks_a_golden_file(beryl, compute):
    done = beryl("check", *golden_of("moe-ct-fp8-dynamic"), "--compute", compute, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert result["passed"] is True and result["compute"] == compute
    assert result["greedy_tokens"] == sum(prompt["greedy_tokens"] for prompt in result["prompts"]) > 0
    assert result["greedy_wrong"] == 0
    assert result["logit_difference_max"] == max(prompt["logit_difference_max"] for prompt in result["prompts"])
    assert result["modules"] > 0 and "module_mismatches" not in result


def test_a_check_tells_log_probabilities(beryl, project):
    """Those of the recorded logits, up to float32's errors."""
    checkpoint, golden = golden_of("dense-bf16")
    done = beryl("check", checkpoint, golden, "--compute", "f32", "--json", "--logprobs")
    assert done.returncode == 0, done.stderr
    reference = load_safetensors(project / golden)
    for i, prompt in enumerate(json.loads(done.stdout)["prompts"]):
        ids, logits = reference[f"prompt{i}.input_ids"], reference[f"prompt{i}.logits"].astype(np.float64)
        assert prompt["tokens"] == [*ids, *reference[f"prompt{i}.greedy"]]
        assert len(prompt["token_logprobs"]) == len(prompt["tokens"])
        assert prompt["token_logprobs"][0] is None
        expected = [logits[at, ids[at + 1]] - np.logaddexp.reduce(logits[at]) for at in range(len(ids) - 1)]
        assert prompt["token_logprobs"][1 : len(ids)] == pytest.approx(expected, abs=1e-3)


def test_log_probabilities_need_json(beryl):
    done = beryl("check", *golden_of("dense-bf16"), "--logprobs")
    assert done.returncode == 2
    assert "--json" in done.stderr


def test_shows_a_check_to_people(beryl):
    done = beryl("check", *golden_of("moe-bf16"), "--compute", "f32", "--hidden")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].split()[0] == "prompt"
    assert lines[-1].startswith("PASS: ")


def test_a_check_fails_on_another_models_golden_file(beryl):
    checkpoint, golden = golden_of("moe-ct-fp8-dynamic")[0], golden_of("moe-bf16")[1]
    done = beryl("check", checkpoint, golden, "--compute", "f32", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["passed"] is False


def test_a_check_fails_beyond_its_bound(beryl):
    done = beryl("check", *golden_of("moe-bf16"), "--kl-max", 0)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("FAIL: ")


def test_doctor_describes_the_machine(beryl):
    done = beryl("doctor", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    machine = json.loads(done.stdout)
    kinds = {"processor": str, "kernels": str, "huge_pages": str, "model_cache": str, "features": list, "missing_features": list,
             "threads_of_machine": int, "threads_usable": int, "memory_total_bytes": int, "memory_available_bytes": int,
             "page_bytes": int}
    assert {name: type(value) for name, value in machine.items()} == kinds
    assert 1 <= machine["threads_usable"] <= machine["threads_of_machine"]
    assert 0 < machine["memory_available_bytes"] <= machine["memory_total_bytes"]
    assert not set(machine["features"]) & set(machine["missing_features"])


def test_doctor_agrees_with_linux(beryl):
    machine = json.loads(beryl("doctor", "--json").stdout)
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        flags = set(re.search(r"^flags\s*: (.*)$", file.read(), re.MULTILINE).group(1).split())
    spelling = {"avx512vnni": "avx512_vnni", "avx512bf16": "avx512_bf16", "avx512vbmi": "avx512vbmi"}
    for feature in machine["features"]:
        assert spelling.get(feature, feature) in flags
    with open("/proc/meminfo", encoding="utf-8") as file:
        installed = 1024 * int(re.search(r"^MemTotal:\s*(\d+) kB$", file.read(), re.MULTILINE).group(1))
    assert machine["memory_total_bytes"] <= installed


def test_doctor_finds_the_model_cache(beryl, tmp_path):
    machine = json.loads(beryl("doctor", "--json", env={"HF_HUB_CACHE": str(tmp_path)}).stdout)
    assert machine["model_cache"] == str(tmp_path)
    assert str(tmp_path) in beryl("doctor", env={"HF_HUB_CACHE": str(tmp_path)}).stdout


def test_version_is_the_projects(beryl, project):
    version = re.search(r"project\(.*?VERSION (\S+)", (project / "CMakeLists.txt").read_text(), re.DOTALL).group(1).rstrip(")")
    assert beryl("version").stdout == f"beryl {version}\n"
    assert beryl("--version").stdout == f"beryl {version}\n"
    assert json.loads(beryl("version", "--json").stdout) == {"version": version}
