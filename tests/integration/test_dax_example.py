"""examples/dax, as its README says."""

import os
import re
import subprocess

from conftest import ROOT
from test_js import NODE_MODULES, node


def test_the_dax_example_runs_over_http_and_through_dax(start_server):
    server = start_server("--ephemeral", "--dax-listen", "127.0.0.1:0", "--min-free", "1M")
    endpoint = "dax://" + server.health()["dax"]
    done = subprocess.run(
        [node(), ROOT / "examples" / "dax" / "app.js", server.endpoint, endpoint],
        capture_output=True, text=True, timeout=280, env={**os.environ, "NODE_PATH": str(NODE_MODULES), "VISITS": "800"},
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.findall(r"^(http|dax)\S+ +(page|list|price) +(\d+) times", done.stdout, re.M)
    assert [(where, kind) for where, kind, _ in told] == [(w, k) for w in ("http", "dax") for k in ("page", "list", "price")]
    assert sum(int(times) for _, _, times in told) == 1600
    hits = server.metric("stator_dax_cache_hits_total", cache="item", table="products")
    assert hits and hits > 400
