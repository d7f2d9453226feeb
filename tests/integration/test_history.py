"""What concurrent clients saw, checked by a machine: tests/history records and porcupine decides.

A third of the histories have their server killed in the middle. HISTORIES=1000 pytest tests/integration/test_history.py is
the long form; a history that is wrong is drawn into a file that the output names, and its seed makes the same clients again.
"""

import os
import subprocess

import pytest
from conftest import ROOT
from stator_server import binary, clean_environment

CHECKER = ROOT / "build" / "go" / "history"
HISTORIES = int(os.environ.get("HISTORIES", "40"))


@pytest.mark.timeout(300 + 5 * HISTORIES)
def test_histories_are_strictly_serializable(tmp_path):
    if os.environ.get("STATOR_ENDPOINT"):
        pytest.skip("kills its server")
    assert CHECKER.exists(), "run scripts/setup test"
    command = [CHECKER, "-server", binary(), "-data", tmp_path / "data", "-histories", str(HISTORIES)]
    if "SEED" in os.environ:
        command += ["-seed", os.environ["SEED"]]
    run = subprocess.run(command, env=clean_environment(), capture_output=True, text=True)
    print(run.stdout)
    log = (tmp_path / "data.log").read_text(errors="replace")
    assert run.returncode == 0 and "Sanitizer" not in log, run.stdout + run.stderr + log[-4000:]


def test_the_checker_tells_right_from_wrong():
    """Lost updates, torn reads, write skew and the like are found when they are there."""
    env = {**os.environ, "GOFLAGS": "-buildvcs=false -modcacherw", "GOMODCACHE": str(ROOT / "build" / "go" / "mod")}
    run = subprocess.run(["go", "test", "./..."], cwd=ROOT / "tests" / "history", env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
