"""The short form of tests/soak: mixed load with every feature on. The long form is `make torture ARGS=soak`."""

import subprocess
import sys

import pytest
from conftest import ROOT
from stator_server import binary


@pytest.mark.figures
@pytest.mark.timeout(600)
def test_nothing_grows_without_end(tmp_path):
    """Memory, file descriptors, threads and disk stay within bounds that are wide here; what is acknowledged is there after a restart."""
    run = subprocess.run(
        [sys.executable, ROOT / "tests" / "soak" / "soak.py", "--server", binary(), "--seconds", "20", "--folder", tmp_path / "soak"],
        capture_output=True, text=True)
    print(run.stdout)
    assert run.returncode == 0 and run.stdout.endswith("flat\n"), run.stdout + run.stderr
