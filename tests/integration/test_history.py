"""What concurrent clients saw, checked by a machine: tests/history records and porcupine decides; and what readers of the
streams saw meanwhile is compared with what is there in the end. A third of the calls go through the DAX node built into the server, which is coherent
in every other generation of tables: consistent reads and writes are part of the one order, reads from the caches must keep what docs/DAX-CACHES.md promises.

Troubles come over the server while a history is recorded: kills at any moment and at fault points, losses of power, failing and
full disks (in the long form also writes that are torn, and a log's writes and syncs that fail), cut connections, clock steps, splits, shard rolls, throttling, conflicts, errors. HISTORIES=1000 pytest
tests/integration/test_history.py is the long form; TROUBLES=kill,io names those to have. A history that is wrong is drawn
into a file that the output names, and its seed makes the same clients again.
"""

import os
import subprocess

import pytest
from conftest import ROOT
from power import build_shim, is_sanitized
from stator_server import binary, clean_environment

CHECKER = ROOT / "build" / "go" / "history"
HISTORIES = int(os.environ.get("HISTORIES", "10" if is_sanitized() else "40"))


def run_checker(tmp_path, histories, *more, env=None):
    if os.environ.get("STATOR_ENDPOINT"):
        pytest.skip("kills its server")
    assert CHECKER.exists(), "run scripts/setup test"
    command = [CHECKER, "-server", binary(), "-data", tmp_path / "data", "-histories", str(histories), *more]
    for variable, option in (("SEED", "-seed"), ("TROUBLES", "-troubles")):
        if variable in os.environ and option not in more:
            command += [option, os.environ[variable]]
    run = subprocess.run(command, env=clean_environment(env), capture_output=True, text=True)
    print(run.stdout)
    return run


def record(tmp_path, histories, *more):
    if "HISTORIES" in os.environ and not is_sanitized():  # the long form
        more = (*more, "-disk", build_shim(tmp_path, "disk_shim"))
    run = run_checker(tmp_path, histories, *more)
    log = (tmp_path / "data.log").read_text(errors="replace")
    assert run.returncode == 0 and "Sanitizer" not in log, run.stdout + run.stderr + log[-4000:]


@pytest.mark.timeout(600 + 10 * HISTORIES)
def test_histories_are_strictly_serializable(tmp_path):
    record(tmp_path, HISTORIES)


with_power = pytest.mark.skipif(is_sanitized(), reason="the shim and a sanitizer's wrappers do not mix")


@pytest.mark.timeout(600 + 10 * HISTORIES)
@with_power
def test_histories_are_strictly_serializable_when_the_power_goes(tmp_path):
    record(tmp_path, max(1, HISTORIES // 8), "-power", ROOT / "tests" / "integration" / "power_tool.py")


@with_power
def test_a_disk_that_lies_is_found_out(tmp_path):
    """The tests above can fail: when syncs do nothing, what was acknowledged is missed."""
    run = run_checker(tmp_path, 20, "-troubles", "power", "-power", ROOT / "tests" / "integration" / "power_tool.py", env={"POWER_LIES": "1"})
    assert run.returncode != 0, run.stdout
    print("noticed:", (run.stderr or run.stdout)[:300])


def test_a_server_that_dies_by_itself_is_noticed(tmp_path):
    """With its status and what it said last, and without waiting for clients that wait for it."""
    program = tmp_path / "server"
    program.write_text("""#!/bin/sh
echo '{"endpoint": "http://127.0.0.1:1"}'
echo 'these are my last words' >&2
exit 7
""")
    program.chmod(0o755)
    command = [CHECKER, "-server", program, "-data", tmp_path / "data", "-histories", "1", "-troubles", "none"]
    run = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=100)
    assert run.returncode == 3 and "exit status 7" in run.stderr and "these are my last words" in run.stderr, run.stderr


def test_the_checker_tells_right_from_wrong():
    """Lost updates, torn reads, write skew, changed answers and records and the like are found when they are there."""
    env = {**os.environ, "GOFLAGS": "-buildvcs=false -modcacherw", "GOMODCACHE": str(ROOT / "build" / "go" / "mod")}
    run = subprocess.run(["go", "test", "./..."], cwd=ROOT / "tests" / "history", env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
