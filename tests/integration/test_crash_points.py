"""The server kills itself between two steps, at every place where that could matter, while everything goes on.

base/fault.h lists the places (fault points). Each round arms one for its n-th passage, lets writers and the control plane
work until the server is dead, starts it again and compares everything (crash_world.py, crash_control.py): items, index rows,
vectors, counts, change records, transactions' tokens, tables, streams, TTL, tags, DAX's groups and attribute lists.

ROUNDS=1000 is the long form; POINTS=split,trim only those that begin so; SEED makes the same choices again. POWER=1: the power
goes with the server, so what was not synced is lost, in part or whole (power.py).
"""

import os
import random
import re
import signal
import subprocess
import time

import pytest
from conftest import ROOT
from controls import Controls
from crash_control import LEADS_TO, ControlledWorld
from crash_world import Wire
from power import Disk, is_sanitized

pytestmark = pytest.mark.timeout(600 + 10 * int(os.environ.get("ROUNDS", "0")))

OPTIONS = ("--control-plane-delay", "0", "--min-free", "1M", "--write-buffer-bytes", "256K", "--partitions", "2", "--test-controls",
           "--dax-listen", "127.0.0.1:0")
ROUNDS = int(os.environ.get("ROUNDS", "10"))
ROUNDS_OF_A_FOLDER = 60  # then it begins anew: streams and shards have become many
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
WANTED = tuple(filter(None, os.environ.get("POINTS", "").split(",")))
POWER = bool(os.environ.get("POWER"))
PATIENCE = float(os.environ.get("PATIENCE", "20"))  # seconds until a round is cut short by a kill from outside

NEW_FOLDER = ("version-written", "region-made", "engine-making", "engine-made")
EACH_START = ("engine-opening", "engine-opened")
ALSO_AT_START = ("engine-manifest-synced", "engine-manifest-noted")
OFTEN = ("engine-apply", "engine-applied", "engine-before-sync", "engine-after-sync", "engine-durable", "commit", "answer")
ONCE = ("lists-written",)  # in each life: armed before anybody works
SOMETIMES = ("token-put", "token-rep", "ttl-found", "ttl-deleted", "backfill-row", "catalog")


def passage(point, dice):
    """Which one to die at."""
    if point in ONCE:
        return 1
    return dice.randrange(1, 400 if point.startswith(OFTEN) else 20 if point.startswith(SOMETIMES) else 3)


def wait_for_end(server, seconds):
    try:
        server.process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False


class Rounds:
    """Lives of a server in one folder."""

    def __init__(self, start_server, folder, seed, env=None):
        self.start_server, self.folder, self.seed = start_server, folder, seed
        self.dice = random.Random(seed)
        self.env = env or (lambda: {})
        self.world = ControlledWorld(seed)
        self.options = ("--data", folder, *OPTIONS)

    def begin(self):
        self.server = self.start_server(*self.options, env=self.env())
        self.controls = Controls(self.server.endpoint)
        wire = Wire(self.server)
        self.world.create(wire)
        wire.close()

    def points(self):
        return [p["name"] for p in self.controls.describe()["points"]]

    def again(self):
        """Start it; sometimes it dies on the way once more."""
        self.world.server_ended()
        if self.dice.random() < 0.15:
            point = self.dice.choice(EACH_START + ALSO_AT_START)
            dying = self.start_server(*self.options, wait=False, env={**self.env(), "STATOR_FAULT": f"{point}:kill:1"})
            dying.expected_code = -signal.SIGKILL
            assert wait_for_end(dying, 60)
            self.after_death()
        self.server = self.start_server(*self.options, env=self.env())
        self.controls = Controls(self.server.endpoint)
        wire = Wire(self.server)
        self.world.check(wire, self.controls)
        wire.close()

    def after_death(self):
        """What else happens to the folder."""

    def one(self, point):
        """-> was it the point that killed?"""
        self.world.start_writers(self.server)
        if point not in ONCE:
            self.world.start_control(self.server, self.controls, point)
            time.sleep(self.dice.uniform(0, 0.1))
        self.server.expected_code = -signal.SIGKILL
        try:
            self.controls("fault", points=f"{point}:kill:{passage(point, self.dice)}")
        except OSError:
            pass  # it died before it answered
        if point in ONCE:
            self.world.start_control(self.server, self.controls, point)
        reached = wait_for_end(self.server, PATIENCE)
        if not reached:
            self.server.kill()
        self.world.end_control()
        self.world.end_writers()
        assert self.server.process.returncode == -signal.SIGKILL, self.server.log()[-2000:]
        assert not reached or f"fault point {point}: killed" in self.server.log()
        self.after_death()
        self.again()
        return reached


class PowerRounds(Rounds):
    """The machine dies with the server."""

    def __init__(self, start_server, folder, seed):
        for name in ("notes", "disk"):
            (folder / name).mkdir(parents=True)
        self.disk = Disk(folder / "notes", folder / "disk", random.Random(seed))
        super().__init__(start_server, folder / "disk" / "data", seed, env=self.disk.environment)

    def after_death(self):
        self.disk.lose_power()


def progress(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def run_rounds(make_rounds, count, seed):
    """Rounds over folders; -> how often each point killed."""
    reached, missed, acknowledged = {}, [], 0
    rounds = None
    for number in range(count):
        if number % ROUNDS_OF_A_FOLDER == 0:
            if rounds:
                assert rounds.server.stop() == 0
                acknowledged += rounds.world.acknowledged
            rounds = make_rounds(number)
            rounds.begin()
            points = [p for p in rounds.points() if p not in NEW_FOLDER + EACH_START and p.startswith(WANTED or "")]
            order = []
        if not order:
            order = rounds.dice.sample(points, len(points))
        point = order.pop()
        try:
            killed = rounds.one(point)
        except BaseException:
            print(f"round {number}, {point}, SEED={seed}")
            raise
        reached[point] = reached.get(point, 0) + killed
        if not killed:
            missed.append(point)
        if number % 25 == 24:
            progress(f"{number + 1} rounds, {sum(reached.values())} died at their point, "
                     f"{acknowledged + rounds.world.acknowledged} acknowledged writes, all there")
    acknowledged += rounds.world.acknowledged
    print(f"{count} kills at {sum(map(bool, reached.values()))} points ({len(missed)} rounds did not reach theirs: {sorted(set(missed))}), "
          f"{acknowledged} acknowledged writes: all there, everything in step. SEED={seed}")
    return reached


def test_what_is_acknowledged_survives_a_death_at_any_point(start_server, tmp_path):
    print(f"ROUNDS={ROUNDS} SEED={SEED}")
    kind = PowerRounds if POWER else Rounds
    reached = run_rounds(lambda n: kind(start_server, tmp_path / f"data-{n}", SEED + n), ROUNDS, SEED)
    assert sum(reached.values()) > len(reached) // 2


@pytest.mark.parametrize("point", NEW_FOLDER + EACH_START + ALSO_AT_START)
def test_a_first_start_that_died_is_done_again(start_server, tmp_path, point):
    """Whoever had nothing yet loses nothing, and the folder can be used."""
    options = ("--data", tmp_path / "data", *OPTIONS)
    dying = start_server(*options, wait=False, env={"STATOR_FAULT": f"{point}:kill:1"})
    dying.expected_code = -signal.SIGKILL
    assert wait_for_end(dying, 60), "the point was not reached"
    assert f"fault point {point}: killed" in dying.log()
    server = start_server(*options)
    wire = Wire(server)
    world = ControlledWorld(1)
    world.create(wire)
    world.check(wire, Controls(server.endpoint))
    wire.close()


@pytest.mark.skipif(is_sanitized(), reason="the same places, slowly")
def test_every_point_lies_on_a_way_that_the_rounds_take(start_server, tmp_path):
    """All of them are passed when everything is done once: no point is there for nothing."""
    rounds = Rounds(start_server, tmp_path / "data", SEED, env=lambda: {"STATOR_FAULT": "all:count"})
    rounds.begin()
    world = rounds.world
    world.start_writers(rounds.server)
    deadline = time.monotonic() + 240
    at_start = set(NEW_FOLDER)
    while True:
        never = {p["name"] for p in rounds.controls.describe()["points"] if p["passed"] == 0} - at_start
        if not never:
            break
        progress(f"not passed yet: {' '.join(sorted(never))}")
        assert time.monotonic() < deadline, f"never passed: {sorted(never)}"
        world.start_control(rounds.server, rounds.controls, sorted(never)[0])
        time.sleep(0.3)
        world.stopping = True
        world.control.join()
        assert world.control.failure is None, world.control.failure
        world.stopping = False
        if not any(writer.is_alive() for writer in world.writers):
            world.end_writers()
            world.start_writers(rounds.server)
    world.end_writers()
    wire = Wire(rounds.server)
    world.check(wire, rounds.controls)
    wire.close()


def test_every_point_is_documented():
    points = re.findall(r'X\(\w+,\s*\w+,\s*"([^"]+)",[\s\\]*"([^"]+)"\)', (ROOT / "src" / "base" / "fault.h").read_text())
    assert len(points) > 50
    told = (ROOT / "docs" / "RELIABILITY.md").read_text()
    missing = [name for name, between in points if f"| `{name}` | {between} |" not in told]
    assert not missing, f"docs/RELIABILITY.md does not tell of {missing}"


def test_an_unknown_point_is_refused(start_server, tmp_path):
    server = start_server("--data", tmp_path / "data", wait=False, env={"STATOR_FAULT": "nowhere:kill"})
    server.expected_code = 2
    assert server.wait() == 2
    assert "STATOR_FAULT" in server.log()
    assert not (tmp_path / "data").exists()
