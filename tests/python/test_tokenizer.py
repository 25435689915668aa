"""`beryl tokenize` agrees with Hugging Face's `tokenizers` on generated texts and ids, both ways.

Always with the demo model's vocabulary; with Google's too when $BERYL_SHARED/data/tokenizer/tokenizer.json is there.
"""

import json
import os
import pathlib
import random
import subprocess

import pytest

os.environ["TOKENIZERS_PARALLELISM"] = "false"
tokenizers = pytest.importorskip("tokenizers")

TEXT_COUNT = 20_000
ID_LIST_COUNT = 5_000
PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent
SHARED = pathlib.Path(os.environ.get("BERYL_SHARED", PROJECT.parent / "shared"))
FILES = {"demo": PROJECT / "models/demo/tokenizer.json", "google": SHARED / "data/tokenizer/tokenizer.json"}

# First and last code point of blocks of many scripts, symbols, emoji, controls and private use.
BLOCKS = [
    (0x00, 0x1F), (0x20, 0x7E), (0x7F, 0x9F), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x530, 0x58F),
    (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F), (0x980, 0x9FF), (0xB80, 0xBFF), (0xC00, 0xC7F), (0xE00, 0xE7F),
    (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1200, 0x137F), (0x13A0, 0x13FF), (0x1780, 0x17FF), (0x2000, 0x206F),
    (0x2190, 0x22FF), (0x2500, 0x25FF), (0x3040, 0x30FF), (0x3130, 0x318F), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3),
    (0xE000, 0xE0FF), (0xFB00, 0xFDFF), (0xFE00, 0xFE0F), (0xFF00, 0xFFFF), (0x10000, 0x1007F), (0x12000, 0x120FF),
    (0x1D400, 0x1D4FF), (0x1F1E6, 0x1F1FF), (0x1F300, 0x1FAFF), (0x20000, 0x200FF), (0xE0000, 0xE007F), (0x10FF00, 0x10FFFF),
]
FRAGMENTS = [
    " ", "  ", "\n", "\n\n", "\t", "\r\n", "▁", ">▁</", "<", ">", "|", "<|", "|>", "turn", "</", "the ", " of", "0", "19", "_", "__",
    "\u200d", "\ufe0f", "🦙", "👩", "é", "中", "的", "が", "한", "ا", "ب", "Ж",
]


class Beryl:
    """A running `beryl tokenize MODEL --stdin-json`."""

    def __init__(self, binary, file):
        self.process = subprocess.Popen([binary, "tokenize", file, "--stdin-json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        reply = json.loads(self.process.stdout.readline())
        assert "error" not in reply, (request, reply)
        return reply

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=60) == 0


@pytest.fixture(scope="module", params=FILES)
def pair(request, beryl_bin):
    """Both tokenizers on the same file."""
    file = FILES[request.param]
    if not file.is_file():
        pytest.skip(f"NOT TESTED against Google's vocabulary: there is no {file}; set BERYL_SHARED")
    beryl = Beryl(beryl_bin, file)
    yield beryl, tokenizers.Tokenizer.from_file(str(file))
    beryl.close()


def from_blocks(rng):
    first, last = rng.choice(BLOCKS)
    points = (rng.randint(first, last) for _ in range(rng.randint(1, 40)))
    return "".join(chr(point) for point in points if not 0xD800 <= point < 0xE000)


def excerpt(rng, source):
    start = rng.randrange(len(source))
    return source[start : start + rng.randint(1, 500)]


def make_texts(rng, words, sources):
    """Texts of all scripts, emoji, controls, code, runs, pieces of the vocabulary and special tokens."""
    kinds = [
        lambda: from_blocks(rng),
        lambda: rng.choice([" ", "", "\n"]).join(from_blocks(rng) for _ in range(rng.randint(2, 5))),
        lambda: "".join(rng.choice(words) for _ in range(rng.randint(1, 25))),
        lambda: " ".join(rng.choice(words) for _ in range(rng.randint(1, 25))),
        lambda: "".join(rng.choice(FRAGMENTS) for _ in range(rng.randint(1, 60))),
        lambda: rng.choice(FRAGMENTS) * rng.randint(1, 100),
        lambda: rng.choice(words) * rng.randint(1, 40),
        lambda: excerpt(rng, rng.choice(sources)),
    ]
    for index in range(TEXT_COUNT):
        yield kinds[index % len(kinds)]()


def make_id_lists(rng, tokenizer):
    size = tokenizer.get_vocab_size()
    specials = sorted(tokenizer.get_added_tokens_decoder())
    byte = [tokenizer.token_to_id(f"<0x{value:02X}>") for value in range(256)]
    for _ in range(ID_LIST_COUNT):
        ids = []
        for _ in range(rng.randint(1, 20)):
            kind = rng.randrange(4)
            if kind == 0:
                ids.append(rng.randrange(size))
            elif kind == 1:
                ids.extend(byte[value] for value in from_blocks(rng)[:3].encode())
            elif kind == 2:
                ids.append(rng.choice(byte))
            else:
                ids.append(rng.choice(specials))
        yield ids


def sources():
    """Code and prose that comes with the project and with Python."""
    files = [pathlib.Path(json.__file__), pathlib.Path(random.__file__), PROJECT / "src/text/tokenizer.cc", PROJECT / "src/base/json.cc",
             PROJECT / "testdata/README.md", PROJECT / "models/demo/chat_template.jinja"]
    return [file.read_text() for file in files if file.is_file()]


def test_encodes_alike(pair):
    beryl, reference = pair
    rng = random.Random(20)
    words = sorted(reference.get_vocab(), key=reference.get_vocab().get)
    for text in make_texts(rng, words, sources()):
        assert beryl.ask(text=text)["ids"] == reference.encode(text).ids, repr(text)


def test_encodes_plain_text_as_without_added_tokens(pair):
    beryl, reference = pair
    specials = [token.content for token in reference.get_added_tokens_decoder().values()]
    without = json.loads(reference.to_str())
    without["added_tokens"] = []
    without = tokenizers.Tokenizer.from_str(json.dumps(without))
    rng = random.Random(21)
    for _ in range(2_000):
        text = "".join(rng.choice([*FRAGMENTS, *specials]) for _ in range(rng.randint(1, 12)))
        assert beryl.ask(text=text, special=False)["ids"] == without.encode(text).ids, repr(text)


@pytest.mark.parametrize("skip_special", [False, True])
def test_decodes_alike(pair, skip_special):
    beryl, reference = pair
    for ids in make_id_lists(random.Random(22), reference):
        expected = reference.decode(ids, skip_special_tokens=skip_special)
        assert beryl.ask(ids=ids, skip_special=skip_special)["text"] == expected, ids
        pieces = beryl.ask(ids=ids, skip_special=skip_special, stream=True)["pieces"]
        assert len(pieces) == len(ids) + 1
        if "\ufffd" not in expected:
            assert "".join(pieces) == expected, ids
