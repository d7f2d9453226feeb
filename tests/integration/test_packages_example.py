"""examples/packages, as its README says."""

import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.timeout(1200)
def test_the_package_example_agrees_with_apt(start_server, tmp_path):
    server = start_server("--data", tmp_path / "data", "--min-free", "1M")
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "packages" / "packages.py"), "--endpoint", server.endpoint],
        capture_output=True, text=True, timeout=1100,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok   ") == 11 and "WRONG" not in done.stdout
