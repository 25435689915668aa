#!/usr/bin/env python3
"""Writes a damaged copy of a tiny checkpoint, to see who reports the damage and how.

  damage_checkpoint.py --list                          the kinds: name, base, what it takes to see it, what is wrong
  damage_checkpoint.py fp8-scale-negative /tmp/model   the damaged copy
  damage_checkpoint.py --markdown                      the tables of docs/checkpoints-damage.md
"""

import argparse
import pathlib
import sys

from damage.kinds import KINDS, Seen

HEADINGS = {
    Seen.OPENING: "Refused by every command, from headers and configuration",
    Seen.LOADING: "Refused by every command that reads weights",
    Seen.VERIFY: "Reported by `beryl verify`",
    Seen.AGAINST: "Reported by `beryl verify --against ORIGINAL` only",
}


def print_list():
    for kind in KINDS.values():
        print(f"{kind.name:<38} {kind.base:<26} {kind.seen.value:<8} {kind.summary}")


def print_markdown():
    """A table for each way to see a damage."""
    tables = []
    for seen, heading in HEADINGS.items():
        rows = [f"| `{kind.name}` | `{kind.base}` | {kind.summary} |" for kind in KINDS.values() if kind.seen == seen]
        tables.append("\n".join([f"## {heading}\n", "| kind | in | what is wrong |", "|---|---|---|", *rows]))
    print("\n\n".join(tables))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", nargs="?", metavar="KIND", help="the kind of damage")
    parser.add_argument("folder", nargs="?", type=pathlib.Path, metavar="OUT", help="where to write; must not be there yet")
    parser.add_argument("--list", action="store_true", help="list the kinds")
    parser.add_argument("--markdown", action="store_true", help="list the kinds as tables")
    arguments = parser.parse_args()
    if arguments.list:
        print_list()
    elif arguments.markdown:
        print_markdown()
    elif arguments.folder is None:
        parser.error("KIND and OUT are needed, or --list")
    elif arguments.kind not in KINDS:
        parser.error(f"there is no kind '{arguments.kind}'; --list shows those that there are")
    elif arguments.folder.exists():
        parser.error(f"'{arguments.folder}' is there already")
    else:
        kind = KINDS[arguments.kind]
        kind.write(arguments.folder)
        print(f"{arguments.folder}: {kind.base}, damaged: {kind.summary}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
