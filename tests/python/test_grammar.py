"""Random outputs under a constraint satisfy it, as Python's jsonschema, re and json see it."""

import datetime
import ipaddress
import json
import pathlib
import random
import re
import subprocess
import uuid

import pytest

jsonschema = pytest.importorskip("jsonschema")

SCHEMAS = 200
OUTPUTS = 10


class Sampler:
    """A running grammar_sampler, which stands in the build folder of the binary under test."""

    def __init__(self, binary):
        self.process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, kind, value, seed=1, count=OUTPUTS, tokens=60):
        request = {"kind": kind, "value": value, "seed": seed, "count": count, "tokens": tokens}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def outputs(self, kind, value, **options):
        reply = self.ask(kind, value, **options)
        assert "error" not in reply, (kind, value, reply)
        return reply["outputs"]

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=60) == 0


@pytest.fixture(scope="module")
def sampler(beryl_bin):
    binary = pathlib.Path(beryl_bin).resolve().parents[2] / "tests/grammar_sampler"
    if not binary.is_file():
        pytest.fail(f"{binary} is not there; build the target grammar_sampler")
    running = Sampler(binary)
    yield running
    running.close()


class SchemaMaker:
    """Makes schemas of everything that is supported, each from its seed."""

    NAMES = ["id", "name", "a", "b c", "Größe", "x\"y", "tags", "Name", "value", "items", "naïve\n", ""]
    PATTERNS = ["^[a-z]+$", "^\\d{3}-\\d{4}$", "b", "^(foo|bar)[0-9]*$", "[^a-z\"]{2,5}x?$", "^\\w+\\s\\S+$", "^a|b$", "^\\W\\D$"]
    FORMATS = ["date", "time", "date-time", "uuid", "email", "ipv4", "ipv6", "hostname", "uri", "duration"]

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.has_definitions = self.rng.random() < 0.3

    def make(self):
        schema = self.schema(0)
        if self.has_definitions:
            schema = {"$defs": {"node": {"type": "object", "required": ["v"], "additionalProperties": False, "properties": {
                "v": self.scalar(), "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]},
                "all": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}}, **schema}
        return schema

    def schema(self, depth):
        kinds = [self.scalar, self.scalar, self.string, self.number]
        if depth < 4:
            kinds += [lambda: self.object(depth), lambda: self.object(depth), lambda: self.array(depth), lambda: self.any_of(depth),
                      lambda: self.one_of(depth), lambda: self.all_of(depth), self.open_object, lambda: self.tuple(depth)]
            if depth == 0:
                kinds = kinds[4:]
        if self.has_definitions and depth > 0:
            kinds.append(lambda: {"$ref": "#/$defs/node"})
        return self.rng.choice(kinds)()

    def scalar(self):
        return self.rng.choice([
            {"type": "boolean"}, {"type": "null"}, {"type": "string"}, {"type": "integer"}, {"type": "number"}, {},
            {"type": ["string", "null"]}, {"const": self.rng.choice([1, "one", None, {"k": [1, 2.5]}, "quote\"\\\n"])},
            {"enum": self.rng.sample(["red", "green", 3, 4.5, None, True, [1], {"x": "y"}, "re"], 4)}])

    def string(self):
        kind = self.rng.randrange(4)
        if kind == 0:
            low = self.rng.randrange(4)
            return {"type": "string", "minLength": low, "maxLength": low + self.rng.randrange(20)}
        if kind == 1:
            return {"type": "string", "pattern": self.rng.choice(self.PATTERNS)}
        if kind == 2:
            return {"type": "string", "pattern": "^[A-Z\"\\\\]+$", "minLength": 2, "maxLength": self.rng.randrange(2, 9)}
        return {"type": "string", "format": self.rng.choice(self.FORMATS)}

    def number(self):
        schema = {"type": self.rng.choice(["integer", "number"])}
        low = self.rng.choice([self.rng.randint(-1000, 1000), round(self.rng.uniform(-10, 10), self.rng.randrange(4)), 0])
        high = low + self.rng.choice([1, 2, 10, 99, 100_000, round(self.rng.uniform(1, 5), 2)])
        if self.rng.random() < 0.8:
            schema[self.rng.choice(["minimum", "exclusiveMinimum"])] = low
        if self.rng.random() < 0.8:
            schema[self.rng.choice(["maximum", "exclusiveMaximum"])] = high + 1
        return schema

    def object(self, depth):
        names = self.rng.sample(self.NAMES, self.rng.randrange(1, 6))
        schema = {"type": "object", "properties": {name: self.schema(depth + 1) for name in names},
                  "required": [name for name in names if self.rng.random() < 0.6]}
        more = self.rng.randrange(4)
        if more == 0:
            schema["additionalProperties"] = self.schema(depth + 2)
        elif more < 3:
            schema["additionalProperties"] = more == 1
        return schema

    def open_object(self):
        return self.rng.choice([
            {"type": "object"}, {"type": "object", "additionalProperties": self.scalar(), "minProperties": 1, "maxProperties": 3},
            {"type": "object", "patternProperties": {"^x-[a-z]+$": self.number()}, "additionalProperties": False},
            {"type": "object", "propertyNames": {"pattern": "^[a-c]{1,2}$"}, "additionalProperties": self.string()},
            {"type": "object", "required": ["must"]}])

    def array(self, depth):
        schema = {"type": "array", "items": self.schema(depth + 1)}
        if self.rng.random() < 0.5:
            schema["minItems"] = self.rng.randrange(3)
        if self.rng.random() < 0.5:
            schema["maxItems"] = schema.get("minItems", 0) + self.rng.randrange(4)
        return schema

    def tuple(self, depth):
        parts = [self.schema(depth + 2) for _ in range(self.rng.randrange(1, 4))]
        return {"type": "array", "prefixItems": parts, "minItems": self.rng.randrange(len(parts) + 1),
                "items": self.rng.choice([False, {"type": "integer"}])}

    def any_of(self, depth):
        return {"anyOf": [self.schema(depth + 1) for _ in range(self.rng.randrange(1, 4))]}

    def one_of(self, depth):
        branches = []
        for kind in ["circle", "square", "line"][: self.rng.randrange(2, 4)]:
            branch = self.object(depth + 1)
            branch["properties"] = {"kind": {"const": kind}, **branch["properties"]}
            branch["required"].append("kind")
            branches.append(branch)
        return {"oneOf": branches}

    def all_of(self, depth):
        first, second = self.object(depth + 1), self.object(depth + 1)
        for part in (first, second):
            part.pop("additionalProperties", None)
            for name in set(first["properties"]) & set(second["properties"]):
                part["properties"][name] = {"type": "string", "maxLength": self.rng.randrange(1, 9)}
        return {"allOf": [first, second]}


def is_valid_format(name, text):
    """Whether the standard library reads `text` as what the format names."""
    if name == "date":
        return bool(datetime.date.fromisoformat(text))
    if name in ("time", "date-time"):
        date, _, time = text.rpartition("T")
        moment = re.sub(r"\.(\d+)", lambda fraction: "." + fraction[1].ljust(6, "0")[:6], time.replace("Z", "+00:00"))
        return datetime.time.fromisoformat(moment) is not None and bool(name == "time" or datetime.date.fromisoformat(date))
    if name == "uuid":
        return str(uuid.UUID(text)) == text.lower()
    if name == "ipv4":
        return bool(ipaddress.IPv4Address(text) is not None)
    if name == "ipv6":
        return bool(ipaddress.IPv6Address(text) is not None)
    if name == "duration":
        return re.fullmatch(r"P(?!$)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?", text) is not None
    if name == "email":
        return re.fullmatch(r"[^@\s]+@[^@\s]+\.[A-Za-z]+", text) is not None
    if name == "hostname":
        return re.fullmatch(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*", text) is not None
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"<>\\^`{|}]+", text) is not None


def make_format_checker():
    checker = jsonschema.FormatChecker(formats=())
    for name in SchemaMaker.FORMATS:
        checker.checks(name, raises=ValueError)(lambda text, name=name: not isinstance(text, str) or is_valid_format(name, text))
    return checker


def test_json_is_valid_for_its_schema(sampler):
    checker = make_format_checker()
    seen = 0
    for seed in range(SCHEMAS):
        schema = SchemaMaker(seed).make()
        reply = sampler.ask("json_schema", schema, seed=seed)
        assert "error" not in reply, (seed, schema, reply)
        validator = jsonschema.Draft202012Validator(schema, format_checker=checker)
        for output in reply["outputs"]:
            value = json.loads(output)
            problem = jsonschema.exceptions.best_match(validator.iter_errors(value))
            assert problem is None, f"schema {seed}: {json.dumps(schema)}\noutput: {output}\n{problem.message}"
            seen += 1
    assert seen == SCHEMAS * OUTPUTS


def test_any_object_parses(sampler):
    for output in sampler.outputs("json_object", None, count=200):
        assert isinstance(json.loads(output), dict)


REGEXES = [
    r"[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,4}", r"\d{3}-\d{2,}", r"(a|b|cd)*e?", r"(?:x{0,3}y?){2,5}", r"[^\d\s]{1,8}", r"\W\D\S\s\w\d",
    r"(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])", r"-?(?:0|[1-9]\d*)(?:\.\d+)?", r".{0,40}", r"(?:.*\n){1,3}", r"[\u4e00-\u9fff]{2,4}", r"\x41[\x42-\x44]\t",
    r"(?:(?:a?b?)*c){2,3}", r"(|a|ab)(b|)c+?", r"[\]\-\\^]+", r"(?:[A-Z][a-z]* ){1,20}end", r"a{2}b{3,}c{0,4}", r"😀*[é-ü]+", r"", r"^abc$|^d*$",
]


@pytest.mark.parametrize("pattern", REGEXES)
def test_regex_samples_match(sampler, pattern):
    for output in sampler.outputs("regex", pattern, count=50, tokens=30):
        assert re.fullmatch(pattern, output), repr(output)


def balanced(text):
    depth = 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        assert depth >= 0
    return depth == 0


JSON_GBNF = r'''
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-dA-D] [0-7] [0-9a-fA-F]{2}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,1})? ws
ws ::= | " " | "\n" [ \t]{0,20}
'''
GBNFS = {
    "json": (JSON_GBNF, json.loads),
    "brackets": ('root ::= "(" root ")" root | ""', balanced),
    "list": ('root ::= item ("\\n" item)*\nitem ::= "- " [^\\r\\n\\x0b\\x0c\\x1c-\\x1e\\x85\\u2028\\u2029]+',
             lambda text: all(line.startswith("- ") and len(line) > 2 for line in text.split("\n"))),
    "sums": ('root ::= term ([-+*] term)*\nterm ::= [1-9] [0-9]* | "(" root ")"', lambda text: isinstance(eval(text), int)),
}


@pytest.mark.parametrize("name", GBNFS)
def test_gbnf_samples_match(sampler, name):
    grammar, check = GBNFS[name]
    for output in sampler.outputs("gbnf", grammar, count=60, tokens=40):
        assert check(output) is not False, repr(output)


def test_choices_come_out_whole(sampler):
    choices = ["yes", "no", "yes, but", "", "größer", "ye"]
    assert set(sampler.outputs("choices", choices, count=200)) <= set(choices)


def test_forced_tool_calls_have_arguments_of_their_tool(sampler):
    tools = [{"type": "function", "function": {"name": name, "parameters": SchemaMaker(seed).object(2)}}
             for seed, name in enumerate(["search", "get-weather", "a.b"])]
    for output in sampler.outputs("tools", tools, count=100):
        name = re.match(r"<\|tool_call>call:(search|get-weather|a\.b)\{", output)
        assert name and output.endswith("}<tool_call|>"), output
