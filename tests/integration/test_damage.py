"""Bytes on the disk change behind the server's back: what needs them is refused, loudly; the rest is served; nothing wrong is ever told.

A server is filled and stopped, some bytes of one file are flipped, or the file is cut, emptied or removed, and the server is
started again. It may say that it cannot (naming the place), or serve: then every answer is the truth or InternalServerError.
ROUNDS=200 is the long form; SEED makes the same choices again.
"""

import os
import pathlib
import random
import shutil
import signal
import time

import pytest
from crash_world import Gone, Wire
from test_crash_points import progress, wait_for_end

ROUNDS = int(os.environ.get("ROUNDS", "12"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
pytestmark = pytest.mark.timeout(600 + 20 * ROUNDS)

OPTIONS = ("--control-plane-delay", "0", "--min-free", "1M", "--write-buffer-bytes", "256K", "--dax-listen", "127.0.0.1:0")
TABLES = ("one", "two", "three")
ITEMS = 300  # of each
REGION = "us-east-1"


def item_of(table, i):
    return {"pk": {"S": f"{table}-{i}"}, "g": {"S": f"g{i % 5}"}, "pad": {"S": random.Random(f"{table}{i}").randbytes(700).hex()}}


def make(start_server, folder, kill, options=OPTIONS):
    """A folder with tables, indexes and streams in tables of the engine and, when it was killed, in the log."""
    server = start_server("--data", folder, *options)
    wire = Wire(server)
    for table in TABLES:
        wire("CreateTable", {
            "TableName": table, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "g")],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "GlobalSecondaryIndexes": [{"IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                                        "Projection": {"ProjectionType": "KEYS_ONLY"}}],
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        })
        while wire("DescribeTable", {"TableName": table})["Table"]["TableStatus"] != "ACTIVE":
            pass
        for start in range(0, ITEMS, 25):
            requests = [{"PutRequest": {"Item": item_of(table, i)}} for i in range(start, start + 25)]
            wire("BatchWriteItem", {"RequestItems": {table: requests}})
    wire.close()
    if kill:
        server.kill()
    else:
        assert server.stop() == 0


class Told:
    """What was asked of a server with damage, and what it answered."""

    def __init__(self, wire):
        self.wire, self.right, self.refused = wire, {t: 0 for t in TABLES}, {t: 0 for t in TABLES}

    def ask(self, table, operation, body, expected):
        """The truth, or InternalServerError."""
        answer = self.wire.ask(operation, body)
        if answer.status == 200:
            expected(answer.json)
            self.right[table] += 1
        else:
            assert answer.status == 500 and answer.error == "InternalServerError", answer.body
            self.refused[table] += 1
        return answer.status == 200

    def everything(self, dice):
        for table in TABLES:
            for i in dice.sample(range(ITEMS), 120):
                self.get(table, i)
            self.scan(table, None)
            self.scan(table, "by-g")

    def get(self, table, i):
        def check(answer):
            assert answer.get("Item") == item_of(table, i), f"{table} {i}: {answer}"

        return self.ask(table, "GetItem", {"TableName": table, "Key": {"pk": {"S": f"{table}-{i}"}}, "ConsistentRead": True}, check)

    def scan(self, table, index):
        """All pages, or a refusal on the way: never a part that looks whole."""
        found, body = [], {"TableName": table, **({"IndexName": index} if index else {})}
        while True:
            pages = []
            if not self.ask(table, "Scan", body, pages.append):
                return
            found += [item["pk"]["S"] for item in pages[0]["Items"]]
            if "LastEvaluatedKey" not in pages[0]:
                break
            body["ExclusiveStartKey"] = pages[0]["LastEvaluatedKey"]
        assert sorted(found) == sorted(f"{table}-{i}" for i in range(ITEMS)), f"{table} {index}: {len(found)} rows that look like all"


def flip(path, dice):
    data = bytearray(path.read_bytes())
    start = dice.randrange(len(data))
    for at in range(start, min(len(data), start + dice.choice((1, 8, 600)))):
        data[at] ^= dice.randrange(1, 256)
    path.write_bytes(data)


def cut(path, dice):
    os.truncate(path, dice.randrange(path.stat().st_size))


def content(path):
    """So many bytes: a log may have zeros behind them."""
    return len(path.read_bytes().rstrip(b"\0"))


def zero(path, dice):
    """A page that never reached the disk."""
    with open(path, "r+b") as file:
        file.seek(dice.randrange(max(1, content(path) - 4096)) & ~4095)
        file.write(bytes(min(4096, path.stat().st_size - file.tell())))


def remove(path, dice):
    path.unlink()


# how each kind of file is damaged
KINDS = {"*.sst": (flip, flip, flip, cut, zero, remove), "*.log": (flip, flip, zero), "MANIFEST-*": (flip, cut, cut, zero, remove),
         "CURRENT": (flip, cut, remove), "SYNCED-*": (flip, cut, zero, remove)}


def damage(folder, dice):
    """-> what was done, or None: there is no such file, or nothing has changed."""
    pattern = dice.choice(list(KINDS))
    files = [path for path in sorted((folder / REGION).glob(pattern)) if path.stat().st_size > 0]
    if not files:
        return None
    path, way = dice.choice(files), dice.choice(KINDS[pattern])
    before = path.read_bytes()
    way(path, dice)
    if path.exists() and path.read_bytes() == before:
        return None
    return f"{way.__name__} {path.name} of {len(before)} bytes", pattern


def is_in_last_sync(pattern):
    """Damage in what was synced last before a crash cannot be told from a torn end (docs/ENGINE.md)."""
    return pattern == "*.log"


def one_round(start_server, pristine, folder, dice):
    """-> "refused to start", "served" (all of it) or "served in part" """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(pristine, folder)
    done = damage(folder, dice)
    if done is None:
        return "nothing damaged"
    what, pattern = done
    server = start_server("--data", folder, *OPTIONS, wait=False)
    server.expected_code = 1
    line = server.process.stdout.readline()
    if not line:
        assert wait_for_end(server, 60) and server.process.returncode == 1, (what, server.process.returncode, server.log())
        errors = [text for text in server.log().splitlines() if '"level":"ERROR"' in text]
        assert errors and REGION in errors[-1], (what, server.log())
        return "refused to start"
    server.read_ready(line)
    wire = Wire(server)
    told = Told(wire)
    try:
        if is_in_last_sync(pattern) and lost_its_end(wire):
            return "a torn end"
        told.everything(dice)
    except Gone:
        raise AssertionError(f"{what}: the server went away: {server.log()[-3000:]}") from None
    except AssertionError as wrong:
        raise AssertionError(f"{what}: {wrong}") from None
    finally:
        wire.close()
        server.kill()
    refused = sum(told.refused.values())
    if refused:
        assert '"level":"ERROR"' in server.log(), (what, server.log())
        assert sum(told.right.values()) > refused, f"{what}: {told.right} right, {told.refused} refused"
    return "served in part" if refused else "served"


def lost_its_end(wire):
    """Counts are in step with items also then: what is there is a state that was."""
    lost = False
    for table in TABLES:
        answer = wire.ask("DescribeTable", {"TableName": table})
        if answer.status != 200:
            return True
        items = wire.scan(table)
        assert answer.json["Table"]["ItemCount"] == len(items) == len(wire.scan(table, "by-g"))
        lost |= len(items) < ITEMS
    return lost


def test_damage_is_refused_and_the_rest_is_served(start_server, tmp_path):
    print(f"ROUNDS={ROUNDS} SEED={SEED}")
    dice = random.Random(SEED)
    for name, kill in (("stopped", False), ("killed", True)):
        make(start_server, tmp_path / name, kill)
    outcomes = {}
    for number in range(ROUNDS):
        try:
            outcome = one_round(start_server, tmp_path / dice.choice(("stopped", "killed")), tmp_path / "data", dice)
        except BaseException:
            print(f"round {number}, SEED={SEED}")
            raise
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        if number % 25 == 24:
            progress(f"{number + 1} rounds: {outcomes}")
    print(f"{ROUNDS} rounds of damage: {outcomes}; nothing wrong was told, what was refused was said. SEED={SEED}")


def newest(folder, pattern):
    return max((folder / REGION).glob(pattern), key=lambda path: path.stat().st_mtime)


@pytest.mark.parametrize("pattern, words", [
    ("CURRENT", ("CURRENT",)), ("MANIFEST-*", ("MANIFEST",)), ("*.sst", ()),
])
def test_a_missing_file_is_named_at_the_start(start_server, tmp_path, pattern, words):
    make(start_server, tmp_path / "data", kill=False)
    file = newest(tmp_path / "data", pattern)
    file.unlink()
    if not words:
        words = (file.stem,)  # RocksDB tells an older ending of its tables
    server = start_server("--data", tmp_path / "data", *OPTIONS, wait=False)
    server.expected_code = 1
    assert server.wait() == 1
    error = [line for line in server.log().splitlines() if '"level":"ERROR"' in line][-1]
    assert REGION in error and all(word in error for word in words), error


@pytest.mark.parametrize("way", ["cut", "zeros"])
def test_a_manifest_that_lost_its_end_is_refused(start_server, tmp_path, way):
    """Each such manifest is one that was in force once: RocksDB takes many of them, and what was written since is gone."""
    folder = tmp_path / "data"
    make(start_server, folder, kill=False)
    path = folder / REGION / (folder / REGION / "CURRENT").read_text().strip()
    whole = path.read_bytes()
    dice = random.Random(SEED)
    for keep in (len(whole) - 1, len(whole) - 20, *(dice.randrange(len(whole)) for _ in range(4))):
        if way == "zeros" and not any(whole[keep:]):
            continue  # nothing would have changed
        path.write_bytes(whole[:keep] + (bytes(len(whole) - keep) if way == "zeros" else b""))
        server = start_server("--data", folder, *OPTIONS, wait=False)
        server.expected_code = 1
        assert server.wait() == 1, f"{keep} of {len(whole)} bytes. SEED={SEED}"
        error = [line for line in server.log().splitlines() if '"level":"ERROR"' in line][-1]
        assert REGION in error and path.name in error and "Restore a backup" in error, error
    path.write_bytes(whole)
    server = start_server("--data", folder, *OPTIONS)
    wire = Wire(server)
    told = Told(wire)
    told.everything(dice)
    assert not any(told.refused.values())
    wire.close()
    assert server.stop() == 0


def test_a_log_damaged_in_its_middle_is_named_at_the_start(start_server, tmp_path):
    """What was acknowledged behind the damage would be lost in silence otherwise."""
    # with room for all of it in memory: a log whose writes are in tables already is not needed, and its damage nobody's
    make(start_server, tmp_path / "data", kill=True, options=(*OPTIONS, "--write-buffer-bytes", "64M"))
    log = max((tmp_path / "data" / REGION).glob("*.log"), key=lambda path: path.stat().st_size)
    data = bytearray(log.read_bytes())
    data[content(log) // 3] ^= 0xFF
    log.write_bytes(data)
    server = start_server("--data", tmp_path / "data", *OPTIONS, wait=False)
    server.expected_code = 1
    assert server.wait() == 1
    error = [line for line in server.log().splitlines() if '"level":"ERROR"' in line][-1]
    assert log.name in error and "damaged at byte" in error, error


def test_a_damaged_block_takes_nothing_else_with_it(start_server, tmp_path):
    """Of a table one block; other items of it are served, other tables wholly, and all can be written."""
    folder = tmp_path / "data"
    make(start_server, folder, kill=False)
    needle = item_of("two", 7)["pad"]["S"].encode()[100:300]
    paths = [path for path in (folder / REGION).glob("*.sst") if needle in path.read_bytes()]
    assert paths, "the item is in no table, or compressed"
    for path in paths:  # the item and its change record
        data = path.read_bytes()
        path.write_bytes(data.replace(needle, bytes(b ^ 1 for b in needle)))
    server = start_server("--data", folder, *OPTIONS)
    server.expected_code = -signal.SIGKILL
    wire = Wire(server)
    told = Told(wire)
    assert not told.get("two", 7)
    told.everything(random.Random(1))
    assert told.refused["one"] == told.refused["three"] == 0, told.refused
    assert told.right["two"] > told.refused["two"] > 0, (told.right, told.refused)
    for table in TABLES:
        wire("PutItem", {"TableName": table, "Item": {"pk": {"S": "new"}}})
        assert wire("GetItem", {"TableName": table, "Key": {"pk": {"S": "new"}}})["Item"] == {"pk": {"S": "new"}}
    assert any("ERROR" in line and "orruption" in line for line in server.log().splitlines()), server.log()
    compact_all(wire)
    told.everything(random.Random(2))
    assert told.refused["one"] == told.refused["three"] == 0, told.refused
    wire.close()
    server.kill()


def compact_all(wire):
    """So much is written that the damaged table would be compacted. Writes may be refused for a moment, not for long."""
    until = time.monotonic() + 120
    for i in range(400):
        item = {"pk": {"S": f"more-{i}"}, "pad": {"S": random.Random(i).randbytes(10_000).hex()}}
        while True:
            answer = wire.ask("PutItem", {"TableName": TABLES[i % 3], "Item": item})
            if answer.status == 200:
                break
            assert answer.status == 500 and time.monotonic() < until, answer.body
            time.sleep(0.02)
    for table in TABLES:  # as before
        for i in range(400):
            if TABLES[i % 3] == table:
                while wire.ask("DeleteItem", {"TableName": table, "Key": {"pk": {"S": f"more-{i}"}}}).status != 200:
                    assert time.monotonic() < until
                    time.sleep(0.02)
        while wire.ask("DeleteItem", {"TableName": table, "Key": {"pk": {"S": "new"}}}).status != 200:
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.mark.parametrize("content, words", [(b"", "VERSION"), (b"garbage\n", "VERSION"), (b"stator data format 999\n", "newer")])
def test_a_version_file_that_is_not_ours_is_refused(start_server, tmp_path, content, words):
    make(start_server, tmp_path / "data", kill=False)
    pathlib.Path(tmp_path / "data" / "VERSION").write_bytes(content)
    server = start_server("--data", tmp_path / "data", *OPTIONS, wait=False)
    server.expected_code = 1
    assert server.wait() == 1
    assert words in server.log()
