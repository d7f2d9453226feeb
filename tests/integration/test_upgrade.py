"""The data directory of every format there ever was opens in this program, and one of a later format does not."""

import json
import re
import subprocess
import tarfile
import time

import pytest

from conftest import ROOT, make_client
from power import is_sanitized
from stator_server import binary
from upgrade import forms, is_of, tell

FIXTURES = sorted((path.name for path in (ROOT / "tests/upgrade").iterdir() if path.is_dir()), key=lambda name: int(name.split("-")[0]))


def unpack(name, folder):
    with tarfile.open(ROOT / "tests/upgrade" / name / "data.tar.xz") as archive:
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return folder / "data", json.loads((ROOT / "tests/upgrade" / name / "expected.json").read_text())


def clock_of(made_s, folder):
    """The server lives when the fixture was made: its change records are not a day old."""
    library = folder / "clock_shim.so"
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-o", library,
                    ROOT / "tests/upgrade/clock_shim.c", "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "STATOR_CLOCK_BACK": str(int(time.time() - made_s - 1))}


def without_stream(told):
    """Where the clock cannot be set back the records' day is over, and so may be that of shards."""
    return {key: value for key, value in told.items() if key != "stream"}


@pytest.mark.parametrize("name", FIXTURES)
def test_every_format_there_was_opens_with_all_that_was_in_it(start_server, tmp_path, name):
    data, expected = unpack(name, tmp_path)
    environment = {} if is_sanitized() else clock_of(expected["made_s"], tmp_path)
    compared = without_stream if is_sanitized() else lambda told: told
    server = start_server("--data", data, "--dax-ports", "0", env=environment)
    assert compared(tell(server.endpoint, expected["features"])) == compared(expected["told"])
    # from then on it is an ordinary database
    client = make_client(server.endpoint)
    client.put_item(TableName="full", Item={"pk": {"S": "p1"}, "sk": {"N": "1000"}, "g": {"S": "g1"}, "l": {"N": "1"}})
    assert client.delete_item(TableName="plain", Key={"id": {"N": "77"}}, ReturnValues="ALL_OLD")["Attributes"]["by"]["S"]
    before = tell(server.endpoint, expected["features"])
    assert before["tables"]["full"]["ItemCount"] == expected["told"]["tables"]["full"]["ItemCount"] + 1
    assert before["tables"]["full"]["index keys"]["ItemCount"] == expected["told"]["tables"]["full"]["index keys"]["ItemCount"] + 1
    if "stream" in expected["features"] and not is_sanitized():
        records = [record for shard in before["stream"]["Shards"].values() for record in shard["records"]]
        assert sum(record["Keys"]["sk"] == {"N": "1000"} for record in records) == 1
    assert server.stop() == 0
    server = start_server("--data", data, "--dax-ports", "0", env=environment)
    assert compared(tell(server.endpoint, expected["features"])) == compared(before)


def test_a_transaction_of_then_is_not_done_again(start_server, tmp_path):
    """Its token counts for ten minutes, and so it does in the later program."""
    if is_sanitized():
        pytest.skip("the clock cannot be set back")
    data, expected = unpack(FIXTURES[0], tmp_path)
    server = start_server("--data", data, env=clock_of(expected["made_s"], tmp_path))
    client = make_client(server.endpoint)
    client.delete_item(TableName="plain", Key={"id": {"N": "77"}})
    key = expected["checked"]
    client.transact_write_items(ClientRequestToken="once", TransactItems=[
        {"Put": {"TableName": "plain", "Item": {"id": {"N": "77"}, "by": {"S": "a transaction"}}}},
        {"ConditionCheck": {"TableName": "full", "Key": key, "ConditionExpression": "attribute_exists(pk)"}}])
    assert "Item" not in client.get_item(TableName="plain", Key={"id": {"N": "77"}})


def listing(folder):
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
            for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("name", FIXTURES)
def test_data_of_a_later_format_is_refused_and_left_as_it_is(tmp_path, name):
    data, _ = unpack(name, tmp_path)
    version = data / "VERSION"
    now = int(version.read_text().removeprefix("stator data format "))
    version.write_text(f"stator data format {now + 1}\n")
    before = listing(data)
    done = subprocess.run([binary(), "serve", "--data", data, "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"{data} was written by a newer stator (data format {now + 1}); this one, " in done.stderr
    assert f"reads formats up to {now}" in done.stderr
    assert listing(data) == before


def test_there_is_a_fixture_of_todays_format():
    """scripts/upgrade-fixture makes the next one when a format changes."""
    today = forms(ROOT)
    assert any(is_of(json.loads((ROOT / "tests/upgrade" / name / "expected.json").read_text())["forms"], today) for name in FIXTURES)
    # every number counts, also of a kind of row that the first fixtures do not name
    for name in today:
        assert not is_of({**today, name: str(int(today[name]) + 1)}, today)


def test_no_fixture_is_missing():
    """Those that were released stay: numbered without a gap, whole, and told of in the page about formats."""
    assert [name.split("-")[0] for name in FIXTURES] == [str(n + 1) for n in range(len(FIXTURES))]
    for name in FIXTURES:
        assert {"data.tar.xz", "expected.json"} <= {path.name for path in (ROOT / "tests/upgrade" / name).iterdir()}, name
    page = (ROOT / "docs/formats/README.md").read_text()
    assert re.findall(r"^\| `(\d+-\w+)` \|", page, re.MULTILINE) == FIXTURES
