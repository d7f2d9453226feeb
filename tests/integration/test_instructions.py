"""What every request does takes no more instructions than recorded (tests/bench/count-instructions)."""

import subprocess

import pytest
from conftest import ROOT

PROGRAM = ROOT / "build" / "release" / "instructions"


@pytest.mark.figures
def test_the_hot_path_takes_no_more_instructions_than_recorded():
    if not PROGRAM.exists():
        pytest.skip("build/release has no tests")
    done = subprocess.run([ROOT / "tests" / "bench" / "count-instructions", "--program", PROGRAM], capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
