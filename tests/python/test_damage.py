"""Damaged checkpoints: each of the kinds that tools/damage_checkpoint.py makes is reported, by name, by what should see it.

Whatever is not refused on opening is compared with what the undamaged checkpoint gives, so that no report counts that is
there without the damage.
"""

import json
import re
import sys

import pytest

from conftest import PROJECT

sys.path.insert(0, str(PROJECT / "tools"))
from damage.kinds import KINDS, Seen  # noqa: E402

CHECKPOINTS = PROJECT / "testdata/checkpoints"
PAGE = PROJECT / "docs/checkpoints-damage.md"
ERROR, NOTE = '"severity": "error"', '"severity": "note"'
DIALECTS = ("ct-fp8", "ct-nvfp4", "ct-w4a16", "ct-fused", "modelopt", "gptq", "autoround", "awq", "mlx", "bnb", "gguf")


def kinds_seen(*seen):
    """A parameter for each kind that is seen so."""
    return pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.name) for kind in KINDS.values() if kind.seen in seen])


@pytest.fixture
def damaged(kind, tmp_path):
    """The damaged checkpoint, for tests with a parameter `kind`."""
    folder = tmp_path / "model"
    kind.write(folder)
    return folder


def assert_says(done, kind, folder):
    """The output holds every text that the kind's report must have; the folder's own name does not count."""
    shown = (done.stdout + done.stderr).replace(str(folder), "MODEL")
    missing = [text for text in kind.says if text.lower() not in shown.lower()]
    assert not missing, f"{missing} not in:\n{shown}"


def findings(verify, *arguments):
    """(exit code, findings as texts) of a verification."""
    done = verify(*arguments, "--json")
    return done.returncode, [json.dumps(finding) for finding in json.loads(done.stdout)["findings"]]


@pytest.fixture(scope="session")
def verify(beryl):
    """Runs `beryl verify` with these arguments."""
    return lambda *arguments: beryl("verify", *arguments)


@pytest.fixture(scope="session")
def base_findings(verify):
    """What is found in an undamaged checkpoint, alone or against its original; each is asked once."""
    known = {}

    def find(*arguments):
        if arguments not in known:
            known[arguments] = findings(verify, *arguments)
        return known[arguments]

    return find


@kinds_seen(Seen.OPENING, Seen.LOADING)
def test_is_refused_when_loaded(beryl, damaged, kind):
    done = beryl("check", damaged, PROJECT / f"testdata/golden/{kind.base}.safetensors")
    assert (done.returncode, done.stdout) == (1, ""), done
    assert done.stderr.startswith("error: ")
    assert_says(done, kind, damaged)


@kinds_seen(Seen.OPENING)
def test_is_refused_when_inspected(beryl, damaged, kind):
    done = beryl("inspect", damaged)
    assert done.returncode == 1, done
    assert_says(done, kind, damaged)


@kinds_seen(Seen.OPENING, Seen.LOADING)
def test_is_refused_when_verified(verify, damaged, kind):
    done = verify(damaged)
    assert done.returncode == 1, done
    assert_says(done, kind, damaged)


@kinds_seen(Seen.VERIFY)
def test_is_found_by_verify(verify, base_findings, damaged, kind):
    _, before = base_findings(CHECKPOINTS / kind.base)
    code, found = findings(verify, damaged)
    new = [text for text in found if text not in before]
    assert new
    assert any(all(said in text for said in kind.says) for text in new), "\n".join(new)
    assert code == (1 if any(ERROR in text for text in found) else 0)


@kinds_seen(Seen.AGAINST)
def test_is_found_beside_the_original(verify, base_findings, damaged, kind):
    original = CHECKPOINTS / kind.original
    code, before = base_findings(CHECKPOINTS / kind.base, "--against", original)
    assert code == 0, before
    code, found = findings(verify, damaged, "--against", original)
    new = [text for text in found if text not in before and NOTE not in text]
    assert code == (1 if any(ERROR in text for text in found) else 0)
    assert new
    assert not [said for said in kind.says if said not in "\n".join(new)], "\n".join(new)


@kinds_seen(Seen.AGAINST)
def test_cannot_be_found_alone(verify, base_findings, damaged, kind):
    assert findings(verify, damaged) == base_findings(CHECKPOINTS / kind.base)


def test_there_are_kinds_for_every_dialect():
    assert len(KINDS) >= 200
    for dialect in DIALECTS:
        assert sum(dialect in kind.base for kind in KINDS.values()) >= 5, dialect


def test_the_summaries_are_sentences():
    for kind in KINDS.values():
        assert re.fullmatch(r"[A-Z0-9`].*\.", kind.summary), kind.name
        assert "|" not in kind.summary


def test_the_same_kind_is_always_the_same(tmp_path):
    kind = KINDS["fp8-scales-uninitialised"]
    for copy in ("one", "two"):
        kind.write(tmp_path / copy)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


@pytest.mark.parametrize("base", sorted({kind.base for kind in KINDS.values()}))
def test_only_the_damage_is_different(base, tmp_path):
    """What is written without a damage holds what was read."""
    from damage import gguf_file, safetensors_file
    from damage.checkpoint import Checkpoint

    Checkpoint(base).save(tmp_path / base)
    for path in (CHECKPOINTS / base).iterdir():
        copy = tmp_path / base / path.name
        if path.suffix == ".json":
            assert json.loads(copy.read_text()) == json.loads(path.read_text())
        elif path.suffix == ".gguf":
            assert copy.read_bytes() == path.read_bytes()
            assert gguf_file.GgufFile(copy).metadata == gguf_file.GgufFile(path).metadata
        elif path.suffix == ".safetensors":
            stored, expected = safetensors_file.read(copy), safetensors_file.read(path)
            assert {name: (t.dtype, t.array.shape, t.array.tobytes()) for name, t in stored.items()} == {
                name: (t.dtype, t.array.shape, t.array.tobytes()) for name, t in expected.items()}


def test_by_hand(run_tool, tmp_path):
    listed = run_tool("damage_checkpoint.py", "--list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(KINDS)
    out = tmp_path / "model"
    assert run_tool("damage_checkpoint.py", "fp8-scale-missing", out).returncode == 0
    assert (out / "model.safetensors").is_file()
    assert run_tool("damage_checkpoint.py", "fp8-scale-missing", out).returncode == 2
    unknown = run_tool("damage_checkpoint.py", "no-such-kind", tmp_path / "other")
    assert unknown.returncode == 2 and "no-such-kind" in unknown.stderr


def test_the_page_lists_all_kinds(run_tool):
    tables = run_tool("damage_checkpoint.py", "--markdown").stdout
    assert PAGE.read_text().endswith(tables)
