"""`beryl bench`: what it prints for a miniature with random weights and for a tiny checkpoint."""

import json
import re

import pytest

QUICK = ("--prompt", "40,70", "--depth", "0,80", "--batch", "1,3", "--runs", "1", "--steps", "2")
TINY = ("--shape", "tiny", "--format")


@pytest.fixture(scope="module")
def bench(beryl):
    """Runs the command with --json; returns its object."""

    def run(*arguments):
        done = beryl("bench", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("memory: weights ")
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("number_format", ["bf16", "fp8", "int4-g32", "nvfp4", "mxfp4", "q4_k", "q6_k"])
def test_measures_a_shape(bench, number_format):
    found = bench(*TINY, number_format, *QUICK)
    assert found["subject"].startswith(f"tiny {number_format}, head ")
    assert found["routing"] == "uniform"
    assert [row["tokens"] for row in found["prefill"]] == [40, 70]
    assert [(row["depth"], row["batch"]) for row in found["decode"]] == [(0, 1), (0, 3), (80, 1), (80, 3)]
    for row in found["prefill"]:
        assert row["tokens_per_second"] == pytest.approx(row["tokens"] / row["seconds"])
        assert row["share"] == pytest.approx(row["operations_per_second"] / row["multiply_peak"])
        assert 0 < row["share"] < 1
    for row in found["decode"]:
        assert row["tokens_per_second"] == pytest.approx(row["batch"] / row["seconds_per_step"])
        assert row["bytes_per_second"] == pytest.approx(row["bytes_per_token"] * row["tokens_per_second"])
        assert row["share"] == pytest.approx(row["bytes_per_second"] / row["read_bandwidth"])


def test_counts_bytes_and_operations(bench):
    found = bench(*TINY, "bf16", *QUICK)
    # Width 256, 6 layers, 4 of them with 2 heads of 32 for keys and values, 2 with 1 of 64 whose values are the
    # keys; 4 heads of queries; a dense MLP of 128, a router of 16, 4 experts of 64; a vocabulary of 512.
    sliding = 256 * 32 * (2 * 4 + 2 * 2)
    full = 256 * 64 * (2 * 4 + 1)
    layers = 4 * sliding + 2 * full + 6 * (3 * 256 * 128 + 256 * 16 + 4 * 3 * 256 * 64)
    # The head is for the last token.
    assert found["prefill"][1]["operations"] == 2 * (70 * layers + 512 * 256)
    norms = 6 * (7 * 256 + 256 + 16 + 1) + 4 * 2 * 32 + 2 * 2 * 64 + 256
    cache = 2 * 2 * (4 * 2 * 32 + 2 * 1 * 64)
    in_cache = 1  # of two steps from an empty cache, the second finds a token
    assert found["decode"][0]["bytes_per_token"] == 2 * (layers + 512 * 256 + norms) + in_cache * cache


def test_measures_a_model(bench, project):
    found = bench(project / "testdata/checkpoints/moe-bf16", *QUICK)
    assert found["routing"] == "the model's"
    assert len(found["decode"]) == 4
    dense = bench(project / "testdata/checkpoints/dense-bf16", "--no-prefill", *QUICK[2:])
    assert "routing" not in dense
    assert dense["prefill"] == []


def test_prints_a_table(beryl):
    done = beryl("bench", *TINY, "nvfp4", "--head", "int8", "--layers", "3", "--routing", "skewed", *QUICK)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "tiny nvfp4, head int8, 3 layers, routing: skewed"
    assert re.search(r"\bprefill +tokens +tokens/s +GFLOP/s +peak GFLOP/s +share", done.stdout)
    assert re.search(r"^ +80 +3( +[\d.]+)( +[\d.]+ [kMG]?B)( +[\d.]+){3} %$", done.stdout, re.M), done.stdout


def test_leaves_out_default_depths_beyond_the_model(bench):
    found = bench("models/demo", "--prompt", "16", "--batch", "1", "--runs", "1", "--steps", "2")
    assert [row["depth"] for row in found["decode"]] == [0]


def test_needs_something_to_measure(beryl):
    assert beryl("bench").returncode == 2


def test_computes_in_f32(bench):
    assert bench(*TINY, "fp8", "--compute", "f32", *QUICK)["compute"] == "f32"


@pytest.mark.parametrize("arguments, message", [
    ((), "there is nothing to measure"),
    (("models/demo", "--depth", "4096"), "but the model has 4096 positions"),
    (("--shape", "31b"), "--format"),
    (("--shape", "27b", "--format", "fp8"), "27b"),
    (("--shape", "tiny", "--format", "int3"), "int3"),
    (("--shape", "tiny", "--format", "fp8", "--layers", "7"), "7 layers, expected 1 to 6"),
    (("models/demo", "--shape", "tiny", "--format", "fp8"), "excludes"),
    (("models/demo", "--prompt", "0"), "--prompt"),
    (("--shape", "tiny", "--format", "fp8", "--prompt", "1000000"), "1000000 tokens, but the model has 262144 positions"),
])
def test_refuses(beryl, arguments, message):
    done = beryl("bench", *arguments)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert done.stdout == ""


def test_refuses_what_does_not_fit(beryl):
    done = beryl("bench", "--shape", "31b", "--format", "f32", "--batch", "1024", "--depth", "100000")
    assert done.returncode == 1
    assert re.search(r"measuring needs [\d.]+ [GT]B of memory, [\d.]+ GB are available \(weights 12\d\.\d GB", done.stderr)
    assert "--layers" in done.stderr
