"""A full disk: writes fail and say so, reads go on, and it is over when there is room again."""

import os
import pathlib
import resource
import subprocess
import time

import pytest
from botocore.exceptions import ClientError
from conftest import create, make_client


def can_mount():
    probe = pathlib.Path("/tmp") / f"stator-mount-{os.getpid()}"
    probe.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "stator-test", probe], capture_output=True)
    if done.returncode == 0:
        subprocess.run(["umount", probe], check=True)
    probe.rmdir()
    return done.returncode == 0


class SmallDisk:
    """A file system of 64 MB, most of it taken by something else."""

    options = ("--min-free", "0", "--write-buffer-bytes", "1M")

    def __init__(self, folder):
        self.folder = folder / "disk"
        self.folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64M", "stator-test", self.folder], check=True)
        self.data = self.folder / "data"

    def fill(self, server):
        (self.folder / "ballast").write_bytes(b"x" * (44 << 20))

    def make_room(self, server):
        (self.folder / "ballast").unlink()

    def done(self):
        subprocess.run(["umount", "-l", self.folder], check=True)


class Reserve(SmallDisk):
    """The same, and the server stops by itself before the last byte."""

    options = ("--min-free", "4M", "--write-buffer-bytes", "1M")


class FileLimit:
    """No file may grow beyond a limit: works for every user."""

    options = ("--min-free", "0", "--write-buffer-bytes", "64M")

    def __init__(self, folder):
        self.data = folder / "data"

    def fill(self, server):
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4 << 20, resource.RLIM_INFINITY))

    def make_room(self, server):
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def done(self):
        pass


DISKS = [FileLimit, SmallDisk, Reserve] if can_mount() else [FileLimit]


@pytest.mark.parametrize("kind", DISKS)
def test_full_disk(start_server, tmp_path, kind):
    disk = kind(tmp_path)
    try:
        server = start_server("--data", disk.data, "--control-plane-delay", "0", *disk.options)
        client = make_client(server.endpoint)
        table = create(client, "pk:S", attributes={"g": "S"}, GlobalSecondaryIndexes=[
            {"IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": {"ProjectionType": "KEYS_ONLY"}}
        ])
        kept = {}

        def put(i):
            item = {"pk": {"S": str(i)}, "g": {"S": f"g{i % 3}"}, "x": {"S": os.urandom(20_000).hex()}}
            try:
                client.put_item(TableName=table, Item=item)
            except ClientError as error:
                return error
            kept[str(i)] = item
            return None

        for i in range(20):
            assert put(i) is None
        disk.fill(server)
        for i in range(20, 5000):
            if refused := put(i):
                break
        else:
            raise AssertionError("the disk never became full")
        assert refused.response["Error"]["Code"] == "InternalServerError"
        assert refused.response["ResponseMetadata"]["HTTPStatusCode"] == 500

        def check():
            for key, item in kept.items():
                found = client.get_item(TableName=table, Key={"pk": {"S": key}}, ConsistentRead=True)
                assert found.get("Item") == item, key

        check()  # reads go on
        refusals, i = 0, 5000
        while refusals < 10:  # room that compaction makes is used again, but that ends
            refusals += put(i) is not None
            i += 1
            assert i < 15000, "the disk is not full any more"
        check()
        assert server.health()
        assert '"level":"ERROR"' in server.log()

        disk.make_room(server)
        deadline = time.monotonic() + 120
        for i in range(20000, 20020):  # a flush that began while there was no room may still fail behind the first of them
            while put(i) is not None:
                assert time.monotonic() < deadline, server.log()
                time.sleep(0.05)
        check()
        server.kill()
        server = start_server("--data", disk.data, "--control-plane-delay", "0", *disk.options)
        client = make_client(server.endpoint)
        check()
        found = [item for page in client.get_paginator("scan").paginate(TableName=table, IndexName="by-g") for item in page["Items"]]
        assert set(kept) <= {item["pk"]["S"] for item in found}
        assert server.stop() == 0
    finally:
        disk.done()
