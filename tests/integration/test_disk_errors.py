"""The disk fails while everything goes on: calls on one kind of file report an error, or write only a part and the process dies.

What is promised (docs/RELIABILITY.md): nothing is acknowledged that is not on the disk, reads go on, and when the disk works
again writes are accepted, by themselves. After each round the server is killed and the power goes, too: what a failed sync
did not write is then lost, whatever a later sync said.

ROUNDS=500 is the long form; CASES=log-sync,table only those that begin so; SEED makes the same choices again.
"""

import os
import random
import signal
import threading
import time

import pytest
from controls import Controls
from crash_control import ControlledWorld
from crash_world import MAIN, Gone, Wire, key_of
from faulty_disk import ALLOCATE, EIO, ENOSPC, OPEN, READ, RENAME, SHORT, SYNC, TORN, TRUNCATE, UNLINK, WRITE, FaultyDisk
from power import Disk, is_sanitized
from test_crash_points import OPTIONS, progress, wait_for_end

ROUNDS = int(os.environ.get("ROUNDS", "6"))
ROUNDS_OF_A_FOLDER = 40
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
WANTED = tuple(filter(None, os.environ.get("CASES", "").split(",")))
PATIENCE = float(os.environ.get("PATIENCE", "20"))

pytestmark = [
    pytest.mark.skipif(is_sanitized(), reason="the shim and a sanitizer's wrappers do not mix"),
    pytest.mark.timeout(600 + 20 * ROUNDS),
]

LISTS = "dax-attribute-lists"
CASES = {  # name: files, calls, what becomes of them
    "log-write": ("*.log", WRITE, EIO),
    "log-sync": ("*.log", SYNC, EIO),
    "log-open": ("*.log", OPEN, EIO),
    "log-full": ("*.log", WRITE | OPEN, ENOSPC),
    "log-torn": ("*.log", WRITE, TORN),
    "table-write": ("*.sst", WRITE, EIO),
    "table-sync": ("*.sst", SYNC, EIO),
    "table-open": ("*.sst", OPEN, EIO),
    "table-read": ("*.sst", READ, EIO),
    "table-full": ("*.sst", WRITE | OPEN, ENOSPC),
    "table-torn": ("*.sst", WRITE, TORN),
    "manifest-write": ("MANIFEST-*", WRITE, EIO),
    "manifest-sync": ("MANIFEST-*", SYNC, EIO),
    "manifest-full": ("MANIFEST-*", WRITE, ENOSPC),
    "manifest-torn": ("MANIFEST-*", WRITE, TORN),
    "synced-write": ("SYNCED-*", WRITE | OPEN, EIO),
    "synced-sync": ("SYNCED-*", SYNC, EIO),
    "synced-full": ("SYNCED-*", WRITE | OPEN, ENOSPC),
    "synced-torn": ("SYNCED-*", WRITE, TORN),
    "folder-sync": (".", SYNC, EIO),
    "remove": ("*.[ls][os][gt]", UNLINK | TRUNCATE | ALLOCATE, EIO),
    "lists-write": (LISTS, WRITE, EIO),
    "lists-sync": (LISTS, SYNC, EIO),
    "lists-full": (LISTS, WRITE, ENOSPC),
    "lists-torn": (LISTS, WRITE, TORN),
    "everything-write": ("*", WRITE | SYNC | OPEN | RENAME, EIO),
    "everything-full": ("*", WRITE | OPEN | ALLOCATE, ENOSPC),
    "short": ("*", READ | WRITE, SHORT),
}
# nobody may notice these
HARMLESS = ("short", "remove")
# the work that meets such files
WORK = {"log": "engine-reclaim", "table": "engine-reclaim", "manifest": "engine-reclaim", "synced": "engine-reclaim", "folder": "engine-reclaim", "lists": "list"}


class Reader(threading.Thread):
    """Reads what is known to be there, all the time. An answer must be right, or an error that says so."""

    def __init__(self, server, book):
        super().__init__(daemon=True)
        self.server, self.book, self.stopping = server, book, False
        self.right = self.refused = 0
        self.failure = None

    def run(self):
        """Of a book whose writer rests: so each read has one right answer."""
        names = list(self.book.now)
        try:
            wire = Wire(self.server)
            while not self.stopping and names:
                name = random.choice(names)
                answer = wire.ask("GetItem", {"TableName": name[0], "Key": key_of(name), "ConsistentRead": True})
                if answer.status == 200:
                    assert answer.json.get("Item") == self.book.now[name], (name, answer.body, self.book.now[name])
                    self.right += 1
                else:
                    assert answer.status in (500, 503), answer.body
                    self.refused += 1
        except (Gone, OSError):
            pass
        except BaseException as failure:  # noqa: BLE001 - told by the main thread
            self.failure = failure


class Rounds:
    def __init__(self, start_server, folder, seed):
        self.start_server, self.dice = start_server, random.Random(seed)
        for name in ("notes", "disk"):
            (folder / name).mkdir(parents=True)
        self.power = Disk(folder / "notes", folder / "disk", self.dice)
        self.disk = FaultyDisk(folder / "notes", folder / "disk", self.power)
        self.world = ControlledWorld(seed)
        self.options = ("--data", folder / "disk" / "data", *OPTIONS)
        self.reads = self.refused_reads = 0

    def begin(self):
        self.start()
        wire = Wire(self.server)
        self.world.create(wire)
        wire.close()
        self.write_a_while(0.3)

    def start(self):
        self.server = self.start_server(*self.options, env=self.disk.environment())
        self.controls = Controls(self.server.endpoint)

    def write_a_while(self, seconds):
        self.world.start_writers(self.server)
        time.sleep(seconds)
        self.world.end_writers()

    def kill_and_lose_power(self):
        self.server.kill()
        self.after_death()

    def after_death(self):
        self.disk.disarm()
        self.power.lose_power()
        self.world.server_ended()
        self.start()
        self.check()

    def check(self, live=False):
        wire = Wire(self.server)
        self.world.check(wire, self.controls, live)
        wire.close()

    def wait_for_writes(self):
        """The disk works again: so does the server, soon and by itself."""
        until = time.monotonic() + 60
        wire = Wire(self.server)
        while True:
            try:
                answer = wire.ask("PutItem", {"TableName": "daxed", "Item": {"pk": {"S": "probe"}, "n": {"N": str(time.monotonic_ns())}}})
            except Gone:
                wait_for_end(self.server, 10)
                self.must_live()
                raise
            if answer.status == 200:
                break
            assert time.monotonic() < until, (answer.body, self.server.log()[-3000:])
            time.sleep(0.02)
        wire.close()

    def one(self, case):
        """-> was there such a call?"""
        pattern, operations, result = CASES[case]
        world, dice = self.world, self.dice
        world.start_writers(self.server)
        resting = dice.choice(world.books)  # its writer ends at once, so that what it wrote can be read and compared
        reader = Reader(self.server, resting)
        world.rest(resting)
        world.start_control(self.server, self.controls, WORK.get(case.split("-")[0]))
        reader.start()
        time.sleep(dice.uniform(0, 0.2))
        self.server.expected_code = -signal.SIGKILL
        self.disk.arm(pattern, operations, result, skip=dice.choice((0, 0, 1, 5, dice.randrange(200))), count=dice.choice((1, 2, 0)))
        met = self.torn() if result == TORN else self.failed(case)
        reader.stopping = True
        reader.join()
        world.end_control()
        world.end_writers()
        if result != TORN:
            self.wait_for_writes()  # what a flush or a writer met before the disk worked again may have come back only now
        assert reader.failure is None, reader.failure
        self.reads += reader.right
        self.refused_reads += reader.refused
        if result == TORN:
            self.after_death()
            return met
        if case in HARMLESS:
            assert reader.refused == 0 and not any(writer.ended for writer in world.writers), [w.ended for w in world.writers]
        self.check(live=True)
        self.kill_and_lose_power()
        return met

    def torn(self):
        met = wait_for_end(self.server, PATIENCE)
        if not met:
            self.server.kill()
        return met

    def failed(self, case):
        until = time.monotonic() + PATIENCE
        while self.disk.failed == 0 and time.monotonic() < until:
            self.must_live()
            time.sleep(0.005)
        time.sleep(self.dice.choice((0, 0.1, self.dice.uniform(0, 1.5))))
        met = self.disk.failed > 0
        self.disk.disarm()
        self.must_live()
        self.wait_for_writes()
        return met

    def must_live(self):
        assert self.server.process.poll() is None, self.server.log()[-3000:]


def test_what_is_acknowledged_survives_a_failing_disk(start_server, tmp_path):
    print(f"ROUNDS={ROUNDS} SEED={SEED}")
    cases = [case for case in CASES if case.startswith(WANTED or "")]
    met, acknowledged, reads, refused, rounds, order = {}, 0, 0, 0, None, []
    for number in range(ROUNDS):
        if number % ROUNDS_OF_A_FOLDER == 0:
            if rounds:
                acknowledged += rounds.world.acknowledged
                reads, refused = reads + rounds.reads, refused + rounds.refused_reads
                rounds.server.kill()
            rounds = Rounds(start_server, tmp_path / f"folder-{number}", SEED + number)
            rounds.begin()
        order = order or rounds.dice.sample(cases, len(cases))
        case = order.pop()
        try:
            met[case] = met.get(case, 0) + rounds.one(case)
        except BaseException:
            print(f"round {number}, {case}, SEED={SEED}")
            raise
        if number % 25 == 24:
            progress(f"{number + 1} rounds, {sum(met.values())} met the disk's failure, all there")
    acknowledged += rounds.world.acknowledged
    reads, refused = reads + rounds.reads, refused + rounds.refused_reads
    print(f"{ROUNDS} rounds, {sum(met.values())} met the failure (never: {sorted(c for c in met if not met[c])}), {acknowledged} acknowledged "
          f"writes: all there, everything in step; {reads} reads right, {refused} refused, none wrong. SEED={SEED}")
    assert sum(map(bool, met.values())) > len(met) // 2
    assert reads > refused


STARTS = [case for case in CASES if CASES[case][2] not in (TORN, SHORT) and not case.startswith("remove")]
SHORT_STARTS = ["log-write", "table-read", "manifest-sync", "everything-full"]


@pytest.mark.parametrize("case", STARTS if ROUNDS > 10 else SHORT_STARTS)
def test_a_start_on_a_failing_disk_says_so_and_harms_nothing(start_server, tmp_path, case):
    """It may start when it need not touch such a file. Else it ends, and says why; the next start finds everything."""
    rounds = Rounds(start_server, tmp_path, SEED)
    rounds.begin()
    rounds.server.kill()
    rounds.world.server_ended()
    pattern, operations, result = CASES[case]
    rounds.disk.arm(pattern, operations, result)
    server = start_server(*rounds.options, env=rounds.disk.environment(), wait=False)
    server.expected_code = -signal.SIGKILL
    if wait_for_end(server, 3):
        assert server.process.returncode == 1, (server.process.returncode, server.log())
        server.expected_code = 1
        errors = [line for line in server.log().splitlines() if '"level":"ERROR"' in line]
        assert errors and str(tmp_path) in errors[-1], server.log()
        print(errors[-1])
    else:
        server.kill()
    rounds.after_death()
    assert rounds.world.acknowledged > 0 and MAIN
