"""What every request does takes no more instructions than recorded (tests/bench/count-instructions)."""

import json
import subprocess

import pytest
from conftest import ROOT

PROGRAM = ROOT / "build" / "release" / "instructions"


@pytest.fixture(scope="module")
def counted():
    if not PROGRAM.exists():
        pytest.skip("NOT COMPARED: build/release has no tests")
    done = subprocess.run(
        [ROOT / "tests" / "bench" / "count-instructions", "--program", PROGRAM, "--json"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def no_more_than_recorded(part):
    if part["recorded"] is None:
        pytest.skip("NOT COMPARED: " + part["why"])
    too_much = {loop: (part["loops"][loop], "recorded", part["recorded"].get(loop)) for loop in part["too_much"]}
    assert not too_much, "over a tenth more instructions a round, or none recorded"
    assert part["loops"].keys() == part["recorded"].keys()


@pytest.mark.figures
def test_our_own_code_takes_no_more_instructions_than_recorded(counted):
    no_more_than_recorded(counted["own"])


@pytest.mark.figures
def test_with_its_libraries_it_takes_no_more_instructions_than_recorded(counted):
    no_more_than_recorded(counted["all"])
