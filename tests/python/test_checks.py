"""Each check of the house rules accepts a clean tree and finds a violation planted in it."""

import pytest

HEADER = "#pragma once\n\nnamespace beryl::{folder} {{\n{body}\n}}  // namespace beryl::{folder}\n"


@pytest.fixture
def tree(tmp_path):
    """A clean small project; returns a function that adds a file to its src/ folder."""

    def add(name, text):
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return tmp_path

    add("base/error.h", "#pragma once\n\nnamespace beryl {\nstruct Error {};\n}  // namespace beryl\n")
    add("backend/backend.h", HEADER.format(folder="backend", body="struct Backend {};"))
    add("backend/cpu/pool.h", HEADER.format(folder="backend", body="struct Pool {};"))
    add("model/model.h", HEADER.format(folder="model", body="struct Model {};"))
    add("model/model.cc", '#include "model/model.h"\n\n#include "backend/backend.h"\n#include "base/error.h"\n')
    return add


@pytest.mark.parametrize("check", ["check_layers.py", "check_style.py", "check_headers.py"])
def test_accepts_a_clean_tree(run_tool, tree, check):
    result = run_tool(check, "--root", tree("base/check.h", "#pragma once\nnamespace beryl {}\n"))
    assert (result.returncode, result.stdout.count("\n")) == (0, 1), result.stdout + result.stderr


@pytest.mark.parametrize("check", ["check_layers.py", "check_style.py", "check_headers.py", "sum_tests.py"])
def test_has_help(run_tool, check):
    result = run_tool(check, "--help")
    assert result.returncode == 0 and "usage:" in result.stdout


@pytest.mark.parametrize(
    "name, include",
    [
        ("base/upward.cc", "model/model.h"),
        ("model/too_deep.cc", "backend/cpu/pool.h"),
        ("model/too_deep_test.cc", "backend/cpu/pool.h"),
        ("text/sideways.cc", "backend/backend.h"),
        ("backend/backend_sees_cpu.cc", "backend/cpu/pool.h"),
        ("model/missing.cc", "model/no_such.h"),
        ("drawer/unknown_folder.cc", "base/error.h"),
    ],
)
def test_layers_finds(run_tool, tree, name, include):
    result = run_tool("check_layers.py", "--root", tree(name, f'#include "{include}"\n'))
    assert result.returncode == 1 and f"src/{name}" in result.stdout


@pytest.mark.parametrize(
    "code",
    [
        "void f() { abort(); }",
        "void f() { std::exit(1); }",
        "void f() { _exit(1); }",
        "void f(int x) { assert(x > 0); }",
        "#include <regex>",
        "int f(const char* s) { return atoi(s); }",
        "long f(const char* s) { return std::strtoul(s, nullptr, 10); }",
        "void f(const char* s, int* x) { sscanf(s, \"%d\", x); }",
        "void f(int n) { alloca(n); }",
        "#define CHECK_IT(x) ((x) ? 0 : 1)",
        "// TODO: later",
        "namespace beryl::model {}",
        "int x;\n" * 501,
    ],
)
def test_style_finds(run_tool, tree, code):
    result = run_tool("check_style.py", "--root", tree("text/planted.cc", code + "\n"))
    assert result.returncode == 1 and "src/text/planted.cc" in result.stdout


@pytest.mark.parametrize(
    "code",
    [
        "// never aborts: abort() would be wrong here",
        'const char* kText = "abort() and assert() in a string // TOD" "O";',
        "static_assert(sizeof(int) == 4);",
        "void f(Log& log) { log.last_exit(3); log.exit(3); }",
        "const char* kRaw = R\"(atoi(x))\";",
    ],
)
def test_style_lets_pass(run_tool, tree, code):
    result = run_tool("check_style.py", "--root", tree("text/innocent.cc", code + "\n"))
    assert result.returncode == 0, result.stdout


def test_style_wants_pragma_once_and_a_namespace_and_a_telling_name(run_tool, tree):
    assert run_tool("check_style.py", "--root", tree("text/bare.h", "namespace beryl::text {}\n")).returncode == 1
    assert run_tool("check_style.py", "--root", tree("text/bare.h", "#pragma once\nint x;\n")).returncode == 1
    tree("text/bare.h", "#pragma once\nnamespace beryl::text {}\n")
    assert run_tool("check_style.py", "--root", tree("text/string_utils.cc", "\n")).returncode == 1


def test_headers_finds_one_that_leans_on_another(run_tool, tree):
    root = tree("text/leans.h", HEADER.format(folder="text", body="inline beryl::Error error;"))
    result = run_tool("check_headers.py", "--root", root, "--compilers", "clang++-19", "g++")
    assert result.returncode == 1
    assert "clang++-19" in result.stdout and "g++" in result.stdout and "src/text/leans.h" in result.stdout
