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


STREAMS = ("--streams", "1,3", "--runs", "2", "--steps", "4", "--long-prompt", "200", "--step-ms", "20")


@pytest.mark.parametrize("subject", [(*TINY, "int4-g32"), (*TINY, "fp8", "--routing", "skewed"), ("models/demo",)])
def test_measures_streams(bench, subject):
    found = bench(*subject, *STREAMS)
    assert found["prefill"] == found["decode"] == []
    assert found["step_ms"] == 20
    assert found["cache_bytes"] > 0
    assert [row["streams"] for row in found["streams"]] == [1, 3]
    one = found["streams"][0]["tokens_per_second"]
    for row in found["streams"]:
        assert row["tokens"] == row["gaps"]["count"] == row["streams"] * 2 * 4
        assert row["tokens_per_second"] == pytest.approx(row["tokens"] / row["seconds"])
        assert row["times_one_stream"] == pytest.approx(row["tokens_per_second"] / one)
        prompts = row["long_prompts"]
        assert (prompts["prompts"], prompts["prompt_tokens"], prompts["p99_goal_ms"]) == (2, 200, 30)
        assert prompts["prompt_tokens_per_second"] == pytest.approx(2 * 200 / prompts["seconds"])
        assert prompts["stream_tokens"] == prompts["gaps"]["count"] > 0
        assert prompts["meets_goal"] == (prompts["gaps"]["p99_ms"] <= 30)
        for gaps in row["gaps"], prompts["gaps"]:
            assert 0 < gaps["p50_ms"] <= gaps["p99_ms"] <= gaps["max_ms"]


def test_measures_streams_without_prompts(bench):
    found = bench(*TINY, "fp8", "--streams", "2", "--runs", "1", "--steps", "2", "--long-prompt", "0")
    assert found["streams"][0].keys() == {"streams", "tokens", "seconds", "tokens_per_second", "gaps"}


def test_prints_tables_of_streams(beryl):
    done = beryl("bench", *TINY, "fp8", *STREAMS)
    assert done.returncode == 0, done.stderr
    assert "prefill" not in done.stdout
    assert re.search(r"^ +streams +tokens/s +x one +p50 gap ms +p99 gap ms$", done.stdout, re.M)
    assert re.search(r"^ +1 +[\d.]+ +1\.00( +[\d.]+){2}$", done.stdout, re.M), done.stdout
    assert "beside a prompt of 200 tokens, steps of 20 ms; goal of the p99 gap: 30 ms" in done.stdout
    assert re.search(r"^ +3 +[\d.]+ +\d+( +[\d.]+){2} +(met|no) +[\d.]+$", done.stdout, re.M), done.stdout


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
    (("models/demo", "--streams", "2", "--long-prompt", "4096"), "texts of up to 4097 tokens, but the model has 4096 positions"),
    (("models/demo", "--streams", "2", "--depth", "0"), "excludes"),
    (("models/demo", "--step-ms", "500"), "--streams"),
    (("models/demo", "--streams", "0"), "--streams"),
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
