"""The closing line of scripts/test: sums over runners, and nothing that went wrong is lost."""

import pytest

CTEST = """<testsuite name="x" tests="3" failures="1" skipped="1">
<testcase name="A.passes" classname="A.passes" status="run"/>
<testcase name="A.fails" classname="A.fails" status="fail"><failure message="no"/></testcase>
<testcase name="A.skips" classname="A.skips" status="notrun"><skipped message="needs\navx512"/></testcase>
</testsuite>"""
PYTEST = """<testsuites><testsuite name="pytest" tests="2">
<testcase classname="tests.t" name="one"/><testcase classname="tests.t" name="two"><error message="boom"/></testcase>
</testsuite></testsuites>"""
ALL_PASS = '<testsuite><testcase name="A.passes" classname="A.passes" status="run"/></testsuite>'


@pytest.fixture
def summary(run_tool, tmp_path):
    """Runs the tool over (exit code, XML text or None) pairs; returns its exit code and output lines."""

    def run(*runs):
        arguments = []
        for index, (code, text) in enumerate(runs):
            path = tmp_path / f"{index}.xml"
            if text is not None:
                path.write_text(text)
            arguments.append(f"r{index}:{code}:{path}")
        result = run_tool("sum_tests.py", *arguments)
        return result.returncode, result.stdout.splitlines()

    return run


def test_adds_up_and_names_what_did_not_pass(summary):
    code, lines = summary((8, CTEST), (1, PYTEST))
    assert code == 1
    assert lines[-1] == "2 passed, 2 failed, 1 skipped"
    assert "FAILED r0: A.fails" in lines
    assert "SKIPPED r0: A.skips (needs avx512)" in lines
    assert "FAILED r1: tests.t.two" in lines


def test_gives_the_reason_that_googletest_printed(summary):
    text = """<testsuite><testcase name="A.skips" classname="A.skips" status="notrun">
<skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/>
<system-out>[ RUN      ] A.skips\n/a/b_test.cc:44: Skipped\nneeds avx512\n[  SKIPPED ] A.skips (0 ms)</system-out>
</testcase></testsuite>"""
    assert "SKIPPED r1: A.skips (needs avx512)" in summary((0, ALL_PASS), (0, text))[1]


def test_all_passed(summary):
    assert summary((0, ALL_PASS)) == (0, ["1 passed, 0 failed"])


def test_a_runner_that_died_counts_as_a_failure(summary):
    code, lines = summary((0, ALL_PASS), (139, ALL_PASS))
    assert (code, lines[-1]) == (1, "2 passed, 1 failed")
    assert "FAILED r1: (r1 ended with code 139)" in lines


@pytest.mark.parametrize("text", [None, "<testsuite><testcase"])
def test_a_runner_without_results_counts_as_a_failure(summary, text):
    code, lines = summary((0, ALL_PASS), (0, text))
    assert (code, lines[-1]) == (1, "1 passed, 1 failed")


def test_nothing_run_is_no_success(summary):
    assert summary((0, "<testsuite/>")) == (1, ["0 passed, 0 failed"])
