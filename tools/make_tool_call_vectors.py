#!/usr/bin/env python3
"""Writes testdata/tool_calls/rendered.json: random arguments, and the tool call that Google's template makes of them.

Needs jinja2. Run from the root of the tree; the output does not change between runs.
"""
import json
import pathlib
import random
import re

import jinja2
import jinja2.ext
import jinja2.sandbox

TEMPLATE = "testdata/chat_templates/google-gemma-4-12B-26B-A4B-31B-it.chat_template.2026-07-09.jinja"
OUTPUT = "testdata/tool_calls/rendered.json"
STRINGS = [
    "", " ", "Paris", "true", "null", "12", "a,b", "{x}", "}]", "[", ":", "say \"hi\"", "back\\slash", "line\nbreak",
    "tab\there", "\r\n", "bell\x07", "<tool_call|>", "<|tool_call>call:f{}", "<channel|>", "Zürich", "日本", "👩‍🚀",
    "if (a) { return b[0]; } // \"<|\"", " padded ",
]
NUMBERS = [0, -1, 7, 10**20, 1.5, -0.25, 20.0, 1e20, 1e-7, 0.1]


def random_value(rng, depth):
    kind = rng.randrange(7 if depth < 4 else 5)
    if kind <= 1:
        return rng.choice(STRINGS)
    if kind == 2:
        return rng.choice(NUMBERS)
    if kind == 3:
        return rng.choice([True, False])
    if kind == 4:
        return None
    if kind == 5:
        return [random_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return random_object(rng, depth + 1)


def random_object(rng, depth):
    keys = ["a", "B", "key_1", "key-2", "Ärger", "with space", "x.y"]
    return {key: random_value(rng, depth) for key in rng.sample(keys, rng.randrange(5))}


def main():
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                                              extensions=[jinja2.ext.loopcontrols])
    template = environment.from_string(pathlib.Path(TEMPLATE).read_text(encoding="utf-8"))
    rng = random.Random(1)
    cases = []
    for _ in range(200):
        arguments = random_object(rng, 0)
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
        rendered = template.render(bos_token="<bos>", messages=[
            {"role": "user", "content": "x"}, {"role": "assistant", "content": "", "tool_calls": [call]}])
        # Everything from the start of the call to the place where the prompt waits for the result.
        match = re.search(r"<\|turn>model\n(<\|tool_call>.*<tool_call\|>)<\|tool_response>$", rendered, re.DOTALL)
        cases.append({"arguments": arguments, "rendered": match.group(1)})
    pathlib.Path(OUTPUT).write_text(json.dumps(cases, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
