"""Whoever reads bytes that came from outside has a fuzz target, each target has a corpus, and docs/FUZZING.md tells of it."""

import fnmatch
import re

from conftest import ROOT

# what reading looks like: our readers, decoders of rows, the libraries' and the C library's
READS = re.compile(
    r"\b(json_init|json_reader|cbor_init|cbor_reader|cbor_scan\w*|\w+_decode|strto\w+|sscanf|fgets|getline|recv|pread|engine_iter_value|"
    r"llhttp_execute|nghttp2_session_mem_recv|isal_inflate)\(|struct (json|cbor)_reader")
ROWS = [line.split(None, 1) for line in (ROOT / "tests/fuzz/readers.txt").read_text().splitlines() if line.strip() and not line.startswith("#")]
TARGETS = {path.stem.removeprefix("fuzz_"): path for path in (ROOT / "tests/fuzz").glob("*/fuzz_*.c")}


def row_of(path):
    return next((row for row in ROWS if fnmatch.fnmatchcase(path, row[0])), None)


def sources():
    return {str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / "src").rglob("*.c"))}


def test_who_reads_has_a_target():
    readers = [path for path, text in sources().items() if READS.search(text)]
    assert len(readers) > 50  # the pattern still finds them
    assert [path for path in readers if row_of(path) is None] == [], "who reads bytes wants a row in tests/fuzz/readers.txt and a target"


def test_the_rows_are_true():
    used = {row_of(path)[0] for path in sources() if row_of(path)}
    assert [row[0] for row in ROWS if row[0] not in used] == []
    for _, targets in ROWS:
        if targets.startswith("-"):
            assert len(targets) > 10  # why
        else:
            assert set(targets.split()) <= set(TARGETS), targets


def test_each_target_has_a_corpus_and_a_row_in_the_page():
    corpora = {path.name for path in (ROOT / "tests/fuzz/corpus").iterdir() if any(path.iterdir())}
    assert corpora == set(TARGETS)
    table = (ROOT / "docs/FUZZING.md").read_text().split("| target | reads |")[1].split("\n\n")[0]
    told = {name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1] if line.startswith("|") else "")}
    assert set(TARGETS) <= told, set(TARGETS) - told
