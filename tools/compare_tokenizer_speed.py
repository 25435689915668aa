#!/usr/bin/env python3
"""Measures `beryl tokenize` against Hugging Face's `tokenizers`, each on one thread, turn by turn in one run.

    python3 tools/compare_tokenizer_speed.py BERYL TOKENIZER_JSON [TEXT_FILE ...]

prints for each text the median and the least of several turns in MB/s and checks that the ids are equal. Beryl's times
include writing the request and reading the reply as JSON through a pipe; those of `tokenizers` are the bare call. Without
files it makes texts of English prose, code, Chinese and worst cases itself. Needs `tokenizers`.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import tokenizers  # noqa: E402  (reads the environment when loaded)

TEXT_BYTES = 1_000_000


def made_up_texts():
    """Name -> about a megabyte of text."""
    rng = random.Random(1)
    licence = (pathlib.Path(__file__).resolve().parent.parent / "LICENSE").read_text()
    words = licence.split()
    code = pathlib.Path(json.decoder.__file__).read_text() + pathlib.Path(argparse.__file__).read_text()
    # Frequent characters come far more often than rare ones, as in real text.
    common = [chr(0x4E00 + int(0x5000 * rng.random())) for _ in range(3000)]
    weights = [1 / (rank + 1) for rank in range(len(common))]
    prose = " ".join(rng.choice(words) for _ in range(TEXT_BYTES // 6))
    chinese = "".join(rng.choices([*common, "，", "。"], [*weights, 0.5, 0.3], k=TEXT_BYTES // 3))
    return {
        "prose": licence * (TEXT_BYTES // len(licence) + 1),
        "shuffled words": prose,
        "code": code * (TEXT_BYTES // len(code) + 1),
        "chinese": chinese,
        "one letter": "a" * TEXT_BYTES,
        "spaces": " " * TEXT_BYTES,
    }


class Beryl:
    def __init__(self, binary, file):
        self.process = subprocess.Popen([binary, "tokenize", file, "--stdin-json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.encode("")  # has loaded

    def encode(self, text):
        self.process.stdin.write(json.dumps({"text": text}).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["ids"]


def seconds(encode, text):
    start = time.perf_counter()
    ids = encode(text)
    return time.perf_counter() - start, ids


def compare(beryl, reference, text, turns):
    """Seconds of each turn: Beryl's and the reference's."""
    times = ([], [])
    for _ in range(turns):
        mine, my_ids = seconds(beryl.encode, text)
        theirs, their_ids = seconds(lambda whole: reference.encode(whole).ids, text)
        if my_ids != their_ids:
            raise SystemExit("error: the ids differ")
        times[0].append(mine)
        times[1].append(theirs)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("beryl", type=pathlib.Path, help="the binary")
    parser.add_argument("tokenizer", type=pathlib.Path, help="tokenizer.json")
    parser.add_argument("texts", type=pathlib.Path, nargs="*", help="UTF-8 text files")
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()

    start = time.perf_counter()
    beryl = Beryl(arguments.beryl, arguments.tokenizer)
    beryl_load = time.perf_counter() - start
    load, reference = seconds(tokenizers.Tokenizer.from_file, str(arguments.tokenizer))
    print(f"load: beryl {beryl_load:.2f} s (with the start of its process), tokenizers {load:.2f} s")
    texts = {path.name: path.read_text() for path in arguments.texts} or made_up_texts()
    print(f"{'text':16} {'MB':>6} {'beryl':>16} {'tokenizers':>16}   MB/s, median (best) of {arguments.turns}")
    for name, text in texts.items():
        size = len(text.encode()) / 1e6
        mine, theirs = compare(beryl, reference, text, arguments.turns)
        columns = [f"{size / statistics.median(times):7.2f} ({size / min(times):6.2f})" for times in (mine, theirs)]
        print(f"{name:16} {size:6.2f} {columns[0]:>16} {columns[1]:>16}")


if __name__ == "__main__":
    main()
