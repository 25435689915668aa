"""`beryl verify` from outside: files of real producers are whole, and damage to them is named."""

import json
import shutil
import struct

import numpy as np
import pytest
from conftest import PROJECT

CHECKPOINTS = "testdata/checkpoints"

# The published habits and faults that some of the files show on purpose: kinds of findings beside errors.
EXPECTED = {
    "moe-autoround-int4": {"router-quantised"},
    "moe-bnb-nf4": {"router-quantised", "experts-unquantised"},
    "moe-mlx-4bit": {"router-quantised"},
    "wide-mlx-4bit": {"router-quantised", "experts-unquantised"},
    "moe-ct-nvfp4a16-unshared": {"separate-global-scales"},
    "moe-modelopt-nvfp4-moeprefix": {"separate-global-scales"},
    "moe-modelopt-nvfp4-missing-input-scale": {"separate-global-scales", "no-activation-scale"},
}
# What only the original shows. ModelOpt's block scales do not cover all rows of up_proj.
EXPECTED_AGAINST = {"wide-modelopt-fp8-pb-wo": {"clipped"}}


def all_checkpoints():
    return sorted(path.name for path in (PROJECT / CHECKPOINTS).iterdir())


def verify(beryl, *arguments):
    done = beryl("verify", *arguments, "--json")
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["passed"] else 1)
    return report


def kinds(report):
    return {finding["kind"] for finding in report["findings"]}


def errors(report):
    return [(finding["kind"], finding["module"]) for finding in report["findings"] if finding["severity"] == "error"]


@pytest.mark.parametrize("name", all_checkpoints())
def test_files_of_producers_are_whole(beryl, name):
    """Alone, and beside the checkpoint that they were quantised from."""
    original = f"{CHECKPOINTS}/{name.split('-')[0]}-bf16"
    report = verify(beryl, f"{CHECKPOINTS}/{name}", "--against", original)
    assert report["passed"], report["findings"]
    assert kinds(report) == EXPECTED.get(name, set()) | EXPECTED_AGAINST.get(name, set())
    assert report["against"]["weights"] == sum(entry["weights"] for entry in report["classes"])
    cosines = [weight["cosine"] for weight in report["against"]["worst"]]
    assert all(cosine > 0.98 for cosine in cosines)
    assert bool(cosines) != name.endswith("-bf16")


def test_names_the_rows_that_modelopt_clips(beryl):
    """Worked out from the two files: row 15 of expert 1 in layer 1 has 448 x 0.00048392 where 0.2617 was."""
    name = f"{CHECKPOINTS}/wide-modelopt-fp8-pb-wo"
    report = verify(beryl, name, "--against", f"{CHECKPOINTS}/wide-bf16")
    found = {finding["module"]: finding for finding in report["findings"] if finding["kind"] == "clipped"}
    finding = found["model.language_model.layers.1.experts.1.up_proj"]
    assert "row 15" in finding["found"] and "17.2 %" in finding["found"]
    assert "ModelOpt" in finding["meaning"]


def test_the_demo_models_are_whole(beryl):
    for model in ("models/demo", "models/demo-fp8"):
        report = verify(beryl, model, "--against", "models/demo")
        assert report["passed"] and report["findings"] == []


def test_magnitudes_are_those_of_the_values(beryl, project):
    """Beside numpy's reading of the same file."""
    tensors = read_safetensors(project / CHECKPOINTS / "moe-bf16/model.safetensors")
    values = tensors["model.language_model.embed_tokens.weight"]["data"].view(np.uint16).astype(np.uint32) << 16
    expected = np.sqrt(np.mean(values.view(np.float32).astype(np.float64) ** 2))
    classes = {entry["name"]: entry for entry in verify(beryl, f"{CHECKPOINTS}/moe-bf16")["classes"]}
    assert classes["embedding"]["rms_median"] == pytest.approx(expected, rel=1e-6)
    assert classes["embedding"]["bytes"] == 2 * len(values)


def read_safetensors(path):
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + length])
    header.pop("__metadata__", None)
    data = np.frombuffer(raw[8 + length:], np.uint8)
    return {name: {**entry, "data": data[slice(*entry["data_offsets"])].copy()} for name, entry in header.items()}


def write_safetensors(path, tensors):
    header, chunks, position = {}, [], 0
    for name, entry in tensors.items():
        data = entry["data"].tobytes()
        header[name] = {"dtype": entry["dtype"], "shape": entry["shape"],
                        "data_offsets": [position, position + len(data)]}
        chunks.append(data)
        position += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))


@pytest.fixture
def damage(project, tmp_path):
    """Copies a checkpoint and changes its tensors by `change(tensors)`; returns the copy's folder."""

    def copy(name, change):
        folder = tmp_path / name
        shutil.copytree(project / CHECKPOINTS / name, folder)
        tensors = read_safetensors(folder / "model.safetensors")
        change(tensors)
        write_safetensors(folder / "model.safetensors", tensors)
        return folder

    return copy


EXPERT = "model.language_model.layers.0.experts.3.up_proj"


def test_prints_a_table_and_the_findings(beryl, damage):
    def change(tensors):
        tensors[f"{EXPERT}.weight"]["data"][5] = 0x7F

    done = beryl("verify", damage("moe-ct-fp8-dynamic", change))
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (1, "")
    assert lines[0].split() == ["class", "weights", "size", "RMS", "min", "median", "max", "errors", "warnings"]
    experts = next(line.split() for line in lines if line.startswith("experts"))
    assert experts[1] == "96" and experts[-2:] == ["1", "0"]
    assert any(line.startswith(f"error: {EXPERT}: 1 codes that are no number") for line in lines)
    assert lines[-1].startswith("FAIL: 1 error, 0 warnings, 0 notes; ")


def test_shows_some_findings_and_counts_the_rest(beryl, damage):
    def change(tensors):
        for name, entry in tensors.items():
            if ".experts." in name and name.endswith(".weight_scale"):
                entry["data"][:] = 0

    folder = damage("moe-ct-fp8-dynamic", change)
    done = beryl("verify", folder)
    assert done.returncode == 1
    assert done.stdout.count("\nerror: ") == 24 and "and 72 more; --json lists them all" in done.stdout
    assert len(verify(beryl, folder)["findings"]) == 96


def test_the_number_of_threads_changes_nothing(beryl, damage):
    def change(tensors):
        for expert in range(8):
            tensors[f"model.language_model.layers.0.experts.{expert}.up_proj.weight_scale"]["data"][expert] = 0xFF

    folder = damage("moe-ct-nvfp4", change)
    one, four = (verify(beryl, folder, "--threads", threads) for threads in (1, 4))
    assert one == four
    assert len(errors(one)) == 8


def test_a_refusal_is_a_finding(beryl, damage):
    def change(tensors):
        del tensors[f"{EXPERT}.weight_scale"]

    report = verify(beryl, damage("moe-ct-fp8-dynamic", change))
    assert errors(report) == [("refused", "moe-ct-fp8-dynamic")]
    assert EXPERT in report["findings"][0]["found"] and "weight_scale" in report["findings"][0]["found"]


def test_experts_left_in_bf16_are_named(beryl, project, tmp_path):
    folder = tmp_path / "forgotten"
    shutil.copytree(project / CHECKPOINTS / "moe-perexpert-bf16", folder)
    config = json.loads((folder / "config.json").read_text())
    quantised = json.loads((project / CHECKPOINTS / "moe-ct-fp8-dynamic/config.json").read_text())
    config["quantization_config"] = quantised["quantization_config"]
    config["quantization_config"]["ignore"] += ["re:.*self_attn.*", "re:.*mlp.*"]
    (folder / "config.json").write_text(json.dumps(config))
    report = verify(beryl, folder)
    assert errors(report) == [("experts-unquantised", "forgotten")]
    assert "46 GB" in report["findings"][0]["meaning"] and "ModelOpt" in report["findings"][0]["meaning"]

    # When the configuration admits it, the file can be used.
    config["quantization_config"]["ignore"].append("re:.*experts.*")
    (folder / "config.json").write_text(json.dumps(config))
    report = verify(beryl, folder)
    assert report["passed"] and kinds(report) == {"nothing-quantised"}


def test_a_cut_file_is_named(beryl, damage):
    folder = damage("moe-ct-fp8-dynamic", lambda tensors: None)
    raw = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(raw[:-1000])
    report = verify(beryl, folder)
    assert not report["passed"] and "1000" in report["findings"][0]["found"]


def test_what_is_not_there_is_an_error(beryl):
    done = beryl("verify", "no/such/model")
    assert (done.returncode, done.stdout) == (1, "") and done.stderr.startswith("error: ")
    done = beryl("verify", f"{CHECKPOINTS}/moe-bf16", "--against", "no/such/model")
    assert (done.returncode, done.stdout) == (1, "") and "--against" in done.stderr
    assert beryl("verify").returncode == 2


def test_random_bytes_crash_nothing(beryl, damage):
    """Whatever the codes and scales are, there is a report."""
    random = np.random.default_rng(7)
    for name in ("moe-ct-nvfp4", "moe-ct-mxfp8", "moe-autoround-int4", "moe-mlx-4bit", "dense-bnb-nf4",
                 "dense-gptq-int4-actorder", "moe-hf-finegrained-fp8", "moe-ct-w4a16-g32-asym"):

        def change(tensors):
            for entry in tensors.values():
                entry["data"][:] = random.integers(0, 256, len(entry["data"]), np.uint8)

        report = verify(beryl, damage(name, change), "--against", f"{CHECKPOINTS}/{name.split('-')[0]}-bf16")
        assert not report["passed"]
