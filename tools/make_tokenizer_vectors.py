#!/usr/bin/env python3
"""Writes what Hugging Face's `tokenizers` makes of many texts and ids, and what Python makes of broken UTF-8.

    python3 tools/make_tokenizer_vectors.py models/demo/tokenizer.json testdata/tokenizer

writes demo_vectors.json and utf8_vectors.json. Needs `tokenizers` (0.23.3 wrote the files in the tree). The result
depends only on the tokenizer file.

demo_vectors.json: "encode": [{text, ids, plain_ids}], plain_ids by the same tokenizer without its added tokens;
"decode": [{ids, text, text_without_specials}]. utf8_vectors.json: [{bytes (hex), text}], text with one U+FFFD per
maximal subpart.
"""

import argparse
import json
import pathlib
import random

import tokenizers

# One sentence or word of many scripts; the words "time and water" or the like.
SCRIPTS = """
Ein Fuß über Äcker, naïve façade, čeština, žluťoučký kůň, İstanbul, ﬁne ligature
Время и вода; Ўзбекча; Ελληνικά: χρόνος; Հայերեն ժամանակ; ქართული დრო
עִבְרִית זמן ומים; العَرَبِيَّة: الوقت والماء؛ فارسی می‌خواهم
हिन्दी समय और पानी; বাংলা সময়; தமிழ் நேரம்; తెలుగు సమయం; ಕನ್ನಡ; മലയാളം; සිංහල
ภาษาไทย เวลาและน้ำ; ລາວ; ខ្មែរ; မြန်မာ; བོད་ཡིག
中文：时间和水。繁體中文，時間。日本語のテキスト、カタカナ。한국어 시간과 물. ㄅㄆㄇ
አማርኛ ጊዜ; ᏣᎳᎩ; ᐃᓄᒃᑎᑐᑦ; ⵜⴰⵎⴰⵣⵉⵖⵜ; 𐤀𐤁𐤂; 𒀀𒀁; 𝔘𝔫𝔦𝔠𝔬𝔡𝔢; 𠀀𠀁
""".strip().split("\n")

PLAIN = [
    "", " ", "  ", "   ", "\n", "\n\n", "\n\n\n", "\t", "\t\t", "\t\n", "\r", "\r\n", "a\r\nb", "\0", "\x1b[31mred\x1b[0m",
    "Hello, world!", " Hello", "Hello ", "  two  spaces  ", "▁", "▁▁", "a▁b", " ▁ ", ">▁</", "> </td>", "\u00a0\u2003\u3000",
    "<", "<|", "<|turn", "<|turn|", "<turn|>", "<|turn>", "<|turn><turn|>", "<<|turn>>", "<|<|turn>", "x<bos>y",
    " <eos> ", "<pad><unk><mask>", "<|image|><|image><image|>", "<|\"|>", "<unused0>", "[multimodal]", "<0x41>", "<0x0A>",
    "<start_of_turn>user\n", "<bos><|turn>user\nHi<turn|>\n<|turn>model\n", "<table><tr><td>1</td></tr></table>",
    "0123456789", "3.14159e-10", "1,000,000", "x=1;y=2", "a_b_c__d___e", "------", "====", "....", "!!!???", "$x^2$", "\\n",
    "🦙", "👩‍👩‍👧‍👦", "🇩🇪🇫🇷", "👍🏽", "☃️", "e\u0301", "\u0301", "\u200b\u200d\ufeff", "\ue000\uffff", "\U0010ffff", "\U000e0041",
    "def f(x: int) -> int:\n    if x < 2:\n        return x\n\treturn f(x - 1)\n", "#include <stdio.h>\nint main(void) { return 0; }\n",
    '{"a": [1, 2, {"b": null}], "c": "\\u00e9"}', "SELECT * FROM t WHERE a='b' -- x\n", "for (;;) {\n\n\n\t\t}\n",
    "https://example.org/a?b=c&d=%20#e", "a@b.example", "C:\\dir\\file.txt",
]


def runs():
    for unit in (" ", "\n", "\t", "a", "ab", "0", "_", "▁", "中", "é", "🦙", "the ", "<", "<|turn>", "\n ", " \n"):
        for count in (4, 5, 15, 16, 17, 30, 31, 32, 33, 62, 63, 64, 100):
            yield unit * count


def mixtures(rng, vocabulary, count):
    alphabet = [" ", "  ", "\n", "\t", "▁", "<", ">", "|", "turn", "<|", "|>", "é", "中", "🦙", "\r", "0", "7"]
    for index in range(count):
        if index % 3 == 0:
            yield "".join(rng.choice(vocabulary) for _ in range(rng.randint(1, 12)))
        elif index % 3 == 1:
            yield "".join(rng.choice(alphabet + vocabulary[:200]) for _ in range(rng.randint(1, 30)))
        else:
            tops = [0x80, 0x800, 0xD800, 0x110000]
            points = [rng.randrange(rng.choice(tops)) for _ in range(rng.randint(1, 20))]
            yield "".join(chr(point) for point in points if not 0xD800 <= point < 0xE000)


def id_lists(rng, tokenizer, count):
    size = tokenizer.get_vocab_size()
    specials = sorted(tokenizer.get_added_tokens_decoder())
    byte = [tokenizer.token_to_id(f"<0x{value:02X}>") for value in range(256)]

    def spell(text):
        return [byte[value] for value in (text if isinstance(text, bytes) else text.encode())]

    yield []
    for text in ("🦙", "é中", "▁", "\n \t", b"\xe2\x96", b"\x81", b"\xf0\x9f\xa6", b"\xff\xfe", b"a\xffb", b"\xed\xa0\x80", b"\xc0\xaf"):
        yield spell(text)
        yield [10, *spell(text), 11]
        yield [*spell(text)[:1], specials[0], *spell(text)[1:]]
    for _ in range(count):
        ids = []
        for _ in range(rng.randint(1, 12)):
            kind = rng.random()
            if kind < 0.4:
                ids.append(rng.randrange(size))
            elif kind < 0.6:
                ids.extend(spell(rng.choice("é中🦙aЖ")))
            elif kind < 0.8:
                ids.append(rng.choice(byte))
            else:
                ids.append(rng.choice(specials))
        yield ids


def broken_utf8(rng, count):
    edges = [0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0,
             0xF1, 0xF3, 0xF4, 0xF5, 0xFF]
    for first in edges:
        yield bytes([first])
        for second in edges:
            yield bytes([first, second])
    for _ in range(count):
        yield bytes(rng.choice(edges) for _ in range(rng.randint(3, 12)))


def lines(entries):
    """A JSON array with one entry a line."""
    return "[\n" + ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in entries) + "\n]"


def write_demo_vectors(tokenizer_file, out):
    tokenizer = tokenizers.Tokenizer.from_file(str(tokenizer_file))
    without_added = json.loads(tokenizer_file.read_text())
    without_added["added_tokens"] = []
    plain = tokenizers.Tokenizer.from_str(json.dumps(without_added))
    rng = random.Random(4)
    vocabulary = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    texts = [*PLAIN, *SCRIPTS, *runs(), *mixtures(rng, vocabulary, 400)]
    encode = [{"text": text, "ids": tokenizer.encode(text).ids, "plain_ids": plain.encode(text).ids} for text in texts]
    decode = [{"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=False),
               "text_without_specials": tokenizer.decode(ids, skip_special_tokens=True)}
              for ids in id_lists(rng, tokenizer, 300)]
    out.write_text(f'{{"encode": {lines(encode)},\n"decode": {lines(decode)}}}\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tokenizer", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path, help="folder")
    arguments = parser.parse_args()
    write_demo_vectors(arguments.tokenizer, arguments.out / "demo_vectors.json")
    utf8 = [{"bytes": data.hex(), "text": data.decode("utf-8", "replace")} for data in broken_utf8(random.Random(5), 400)]
    (arguments.out / "utf8_vectors.json").write_text(lines(utf8) + "\n")


if __name__ == "__main__":
    main()
