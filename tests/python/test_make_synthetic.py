"""make_synthetic.py: the published key counts, the names and shapes real tools write, sizes that add up, sane values."""

import json
import struct
import sys

import numpy
import pytest

from conftest import PROJECT

sys.path.insert(0, str(PROJECT / "tools"))
from synthetic import dialects, shapes, values  # noqa: E402

DTYPE_BYTES = {"BF16": 2, "F16": 2, "F32": 4, "F8_E4M3": 1, "U8": 1, "I32": 4, "U32": 4, "I64": 8}
CHECKPOINTS = PROJECT / "testdata/checkpoints"


def read_header(path):
    """(tensors by name, offset of the data area) of a safetensors file."""
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length


def read_checkpoint(folder):
    """All tensors of a folder's shards, each file's layout checked: no hole, no overlap, nothing behind the end."""
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        header, data_offset = read_header(path)
        end = 0
        for entry in sorted(header.values(), key=lambda entry: entry["data_offsets"]):
            assert entry["data_offsets"][0] == end
            end = entry["data_offsets"][1]
            assert end - entry["data_offsets"][0] == int(numpy.prod(entry["shape"])) * DTYPE_BYTES[entry["dtype"]]
        assert path.stat().st_size == data_offset + end
        assert not tensors.keys() & header.keys()
        tensors.update(header)
    return tensors


@pytest.mark.parametrize(
    "dialect, options, keys, gigabytes",
    [
        ("bf16", [], 1013, 51.6),
        ("ct-fp8-dynamic", [], 24198, 27.1),
        ("ct-nvfp4", [], 47648, 16.4),
        ("ct-nvfp4a16", [], 35923, 16.4),
        ("ct-mixed", [], 47418, 16.9),
        ("ct-mixed", ["--kv-scales"], 47478, 16.9),
        ("modelopt-nvfp4-experts", [], 47033, 18.8),
        ("modelopt-nvfp4-experts", ["--kv-scales"], 47093, 18.8),
        ("fused-fp8", [], 1073, 28.8),
        ("auto-round", [], 35983, 15.4),
        ("ct-fused-int4", [], 1483, 16.4),
        ("mlx-4bit", [], 1339, 14.2),
    ],
)
def test_a_skeleton_has_the_published_keys_and_size(run_tool, tmp_path, dialect, options, keys, gigabytes):
    result = run_tool("make_synthetic.py", "--shape", "26b", "--dialect", dialect, "--skeleton", *options, tmp_path)
    assert result.returncode == 0, result.stderr
    tensors = read_checkpoint(tmp_path)
    assert len(tensors) == keys
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["weight_map"].keys() == tensors.keys()
    assert index["metadata"]["total_size"] / 1e9 == pytest.approx(gigabytes, abs=0.1)
    on_disk = sum(path.stat().st_blocks * 512 for path in tmp_path.iterdir())
    assert on_disk < 20e6


@pytest.mark.parametrize(
    "shape, parameters_in_billions",
    [("26b", 25.23), ("31b", 30.70), ("12b", 11.91), ("e4b", 7.52), ("e2b", 4.65)],
)
def test_a_size_has_the_published_number_of_parameters(shape, parameters_in_billions):
    text = shapes.make_config(shape)["text_config"]
    total = sum(int(numpy.prod(tensor.shape)) for tensor in shapes.text_tensors(text))
    head_dim_field = {shapes.SLIDING: "head_dim", shapes.FULL: "global_head_dim"}
    # The published files of the E sizes also hold keys and values, never used, in the layers that reuse others'.
    total += sum(
        2 * text["num_key_value_heads"] * text[head_dim_field[kind]] * text["hidden_size"]
        for kind in text["layer_types"][text["num_hidden_layers"] - text["num_kv_shared_layers"] :]
    )
    assert total / 1e9 == pytest.approx(parameters_in_billions, abs=0.006)


@pytest.mark.parametrize(
    "checkpoint, dialect",
    [
        ("moe-bf16", "bf16"),
        ("moe-perexpert-bf16", "bf16-per-expert"),
        ("moe-ct-fp8-dynamic", "ct-fp8-dynamic"),
        ("wide-bf16", "bf16"),
        ("wide-ct-fp8-dynamic", "ct-fp8-dynamic"),
        ("ple-ct-fp8-dynamic", "ct-fp8-dynamic"),
        ("moe-ct-nvfp4", "ct-nvfp4"),
        ("moe-ct-nvfp4a16", "ct-nvfp4a16"),
        ("moe-ct-mixed", "ct-mixed"),
        ("moe-ct-fused-int4", "ct-fused-int4"),
        ("moe-aeyeops-fp8", "fused-fp8"),
    ],
)
def test_tensors_equal_those_of_the_real_producers(checkpoint, dialect):
    folder = CHECKPOINTS / checkpoint
    expected = {name: (entry["dtype"], entry["shape"]) for name, entry in read_checkpoint(folder).items()}
    config = json.loads((folder / "config.json").read_text())
    made = dialects.stored_tensors(dialects.DIALECTS[dialect], config)
    assert {stored.name: (stored.dtype, list(stored.shape)) for stored in made} == expected


def test_the_config_of_a_quantised_checkpoint_agrees_with_a_real_one(run_tool, tmp_path):
    run_tool("make_synthetic.py", "--shape", "tiny", "--dialect", "ct-fp8-dynamic", tmp_path)
    made = json.loads((tmp_path / "config.json").read_text())["quantization_config"]
    real = json.loads((CHECKPOINTS / "moe-ct-fp8-dynamic/config.json").read_text())["quantization_config"]
    assert (made["quant_method"], made["format"]) == (real["quant_method"], real["format"])
    weights, real_weights = (c["config_groups"]["group_0"]["weights"] for c in (made, real))
    assert weights.items() <= real_weights.items()


@pytest.mark.parametrize("dialect", ["bf16", "bf16-per-expert", "ct-fp8-dynamic"])
def test_a_real_checkpoint_is_complete_and_finite(run_tool, tmp_path, dialect):
    result = run_tool("make_synthetic.py", "--shape", "tiny", "--dialect", dialect, "--shard-bytes", 300_000, tmp_path)
    assert result.returncode == 0, result.stderr
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    read_checkpoint(tmp_path)
    for path in tmp_path.glob("*.safetensors"):
        header, data_offset = read_header(path)
        data = path.read_bytes()[data_offset:]
        for name, entry in header.items():
            raw = numpy.frombuffer(data[slice(*entry["data_offsets"])], numpy.uint8)
            if entry["dtype"] == "F8_E4M3":
                assert not numpy.any((raw & 0x7F) == 0x7F), name
                continue
            numbers = (raw.view(numpy.uint16).astype(numpy.uint32) << 16).view(numpy.float32)
            assert numpy.all(numpy.isfinite(numbers)) and numpy.any(numbers), name
            if "norm" in name and "self_attn" not in name:
                assert abs(numbers.mean() - 1) < 0.1, name


def test_the_seed_decides_the_values(run_tool, tmp_path):
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        run_tool("make_synthetic.py", "--shape", "tiny", "--seed", seed, tmp_path / folder)
    a, b, c = ((tmp_path / folder / "model.safetensors").read_bytes() for folder in "abc")
    assert a == b and a != c


def test_e4m3_codes_round_to_nearest():
    assert values.e4m3_codes(numpy.array([0.0, 1.0, -1.0, 448.0, 2.0**-9, 0.9e-3, 1.06, -1e-9])).tolist() == [
        0x00, 0x38, 0xB8, 0x7E, 0x01, 0x00, 0x38, 0x00]  # fmt: skip


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["--dialect", "ct-nvfp4"], "--skeleton"),
        (["--kv-scales"], "no cache scales"),
        (["--layers", "0"], "at least 1"),
        (["--shape", "e4b", "--layers", "6"], "without a donor"),
        (["--shape", "99b"], "invalid choice"),
    ],
)
def test_bad_arguments_are_refused(run_tool, tmp_path, arguments, complaint):
    result = run_tool("make_synthetic.py", *arguments, tmp_path / "out")
    assert result.returncode == 2 and complaint in result.stderr
    assert not (tmp_path / "out").exists()
