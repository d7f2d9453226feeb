"""Amazon's Kinesis Client Library with its DynamoDB Streams adapter, unmodified (tests/java/kcl)."""

import collections
import json
import subprocess
import threading
import time
import urllib.request

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from conftest import ROOT, make_client
from power import is_sanitized

KCL = ROOT / "build" / "java" / "kcl"
ITEMS = 40


class Writer(threading.Thread):
    """Raises the numbers of ITEMS items, one after the other, and remembers what was acknowledged."""

    def __init__(self, client, table):
        super().__init__(daemon=True)
        self.client, self.table = client, table
        self.acknowledged = collections.defaultdict(int)  # key -> the number last acknowledged
        self.ends = threading.Event()

    def run(self):
        at = 0
        while not self.ends.is_set():
            key = f"item-{at % ITEMS}"
            number = self.acknowledged[key] + 1
            try:
                self.client.put_item(TableName=self.table, Item={"k": {"S": key}, "n": {"N": str(number)}})
            except (ClientError, BotoCoreError):  # while the server starts again; the same number once more
                time.sleep(0.05)
                continue
            self.acknowledged[key] = number
            at += 1
            time.sleep(0.002)


def control(server, name, **parameters):
    request = urllib.request.Request(
        server.endpoint + "/_stator/test-controls", method="POST",
        data=json.dumps({"control": name, **parameters}).encode(), headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def wait_for(condition, seconds, what):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.1)


class Follower:
    """The Java program; its lines as they come."""

    def __init__(self, endpoint, arn, folder):
        self.until = folder / "until"
        self.log = open(folder / "kcl.log", "wb")
        self.process = subprocess.Popen(
            ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{KCL}/kcl-1.jar:{KCL}/lib/*", "Follow",
             endpoint, arn, "kcl-leases", str(self.until)],
            stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL, text=True,
        )
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.split())

    def of(self, kind):
        return [line for line in list(self.lines) if line[0] == kind]

    def numbers(self):
        """key -> the (event, old, new) seen, in order."""
        seen = collections.defaultdict(list)
        for _, _, _, event, key, old, new in self.of("record"):
            seen[key].append((event, old, new))
        return seen

    def finish(self):
        self.until.touch()
        try:
            return self.process.wait(200)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.log.close()


@pytest.mark.timeout(900)
@pytest.mark.skipif(is_sanitized(), reason="the library is what is tested; it waits for most of its minute")
def test_the_kcl_follows_a_table_through_splits_roll_overs_and_a_restart(start_server, tmp_path):
    options = ["--data", tmp_path / "data", "--test-controls"]
    server = start_server(*options)
    client = make_client(server.endpoint)
    table = client.create_table(
        TableName="followed", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]
    client.get_waiter("table_exists").wait(TableName="followed")
    streams = make_client(server.endpoint, service="dynamodbstreams")
    writer = Writer(client, "followed")
    writer.start()
    follower = Follower(server.endpoint, table["LatestStreamArn"], tmp_path)
    try:
        wait_for(lambda: follower.of("record"), 200, "the KCL reads nothing")
        control(server, "shard-roll", table="followed")
        control(server, "partition-split", table="followed")
        time.sleep(1)
        server.kill()
        server = start_server(*options, listen=f"127.0.0.1:{server.port}")
        control(server, "shard-roll", table="followed")
        time.sleep(1)
        control(server, "partition-split", table="followed")
        time.sleep(1)
        writer.ends.set()
        writer.join()

        def all_seen():
            seen = follower.numbers()
            return all(len(seen[key]) >= number for key, number in writer.acknowledged.items())

        wait_for(all_seen, 200, "the KCL has not seen every change")
        closed = {
            shard["ShardId"]
            for shard in streams.describe_stream(StreamArn=table["LatestStreamArn"])["StreamDescription"]["Shards"]
            if "EndingSequenceNumber" in shard["SequenceNumberRange"]
        }
        wait_for(lambda: closed <= {line[1] for line in follower.of("end")}, 120, "closed shards were not ended")
    finally:
        code = follower.finish()
    assert code == 0
    assert len(closed) >= 10  # four partitions rolled twice, two splits
    assert not follower.of("trouble")
    for key, seen in follower.numbers().items():
        assert [int(new) for _, _, new in seen] == list(range(1, len(seen) + 1))  # each once, in order
        assert [old for _, old, _ in seen] == ["-"] + [str(n) for n in range(1, len(seen))]
        assert [event for event, _, _ in seen] == ["INSERT"] + ["MODIFY"] * (len(seen) - 1)
        assert len(seen) - writer.acknowledged[key] in (0, 1)  # a write may be done and its answer lost
