"""beryl compare: a checkpoint with itself, the demo pair, charts, and what it refuses."""

import json
import xml.etree.ElementTree

import pytest


@pytest.fixture(scope="session")
def demo_data(project):
    return project / "models/demo/test.jsonl"


def test_a_checkpoint_is_exactly_itself(beryl, demo, demo_data):
    done = beryl("compare", demo, demo, "--data", demo_data, "--positions", 300, "--layers", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["positions"] == 300
    assert all(report[name] == 0 for name in ("kl_mean", "kl_median", "kl_p99", "kl_p999", "kl_max"))
    assert report["same_choice"] == 1 and report["first_perplexity"] == report["second_perplexity"]
    assert all(layer == {"relative_error": 0, "changed_choices": 0, "changed_positions": 0}
               for layer in report["layers"])


def test_a_pair_in_words_and_as_a_chart(beryl, project, demo, demo_data, tmp_path):
    done = beryl("compare", project / "models/demo", demo, "--data", demo_data, "--positions", 2000, "--layers",
                 "--plot", tmp_path / "chart.svg")
    assert done.returncode == 0, done.stderr
    for part in ("2000 positions", "KL divergence", "perplexity", "changed choices of experts",
                 "where they differ most", "first choices"):
        assert part in done.stdout
    assert xml.etree.ElementTree.parse(tmp_path / "chart.svg").getroot().tag.endswith("svg")


def test_golden_files_need_no_tokenizer(beryl, project):
    folder = project / "testdata/checkpoints"
    done = beryl("compare", folder / "moe-bf16", folder / "moe-ct-fp8-dynamic", "--golden",
                 project / "testdata/golden/moe-bf16.safetensors", "--json", "--worst", 1)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["kl_mean"] > 0 and report["worst"][0]["before"].startswith("[")


def test_plain_text_is_predicted_as_it_stands(beryl, demo, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("Tom has 3 apples and buys 4 more. Then Tom has 7 apples.")
    done = beryl("compare", demo, demo, "--data", text, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["texts"] == 1


@pytest.mark.parametrize("arguments, part", [
    ([], "--golden"),
    (["--data", "models/none.jsonl"], "none.jsonl"),
    (["--data", "models/demo/test.jsonl", "--golden", "x"], "excludes"),
    (["--data", "models/demo/test.jsonl", "--plot", "/nonexistent/chart.svg"], "cannot write the chart"),
])
def test_says_what_is_wrong(beryl, demo, arguments, part):
    done = beryl("compare", demo, demo, *arguments, "--positions", 50)
    assert done.returncode in (1, 2)
    assert part in done.stderr


def test_models_of_other_shapes_are_refused(beryl, project):
    folder = project / "testdata/checkpoints"
    golden = project / "testdata/golden/moe-bf16.safetensors"
    done = beryl("compare", folder / "moe-bf16", folder / "wide-bf16", "--golden", golden, "--layers")
    assert done.returncode == 1 and "cannot be compared" in done.stderr
