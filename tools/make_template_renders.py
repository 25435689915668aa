#!/usr/bin/env python3
"""Makes reference renders with Python's jinja2, in the environment that Hugging Face renders chat templates in.

Writes testdata/chat_templates/older_renders.json: the conversations of golden_renders.json through every older
template of that folder; and testdata/chat_templates/snippets.json: small templates from template_snippets.py. Each
case has the text or, where jinja2 raises an exception, its message.

Usage: python3 tools/make_template_renders.py     (needs jinja2 3.1.6)
"""

import json
import pathlib
import sys

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from template_snippets import SNIPPETS, VARIABLES  # noqa: E402

FOLDER = pathlib.Path(__file__).parent.parent / "testdata" / "chat_templates"


class Generation(jinja2.ext.Extension):
    """{% generation %} ... {% endgeneration %} prints what is inside."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_print"), [], [], body).set_lineno(line)

    def _print(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def make_environment():
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    return environment


def render(environment, source, context):
    try:
        return {"text": environment.from_string(source).render(**context)}
    except Exception as error:  # whatever jinja2 or Python raises is a result
        return {"error": f"{type(error).__name__}: {error}"}


def write(name, cases, **more):
    document = {"generator": f"Jinja2 {jinja2.__version__}, trim_blocks=lstrip_blocks=True", **more, "cases": cases}
    (FOLDER / name).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main():
    environment = make_environment()
    conversations = json.loads((FOLDER / "golden_renders.json").read_text(encoding="utf-8"))["cases"]
    older = []
    for path in sorted(FOLDER.glob("*.jinja")):
        if "2026-07" in path.name:
            continue
        source = path.read_text(encoding="utf-8")
        for conversation in conversations:
            result = render(environment, source, {"bos_token": "<bos>", **conversation["context"]})
            older.append({"template": path.name, "conversation": conversation["name"], **result})
    write("older_renders.json", older)
    snippets = []
    for source in SNIPPETS:
        snippets.append({"template": source, **render(environment, source, VARIABLES)})
    write("snippets.json", snippets, context=VARIABLES)


if __name__ == "__main__":
    main()
