"""What a newcomer copies from the README and from the server's first words works as it stands."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap

from conftest import ROOT
from stator_server import binary, clean_environment
from test_js import NODE_MODULES, node

README = (ROOT / "README.md").read_text()
WRITTEN = "127.0.0.1:8000"


def blocks(heading):
    """The code below a heading of the README."""
    section = re.search(rf"^### {re.escape(heading)}\n(.*?)^(?:#|Newer SDKs)", README, re.MULTILINE | re.DOTALL)[1]
    return textwrap.dedent("\n".join(line for line in section.splitlines() if line.startswith("    ") or not line))


def shell(text, folder):
    """As typed at a prompt: aliases are expanded, each command counts."""
    (folder / "session").write_text("set -e\nshopt -s expand_aliases\n" + text)
    env = clean_environment({"PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}", "AWS_PAGER": "", "HOME": str(folder)})
    done = subprocess.run(["bash", "session"], cwd=folder, env=env, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def answers(text):
    """The JSON documents that follow each other in what the AWS CLI printed."""
    found, decoder, at = [], json.JSONDecoder(), 0
    while (start := text.find("{", at)) >= 0:
        value, at = decoder.raw_decode(text, start)
        found.append(value)
    return found


def test_the_first_session(start_server, tmp_path):
    server = start_server("--data", tmp_path / "data", "--min-free", "1M")
    address = f"{server.host}:{server.port}"

    cli = blocks("AWS CLI").replace(WRITTEN, address)
    created, found = (answer for answer in answers(shell(cli, tmp_path)) if answer)
    assert created["TableDescription"]["TableName"] == "Music"
    assert found["Items"] == [{"Artist": {"S": "Miriam Makeba"}, "Song": {"S": "Pata Pata"}, "Year": {"N": "1967"}}]

    (tmp_path / "music.py").write_text(blocks("Python").replace(WRITTEN, address))
    done = subprocess.run([sys.executable, "music.py"], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "Decimal('1967')" in done.stdout and "'plays': Decimal('1')" in done.stdout

    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    (tmp_path / "music.mjs").write_text(blocks("JavaScript (SDK v3)").replace(WRITTEN, address))
    done = subprocess.run([node(), "music.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "Year: 1967" in done.stdout and "plays: 1" in done.stdout


def test_the_servers_first_words(tmp_path):
    process = subprocess.Popen(
        [binary(), "serve", "--ephemeral", "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean_environment(),
    )
    try:
        text = ""
        while "Ctrl-C" not in text:
            line = process.stdout.readline()
            assert line, text
            text += line
        commands = textwrap.dedent("\n".join(line for line in text.splitlines() if line.startswith("  ") or not line))
        assert len(re.findall(r"^aws dynamodb", commands, re.MULTILINE)) == 3
        *_, found = answers(shell(commands, tmp_path))
        assert found["Items"] == [{"Artist": {"S": "Miriam Makeba"}, "Song": {"S": "Pata Pata"}, "Year": {"N": "1967"}}]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0


def test_in_tests_the_server_tells_its_port_in_json(start_server):
    server = start_server("--ephemeral")
    assert set(server.ready) == {"ready", "endpoint", "region", "ready_us"}
    assert all(f'"{name}":' in README for name in server.ready)
