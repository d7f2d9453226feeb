"""The JavaScript SDK v3, as an application would use it."""

import os
import pathlib
import shutil
import subprocess

from conftest import ROOT

NODE_MODULES = ROOT / "build" / "node" / "node_modules"


def node():
    """The system's, or the one scripts/setup put beside Python where the system's is too old."""
    beside = ROOT / "build" / "venv" / "bin" / "node"
    return str(beside) if beside.exists() else shutil.which("node")


def test_javascript_sdk(endpoint):
    assert NODE_MODULES.is_dir(), "run scripts/setup test"
    script = pathlib.Path(__file__).with_name("sdk.js")
    out = subprocess.run(
        [node(), str(script), endpoint],
        env={**os.environ, "NODE_PATH": str(NODE_MODULES), "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True, text=True, timeout=280,
    )
    assert out.returncode == 0 and out.stdout.strip() == "ok", out.stdout + out.stderr
