#!/usr/bin/env python3
"""Adds up the results of several test runners and prints one closing line: N passed, M failed, K skipped.

Each argument is NAME:EXIT_CODE:FILE, the file being the JUnit XML that CTest, GoogleTest or pytest wrote. A runner that
left no readable file, or failed without a failed test in it, counts as one failed test. Failed and skipped tests are
listed by name. The exit code is 1 unless nothing failed and something passed.
"""

import argparse
import re
import sys
import xml.etree.ElementTree as ElementTree


def outcome(case):
    """("passed", "failed" or "skipped", the reason given) of one <testcase>."""
    for problem in ("failure", "error"):
        if case.find(problem) is not None:
            return "failed", ""
    skipped = case.find("skipped")
    if skipped is not None:
        reason = skipped.get("message") or skipped.text or ""
        # CTest tells only that GoogleTest said "Skipped"; the reason is the next line of the test's output.
        said = re.search(r": Skipped\n(.+)", case.findtext("system-out") or "")
        return "skipped", " ".join((said.group(1) if said else reason).split())
    if case.get("status") in ("notrun", "disabled"):
        return "skipped", "disabled"
    return "passed", ""


def read_results(path):
    """A list of (test name, outcome, reason); None when the file is missing or no XML."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    results = []
    for case in root.iter("testcase"):
        group = case.get("classname", "")
        name = case.get("name", "")
        # CTest repeats the whole name as the class.
        full_name = name if not group or group == name else f"{group}.{name}"
        results.append((full_name, *outcome(case)))
    return results


def runner_results(name, exit_code, path):
    results = read_results(path)
    if results is None:
        return [(f"({name} wrote no results)", "failed", "")]
    if exit_code != 0 and all(result[1] != "failed" for result in results):
        results.append((f"({name} ended with code {exit_code})", "failed", ""))
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME:EXIT_CODE:FILE")
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for run in parser.parse_args().runs:
        name, exit_code, path = run.split(":", 2)
        for test, result, reason in runner_results(name, int(exit_code), path):
            counts[result] += 1
            if result != "passed":
                print(f"{result.upper()} {name}: {test}" + (f" ({reason})" if reason else ""))
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    print(f"{counts['passed']} passed, {counts['failed']} failed{skipped}")
    return 0 if counts["passed"] and not counts["failed"] else 1


if __name__ == "__main__":
    sys.exit(main())
