#!/usr/bin/env python3
"""Checks that each header under src/ compiles when it is the only thing a source file includes.

Runs the compilers with -fsyntax-only; headers that need an instruction set get its flags from the table below.
"""

import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys

# A part of a header's name -> the flags it is compiled with.
ISA_FLAGS = {
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512bf16", "-mavx512vbmi"],
    "avx2": ["-mavx2", "-mfma", "-mf16c"],
    # Kernels over the vocabulary of whichever instruction set they are compiled for.
    "cpu/matrix_fma": ["-mavx2", "-mfma", "-mf16c"],
    "cpu/matrix_steps": ["-mavx2", "-mfma", "-mf16c"],
}


def isa_flags(header):
    for name, flags in ISA_FLAGS.items():
        if name in header:
            return flags
    return []


def compile_alone(compiler, src, header):
    """None if `header` compiles alone, else what the compiler said."""
    # The build defines BERYL_SOURCE_DIR for tests and for the headers that only they include.
    command = [compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", f"-I{src}",
               f'-DBERYL_SOURCE_DIR="{src.parent}"', *isa_flags(header), "-x", "c++", "-"]
    result = subprocess.run(command, input=f'#include "{header}"\n', capture_output=True, text=True)
    return None if result.returncode == 0 else f"src/{header} does not compile alone with {compiler}:\n{result.stderr}"


def failures(src, compilers, jobs):
    headers = sorted(path.relative_to(src).as_posix() for path in src.rglob("*.h"))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = [pool.submit(compile_alone, compiler, src, header) for compiler in compilers for header in headers]
        return [result.result() for result in results if result.result()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent,
                        help="the project's folder (default: the one this script is in)")
    # One is enough to find a missing include: both build with the same standard library.
    parser.add_argument("--compilers", nargs="+", default=["clang++-19"], metavar="NAME")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N")
    args = parser.parse_args()
    found = failures(args.root / "src", args.compilers, args.jobs)
    print("\n".join(found) if found else "headers: ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
