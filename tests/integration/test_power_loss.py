"""The power goes under load: what was not synced is lost, in part or whole, names of files too. Nothing acknowledged may be.

ROUNDS=300 pytest tests/integration/test_power_loss.py is the long form.
"""

import itertools
import os
import random
import time

import pytest
from botocore.exceptions import ClientError
from conftest import create, make_client, wait_active
from power import Disk, is_sanitized
from test_durability import INDEXES, WORKERS, Reader, Worker, check, wait_for_writes

ROUNDS = int(os.environ.get("ROUNDS", "6"))
SEED = int(os.environ.get("SEED", "0")) or random.randrange(1 << 30)

pytestmark = pytest.mark.skipif(is_sanitized(), reason="the shim and a sanitizer's wrappers do not mix")


def rounds_of_power_loss(start_server, tmp_path, count, lies=False):
    print(f"ROUNDS={count} SEED={SEED}")
    dice = random.Random(SEED)
    for name in ("notes", "disk"):
        (tmp_path / name).mkdir()
    disk = Disk(tmp_path / "notes", tmp_path / "disk", dice, lies)
    options = ("--data", tmp_path / "disk" / "data", "--control-plane-delay", "0", "--min-free", "1M", "--write-buffer-bytes", "256K")
    server = start_server(*options, env=disk.environment())
    client = make_client(server.endpoint)
    table = create(client, "pk:S,sk:N", name="power", **INDEXES)
    states, versions, acknowledged = [{} for _ in range(WORKERS)], {}, 0
    for round_number in itertools.count():
        if round_number >= count and (disk.cut_bytes > 0 or round_number >= count + 50):
            break  # with few rounds it may be that nothing was lost that had not reached the disk
        workers = [Worker(i, table, states[i], versions) for i in range(WORKERS)]
        reader = Reader(table)
        for thread in (*workers, reader):
            thread.server = server
            thread.start()
        time.sleep(dice.uniform(0.05, 0.5))
        wait_for_writes(workers, 25)
        create(client, "pk:S", name=f"round-{round_number}")
        time.sleep(dice.uniform(0, 0.2))
        server.kill()
        for thread in (*workers, reader):
            thread.join()
        disk.lose_power()
        for worker in workers:
            assert worker.failure is None, worker.failure
        acknowledged += sum(worker.acknowledged for worker in workers)
        server = start_server(*options, env=disk.environment())
        client = make_client(server.endpoint)
        wait_active(client, "power")
        wait_active(client, f"round-{round_number}")
        check(client, table, workers, reader)
    print(f"{acknowledged} acknowledged writes over {round_number} losses of power ({disk.cut_bytes} bytes and "
          f"{disk.undone_names} names lost): all there")
    return disk


def test_everything_acknowledged_survives_the_loss_of_power(start_server, tmp_path):
    disk = rounds_of_power_loss(start_server, tmp_path, ROUNDS)
    assert disk.cut_bytes > 0


def test_a_disk_that_lies_is_found_out(start_server, tmp_path):
    """The test above can fail: when syncs do nothing, acknowledged writes are missed within a few rounds."""
    with pytest.raises((AssertionError, ClientError)) as found:
        rounds_of_power_loss(start_server, tmp_path, 10, lies=True)
    print(f"noticed: {str(found.value)[:300]}")
