#!/usr/bin/env python3
"""Checks the house rules that neither the compiler, clang-format nor clang-tidy can keep.

For each .h and .cc under src/: length; no macro beyond the allowed ones; no call that kills the process or misreads
input; no unfinished-work marks; headers start with #pragma once; the namespace is the folder's; names say the thing.
"""

import argparse
import pathlib
import re
import sys

LINES_MAX = 500
ALLOWED_MACROS = {"BERYL_CHECK"}
# Calls that no source may make, and why.
FORBIDDEN = {
    r"\babort\s*\(": "throw beryl::Error instead",
    r"(?<!\.)\b_?exit\s*\(": "throw beryl::Error or return from main instead",
    r"\bassert\s*\(": "use BERYL_CHECK, or throw beryl::Error when input can reach it",
    r"#\s*include\s*<(cassert|assert\.h|regex)>": "use BERYL_CHECK; regular expressions recurse on their input",
    r"\bstd::regex\b": "it recurses on its input",
    r"\b(atoi|atol|atof|strtou?ll?|strto[dfl]|sscanf|stoi|stol|stoul|stof|stod)\s*\(": "use std::from_chars",
    r"\balloca\s*\(": "its size cannot be checked",
}
# The places that may do it, as (path below src/, pattern): a failed check, and a signal handler, which may not throw.
EXCEPTIONS = {("base/check.cc", r"\babort\s*\("), ("cli/interrupt.cc", r"(?<!\.)\b_?exit\s*\(")}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
VAGUE_NAME = re.compile(r"(^|_)(utils?|helpers?|managers?|misc|common)(_|$)")
MACRO = re.compile(r"^\s*#\s*define\s+(\w+)")
NAMESPACE = re.compile(r"^(?:inline )?namespace (\w[\w:]*)\s*\{", re.MULTILINE)


def without_comments_and_strings(text):
    """`text` with comments, string and character literals blanked; lines stay where they are."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])+\'',
        re.DOTALL)
    return pattern.sub(lambda match: "\n" * match.group().count("\n") or '""', text)


def namespace_problem(name, code):
    """Each file's outermost namespace is beryl (base), beryl::FOLDER or something below it."""
    outer = [found for found in NAMESPACE.findall(code) if found != "std"]
    folder = name.split("/")[0]
    allowed = "beryl" if folder == "base" else f"beryl::{folder}"
    for found in outer:
        if found.startswith("beryl") and not (found + "::").startswith(allowed + "::"):
            return f"namespace {found}, expected {allowed}"
    if name.endswith(".h") and not outer:
        return f"no namespace, expected {allowed}"
    return None


def line_problems(name, code):
    """Yields (line number, problem) for what single lines of code show."""
    for number, line in enumerate(code.splitlines(), 1):
        macro = MACRO.match(line)
        if macro and macro.group(1) not in ALLOWED_MACROS:
            yield number, f"macro {macro.group(1)}"
        for pattern, remedy in FORBIDDEN.items():
            found = re.search(pattern, line)
            if found and (name, pattern) not in EXCEPTIONS:
                yield number, f"'{found.group().strip()}' is forbidden: {remedy}"


def problems(name, text):
    """Yields (line number, problem) for one file, `name` being its path below src/."""
    lines = text.splitlines()
    if len(lines) > LINES_MAX:
        yield len(lines), f"{len(lines)} lines, at most {LINES_MAX}"
    if VAGUE_NAME.search(pathlib.PurePosixPath(name).stem):
        yield 1, "the file's name says nothing about what it is"
    for number, line in enumerate(lines, 1):
        if UNFINISHED.search(line):
            yield number, "unfinished-work mark"
    code = without_comments_and_strings(text)
    if name.endswith(".h") and "#pragma once" not in code:
        yield 1, "no #pragma once"
    yield from line_problems(name, code)
    namespace = namespace_problem(name, code)
    if namespace:
        yield 1, namespace


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent,
                        help="the project's folder (default: the one this script is in)")
    src = parser.parse_args().root / "src"
    found = []
    for path in sorted(src.rglob("*")):
        if path.suffix in (".h", ".cc"):
            name = path.relative_to(src).as_posix()
            found += [f"src/{name}:{number}: {problem}" for number, problem in problems(name, path.read_text())]
    print("\n".join(found) if found else "style: ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
