"""`beryl inspect`: what it says of every tiny checkpoint against their headers, and of the published sizes as skeletons."""

import json
import math
import re
import resource
import struct
import sys
import time

import pytest

from conftest import PROJECT

sys.path.insert(0, str(PROJECT / "tools"))
from synthetic import shapes  # noqa: E402

CHECKPOINTS = PROJECT / "testdata/checkpoints"
NAMES = sorted(path.name for path in CHECKPOINTS.iterdir())
# A release build on an idle machine takes a quarter of a second; sanitizers take longer.
CPU_SECONDS_MAX = 10
LARGEST_RESIDENT_SHARE = 1.1
# Bytes that NF4 keeps beside each weight and that are read when the file is opened: a table and a note in JSON.
NF4_EXTRAS = 256


@pytest.fixture(scope="module")
def inspect(beryl):
    """Runs the command without measuring; returns its JSON."""

    def run(model, *options):
        done = beryl("inspect", model, "--json", "--no-speed", *options)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def skeleton(run_tool, tmp_path_factory):
    """Makes a checkpoint without data; returns its folder."""

    def make(shape, dialect, *options):
        folder = tmp_path_factory.mktemp("skeleton")
        done = run_tool("make_synthetic.py", "--shape", shape, "--dialect", dialect, "--skeleton", *options, folder)
        assert done.returncode == 0, done.stderr
        return folder

    return make


def read_safetensors(folder):
    """The tensors of a folder by name: (dtype, shape, bytes)."""
    tensors = {}
    for path in folder.glob("*.safetensors"):
        with open(path, "rb") as file:
            header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        header.pop("__metadata__", None)
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            tensors[name] = (entry["dtype"], entry["shape"], end - begin)
    return tensors


def classes_of(result, name):
    return [entry for entry in result["classes"] if entry["class"] == name]


def loaded_bytes(result):
    return sum(entry["bytes"] for entry in result["classes"] if entry["loaded"])


# ---- Every dialect ----


@pytest.mark.parametrize("name", NAMES)
def test_classes_and_skipped_tensors_add_up_to_the_file(inspect, name):
    result = inspect(CHECKPOINTS / name)
    files = list((CHECKPOINTS / name).glob("*.safetensors")) or list((CHECKPOINTS / name).glob("*.gguf"))
    assert result["files"]["count"] == len(files)
    assert result["files"]["bytes"] == sum(path.stat().st_size for path in files)
    if files[0].suffix == ".safetensors":
        tensors = read_safetensors(CHECKPOINTS / name)
        assert result["files"]["tensors"] == len(tensors)
        assert result["files"]["tensor_bytes"] == sum(size for _, _, size in tensors.values())
    extras = sum(NF4_EXTRAS * entry["weights"] for entry in result["classes"] if entry["format"] == "nf4")
    accounted = loaded_bytes(result) + sum(entry["bytes"] for entry in result["skipped"])
    assert accounted <= result["files"]["tensor_bytes"] <= accounted + extras
    towers = [entry for entry in result["classes"] if not entry["loaded"]]
    assert sum(entry["bytes"] for entry in towers) == sum(
        entry["bytes"] for entry in result["skipped"] if "tower" in entry["reason"])


@pytest.mark.parametrize("name", NAMES)
def test_is_no_larger_in_memory_than_in_the_file(inspect, name):
    """Of the tiny ones, whose matrices are padded to 16 rows, with some room for that."""
    result = inspect(CHECKPOINTS / name)
    assert result["memory"]["weights_bytes"] <= 1.02 * LARGEST_RESIDENT_SHARE * loaded_bytes(result)


@pytest.mark.parametrize(
    "name, method, expected",
    [
        ("moe-bf16", None, {"experts": ("plain", "bf16", "none")}),
        ("moe-ct-mixed", "compressed-tensors",
         {"attention": ("compressed-tensors", "fp8-e4m3", "per row"),
          "experts": ("compressed-tensors", "nvfp4", "per group of 16")}),
        ("wide-ct-fp8-block", "compressed-tensors", {"attention": ("compressed-tensors", "fp8-e4m3", "per 128x128 block")}),
        ("dense-gptq-int4", "gptq", {"attention": ("gptq", "int4", "per group of 32")}),
        ("wide-gguf-q6_k", None, {"attention": ("GGUF", "q6_k", "in blocks of 256")}),
    ],
)
def test_names_dialect_and_format(inspect, name, method, expected):
    result = inspect(CHECKPOINTS / name)
    assert result["quantisation"] == method
    for class_name, stored in expected.items():
        found = [(entry["dialect"], entry["format"], entry["scales"]) for entry in classes_of(result, class_name)]
        assert found == [stored]


def test_counts_parameters_as_the_headers_do(inspect):
    """Unquantised, each tensor is as large as it says."""
    for name in ("moe-perexpert-bf16", "dense-bf16", "ple-bf16"):
        folder = CHECKPOINTS / name
        sizes = {key: math.prod(shape) for key, (_, shape, _) in read_safetensors(folder).items()}
        text = {key: size for key, size in sizes.items() if "vision" not in key and "audio" not in key}
        result = inspect(folder)
        assert result["parameters"]["total"] == sum(text.values())
        config = json.loads((folder / "config.json").read_text())["text_config"]
        idle = 0
        if config.get("num_experts"):
            experts = sum(size for key, size in text.items() if ".experts." in key)
            idle = experts - experts * config["top_k_experts"] // config["num_experts"]
        tables = [size for key, size in text.items() if "embed_tokens_per_layer" in key]
        idle += sum(size - size // config["vocab_size"] for size in tables)
        assert result["parameters"]["active_per_token"] == result["parameters"]["total"] - idle


def test_tells_notes_and_what_is_skipped(inspect):
    result = inspect(CHECKPOINTS / "moe-autoround-int4")
    assert [(note["modules"], "router" in note["text"]) for note in result["notes"]] == [(4, True)]
    result = inspect(CHECKPOINTS / "moe-ct-nvfp4")
    scales = [name for name in read_safetensors(CHECKPOINTS / "moe-ct-nvfp4") if name.endswith("input_global_scale")]
    assert {"activations": len(scales)}.items() <= {
        "activations" if "activations" in entry["reason"] else entry["reason"]: entry["tensors"]
        for entry in result["skipped"]}.items()


def test_lists_files_that_are_not_read(inspect, make_demo_copy):
    folder = make_demo_copy("with-another-file")
    (folder / "other.safetensors").write_bytes(b"")
    assert inspect(folder)["files"]["ignored"] == ["other.safetensors"]


# ---- Memory and speed ----


def test_tells_what_keys_and_values_take(inspect):
    config = json.loads((CHECKPOINTS / "moe-bf16/config.json").read_text())["text_config"]
    layers = config["layer_types"]
    sliding = layers.count("sliding_attention") * 2 * config["num_key_value_heads"] * config["head_dim"]
    full = layers.count("full_attention") * 2 * config["num_global_key_value_heads"] * config["global_head_dim"]
    for compute, width in (("bf16", 2), ("f32", 4)):
        cache = inspect(CHECKPOINTS / "moe-bf16", "--compute", compute)["cache"]
        assert cache["type"] == compute
        assert cache["sliding_bytes_per_token"] == width * sliding
        assert cache["full_bytes_per_token"] == width * full
        assert [each["tokens"] for each in cache["contexts"]] == [config["max_position_embeddings"]]


def test_tells_whether_the_model_fits(inspect, skeleton, demo):
    memory = inspect(demo)["memory"]
    assert memory["fits"] is True
    assert memory["context_that_fits"] == json.loads((demo / "config.json").read_text())["text_config"]["max_position_embeddings"]
    assert 0 < memory["available_bytes"] <= memory["total_bytes"]
    # 62 GB, or more than the machine has.
    result = inspect(skeleton("31b", "bf16"))
    memory = result["memory"]
    needed = memory["weights_bytes"] + memory["working_bytes"]
    assert memory["fits"] == (needed + result["cache"]["contexts"][0]["bytes"] / 8192 < memory["available_bytes"])
    assert memory["fits"] or memory["context_that_fits"] == 0
    assert [each["tokens"] for each in result["cache"]["contexts"]] == [8192, 262144]


def test_estimates_the_speed_of_decoding(beryl, demo):
    done = beryl("inspect", demo, "--json", "--threads", 1)
    assert (done.returncode, done.stderr) == (0, "")
    speed = json.loads(done.stdout)["speed"]
    assert speed["threads"] == 1
    assert speed["read_bytes_per_second"] > 20e6
    bytes_per_token = speed["weight_bytes_per_token"] + speed["cache_bytes_per_token"]
    assert speed["tokens_per_second"] == pytest.approx(speed["read_bytes_per_second"] / bytes_per_token, rel=1e-6)


def test_leaves_the_speed_out(inspect, demo):
    assert inspect(demo)["speed"] is None


# ---- People ----


def test_shows_a_table(beryl):
    done = beryl("inspect", CHECKPOINTS / "moe-ct-fp8-dynamic")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    header = next(index for index, line in enumerate(lines) if line.startswith("class "))
    rows = lines[header:lines.index("", header)]
    assert len({len(row) for row in rows}) == 1
    assert any(re.fullmatch(r"experts +compressed-tensors fp8-e4m3 +per row +96 +294912 +305\.2 kB +8\.28", row) for row in rows)
    labels = {line.split()[0] for line in lines[:header] + lines[header + len(rows):] if line and line[0] != " "}
    assert labels == {"model", "architecture", "parameters", "files", "quantisation", "memory", "cache", "fits", "speed", "skipped"}


def test_damage_is_an_error(beryl, make_demo_copy):
    folder = make_demo_copy("damaged")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["num_experts"] -= 1
    (folder / "config.json").write_text(json.dumps(config))
    done = beryl("inspect", folder, "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: model '{folder}'")


# ---- Published sizes ----


def active_parameters(shape):
    """Of a token: its experts, and one row of the table of per-layer embeddings; the embedding is the head too."""
    text = shapes.make_config(shape)["text_config"]
    sizes = [(tensor, math.prod(tensor.shape)) for tensor in shapes.text_tensors(text)]
    active = sum(size for tensor, size in sizes if tensor.role != "experts")
    active += sum(size // text["num_experts"] * text["top_k_experts"] for tensor, size in sizes if tensor.role == "experts")
    return active - sum(size - tensor.shape[1] for tensor, size in sizes if "embed_tokens_per_layer" in tensor.name)


@pytest.mark.parametrize(
    "shape, dialect, tensors, size",
    [
        ("26b", "ct-nvfp4", 47648, "26B-A4B"),
        ("26b", "ct-nvfp4a16", 35923, "26B-A4B"),
        ("26b", "ct-fp8-dynamic", 24198, "26B-A4B"),
        ("26b", "modelopt-nvfp4-experts", 47033, "26B-A4B"),
        ("26b", "ct-mixed", 47418, "26B-A4B"),
        ("26b", "auto-round", 35983, "26B-A4B"),
        ("26b", "ct-fused-int4", 1483, "26B-A4B"),
        ("26b", "fused-fp8", 1073, "26B-A4B"),
        ("26b", "mlx-4bit", 1339, "26B-A4B"),
        ("26b", "gguf-q4_0", 657, "26B-A4B"),
        ("31b", "gptq", 2418, "31B"),
        ("12b", "bf16", 666, "12B"),
        ("e4b", "ct-fp8-dynamic", 1008, "E4B"),
        ("e2b", "ct-nvfp4a16", 1092, "E2B"),
    ],
)
def test_inspects_published_sizes_quickly(inspect, skeleton, shape, dialect, tensors, size):
    folder = skeleton(shape, dialect)
    start, cpu = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    result = inspect(folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = after.ru_utime - cpu.ru_utime + after.ru_stime - cpu.ru_stime
    print(f"{shape} {dialect}: {tensors} tensors in {time.monotonic() - start:.2f} s, {cpu_seconds:.2f} s of processor")
    assert cpu_seconds < CPU_SECONDS_MAX
    assert result["files"]["tensors"] == tensors
    assert result["architecture"]["size"] == size
    assert result["parameters"]["active_per_token"] == active_parameters(shape)
    assert result["memory"]["weights_bytes"] <= LARGEST_RESIDENT_SHARE * loaded_bytes(result)


def test_describes_the_architecture(inspect, skeleton):
    architecture = inspect(skeleton("26b", "fused-fp8"))["architecture"]
    assert architecture == {
        "model_type": "gemma4", "size": "26B-A4B", "layers": 30, "sliding_layers": 25, "full_layers": 5,
        "sliding_window": 1024, "hidden_size": 2816, "vocabulary_size": 262144, "experts": 128, "experts_published": 128,
        "experts_per_token": 8, "positions": 262144, "head_is_embedding": True}
    architecture = inspect(CHECKPOINTS / "moe-bf16")["architecture"]
    assert (architecture["size"], architecture["experts_published"]) == (None, None)
