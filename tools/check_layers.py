#!/usr/bin/env python3
"""Checks that includes under src/ go one way only: a folder may include itself and the folders it stands on.

The allowed edges are the table below. `backend` is special: others see its interface, backend/backend.h, and nothing
else of it, except the command line and evaluation, which choose an implementation through the header that makes one.
"""

import argparse
import pathlib
import re
import sys

# Folder -> the folders whose headers it may include, besides its own.
ALLOWED = {
    "base": set(),
    "formats": {"base"},
    "text": {"base"},
    "backend": {"base", "formats"},
    "backend/cpu": {"base", "formats", "backend"},
    "checkpoint": {"base", "formats"},
    "model": {"base", "formats", "checkpoint", "backend"},
    "engine": {"base", "formats", "checkpoint", "backend", "model", "text"},
    "eval": {"base", "formats", "checkpoint", "backend", "model", "text", "engine"},
    "server": {"base", "formats", "checkpoint", "backend", "model", "text", "engine"},
    "cli": {"base", "formats", "checkpoint", "backend", "backend/cpu", "model", "text", "engine", "eval", "server"},
}
# Headers that anyone above may include although their folder is closed to them: they make an implementation.
# Tests may include them too, since a test needs a real backend.
FACTORIES = {"backend/cpu/cpu_backend.h"}

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')


def folder_of(path):
    """The folder of a path relative to src/ in terms of the table; None when the table does not know it."""
    parts = pathlib.PurePosixPath(path).parts[:-1]
    for depth in range(len(parts), 0, -1):
        name = "/".join(parts[:depth])
        if name in ALLOWED:
            return name
    return None


def is_allowed(source, includer, header):
    included = folder_of(header)
    if included is None:
        return False
    if included == includer or included in ALLOWED[includer]:
        return True
    makes_backend = header in FACTORIES and (includer in ("engine", "eval") or source.endswith("_test.cc"))
    return makes_backend


def violations(src):
    """Yields one line of text for each forbidden include below `src`."""
    for path in sorted(src.rglob("*")):
        if path.suffix not in (".h", ".cc"):
            continue
        source = path.relative_to(src).as_posix()
        includer = folder_of(source)
        if includer is None:
            yield f"src/{source}: its folder is in no layer; add it to tools/check_layers.py"
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            header = match.group(1)
            if not (src / header).is_file():
                yield f'src/{source}:{number}: "{header}" is no file below src/'
            elif not is_allowed(source, includer, header):
                yield f'src/{source}:{number}: {includer} must not include "{header}"'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent,
                        help="the project's folder (default: the one this script is in)")
    found = list(violations(parser.parse_args().root / "src"))
    print("\n".join(found) if found else "layers: ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
