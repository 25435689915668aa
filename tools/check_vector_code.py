#!/usr/bin/env python3
"""Checks that vector code beyond the baseline stays in the files made for it.

A build folder's object files are disassembled. A file compiled for an instruction set (its name ends in the
set's) may define nothing that the linker could take for another file's copy: all but its exported table
functions must be local. Every other file may hold no instruction that an old processor lacks (VEX and EVEX
encodings, whose mnemonics begin with v).
"""

import pathlib
import re
import subprocess
import sys

VECTOR_FILE = re.compile(r"_(avx2|avx512|avx512_bf16)\.cc\.o$")
# The few instructions that begin with v and are none: verr, verw, and those of virtualisation.
BASELINE = re.compile(r"^(verr|verw|vm(call|launch|resume|xoff|ptrld|clear|read|write|func)|v?zeroupper)$")
INSTRUCTION = re.compile(r"^\s*[0-9a-f]+:\s+([a-z][a-z0-9]*)")
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def tool(name):
    for candidate in (f"{name}-19", name):
        if subprocess.run(["which", candidate], capture_output=True).returncode == 0:
            return candidate
    sys.exit(f"error: {name} is not installed\nhelp: scripts/setup test")


def vector_functions(path):
    """Functions of the object that hold an instruction beyond the baseline, with that instruction."""
    found = {}
    function = "?"
    for line in run(tool("llvm-objdump"), "-d", "--no-show-raw-insn", "-C", str(path)).splitlines():
        if match := FUNCTION.match(line):
            function = match.group(1)
        elif match := INSTRUCTION.match(line):
            name = match.group(1)
            if name.startswith("v") and not BASELINE.match(name):
                found.setdefault(function, name)
    return found


def shared_functions(path):
    """Functions of the object that the linker sees and may merge with other files' copies."""
    weak = []
    for line in run(tool("llvm-nm"), "--defined-only", "-C", str(path)).splitlines():
        kind, name = line.split(maxsplit=2)[1:]
        if kind in "WwVv":
            weak.append(name)
    return weak


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: tools/check_vector_code.py BUILD_FOLDER")
    objects = sorted(pathlib.Path(sys.argv[1]).glob("src/**/*.cc.o"))
    if not objects:
        sys.exit(f"error: no object files in {sys.argv[1]}/src")
    problems = []
    vector_files = 0
    for path in objects:
        if VECTOR_FILE.search(path.name):
            vector_files += 1
            if not vector_functions(path):
                problems.append(f"{path.name}: no vector code: it was compiled without its flags")
            problems += [f"{path.name}: '{name}' could replace another file's copy" for name in shared_functions(path)]
        else:
            problems += [f"{path.name}: '{function}' uses {name}"
                         for function, name in vector_functions(path).items()]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print(f"vector code: {vector_files} of {len(objects)} files hold it, {len(problems)} problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
