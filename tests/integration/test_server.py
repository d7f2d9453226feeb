"""The program itself: options, data directory, signals, health, figures."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import ROOT, create, make_client
from raw_http import Connection, request_bytes
from stator_server import binary, clean_environment


def run(*args, env=None, seconds=120):
    return subprocess.run(
        [binary(), *map(str, args)], capture_output=True, text=True, timeout=seconds, env=clean_environment(env), stdin=subprocess.DEVNULL
    )


# ---- options ----


def test_help_is_for_people():
    for args in (("--help",), ("help",), ()):
        out = run(*args)
        assert out.returncode == 0 and "serve" in out.stdout and "bench" in out.stdout
    for command in ("serve", "bench"):
        out = run(command, "--help")
        assert out.returncode == 0
        assert "Usage: stator" in out.stdout and "Examples" in out.stdout
        assert max(map(len, out.stdout.splitlines())) <= 120


def test_version():
    assert re.fullmatch(r"stator \d+\.\d+\.\d+\n", run("--version").stdout)


@pytest.mark.parametrize(
    "args, message",
    [
        (("serv",), 'did you mean "serve"'),
        (("serve", "--lissten", "x"), "did you mean --listen?"),
        (("serve", "--nothing-like-it"), "--help"),
        (("serve", "extra"), "unexpected argument"),
        (("serve", "--data"), "needs a value"),
        (("serve", "--threads", "many"), "not a number"),
        (("serve", "--threads", "-1"), "not between"),
        (("serve", "--write-buffer-bytes", "128K"), "not between 262144 and"),  # the storage cannot begin with less
        (("serve", "--cache-bytes", "64Q"), "not a size"),
        (("serve", "--log-format", "xml"), "not one of text, json"),
        (("serve", "--ephemeral=maybe"), "neither true nor false"),
        (("serve", "--ephemeral", "--data", "/tmp/x"), "choose one"),
        (("serve", "--region", "Up/Down"), "no region name"),
        (("serve", "--region", "a", "--region", "a"), "given twice"),
        (("serve", "--account", "12"), "12 digits"),
        (("serve", "--tls-cert", "x"), "belong together"),
        (("bench", "--threads", "8", "--connections", "2"), "--connections"),
        (("bench", "--seconds", "soon"), "not a number"),
        (("bench", "--seconds", "nan"), "not between 0.01 and"),
        (("bench", "--redis", "127.0.0.1:1", "--workload", "query"), "--redis knows only"),
        (("bench", "--redis", "127.0.0.1:1", "--tables", "2"), "only one table"),
    ],
)
def test_wrong_calls_are_explained(args, message):
    out = run(*args)
    assert out.returncode == 2
    assert message in out.stderr and out.stdout == ""


def test_wrong_variables_are_explained():
    out = run("serve", env={"STATOR_THREADS": "many"})
    assert out.returncode == 2 and "STATOR_THREADS" in out.stderr


def test_every_option_is_a_variable(tmp_path):
    """A wrong value of each is noticed; the few that take any text are used by other tests."""
    sections = re.split(r"^## `?stator ([a-z ]+)`?$", (ROOT / "docs" / "OPTIONS.md").read_text(), flags=re.MULTILINE)
    commands = dict(zip(sections[1::2], sections[2::2]))
    row = re.compile(r"^\| `(--[-a-z]+)(?: [^`]*)?` \| `(STATOR_\w+)` ", re.MULTILINE)
    rows = row.findall(commands["serve"])
    assert len(rows) > 20
    assert all(v == "STATOR_DAX_" + o.strip("-").upper().replace("-", "_") for o, v in row.findall(commands["dax"]))
    free = {"--data", "--region"}
    for option, variable in rows:
        assert variable == "STATOR_" + option.strip("-").upper().replace("-", "_")
        if option not in free:
            out = run("serve", env={variable: "maybe"})
            assert out.returncode == 2 and (variable in out.stderr or option in out.stderr), (variable, out.stderr)


def test_options_from_the_environment(start_server):
    server = start_server(env={"STATOR_EPHEMERAL": "yes", "STATOR_REGION": "eu-west-1,eu-north-1", "STATOR_CACHE_BYTES": "8M"})
    assert make_client(server.endpoint, region="eu-north-1").list_tables()["TableNames"] == []
    assert "eu-west-1" in json.dumps(server.health())


def test_docs_list_every_option():
    checked = subprocess.run([ROOT / "scripts" / "readme-options", "--check", binary()], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_docs_list_every_member_of_the_api():
    checked = subprocess.run([ROOT / "scripts" / "compatibility", "--check"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


# ---- data directory ----


def test_a_second_server_is_refused(start_server, tmp_path):
    server = start_server("--data", tmp_path / "d")
    out = run("serve", "--data", tmp_path / "d", "--listen", "127.0.0.1:0")
    assert out.returncode == 1
    assert "in use" in out.stderr and str(server.pid) in out.stderr
    assert server.health()


def test_a_newer_format_is_refused(tmp_path):
    (tmp_path / "VERSION").write_text("stator data format 999\n")
    out = run("serve", "--data", tmp_path, "--listen", "127.0.0.1:0")
    assert out.returncode == 1 and "newer" in out.stderr and "999" in out.stderr


def test_strangers_files_are_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    out = run("serve", "--data", tmp_path, "--listen", "127.0.0.1:0")
    assert out.returncode == 1 and "not empty" in out.stderr
    assert [p.name for p in tmp_path.iterdir() if p.name != "LOCK"] == ["letter.txt"]


def test_a_missing_directory_is_made(start_server, tmp_path):
    server = start_server("--data", tmp_path / "deep" / "er" / "data", "--region", "us-east-1", "--region", "eu-west-1")
    assert server.stop() == 0
    found = {p.name for p in (tmp_path / "deep" / "er" / "data").iterdir()}
    assert {"VERSION", "LOCK", "us-east-1", "eu-west-1"} <= found


def test_a_taken_port_is_explained(start_server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        out = run("serve", "--ephemeral", "--listen", f"127.0.0.1:{port}")
    assert out.returncode == 1 and str(port) in out.stderr


def test_ephemeral_leaves_nothing(start_server, tmp_path):
    folder = tmp_path / "tmp"
    folder.mkdir()
    server = start_server("--ephemeral", env={"TMPDIR": str(folder)})
    create(make_client(server.endpoint), "pk:S")
    assert list(folder.iterdir())
    assert server.stop() == 0
    assert list(folder.iterdir()) == []


def test_data_is_there_after_a_restart(start_server, tmp_path):
    server = start_server("--data", tmp_path / "d", "--control-plane-delay", "0")
    client = make_client(server.endpoint)
    name = create(client, "pk:S", Tags=[{"Key": "k", "Value": "v"}])
    client.put_item(TableName=name, Item={"pk": {"S": "a"}, "n": {"N": "1.50"}})
    before = client.describe_table(TableName=name)["Table"]
    assert server.stop() == 0
    client = make_client(start_server("--data", tmp_path / "d").endpoint)
    assert client.get_item(TableName=name, Key={"pk": {"S": "a"}})["Item"] == {"pk": {"S": "a"}, "n": {"N": "1.5"}}
    after = client.describe_table(TableName=name)["Table"]
    assert (after["TableId"], after["CreationDateTime"]) == (before["TableId"], before["CreationDateTime"])
    assert after["ItemCount"] == 1
    assert client.list_tags_of_resource(ResourceArn=after["TableArn"])["Tags"] == [{"Key": "k", "Value": "v"}]


# ---- signals ----


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(start_server, number):
    server = start_server("--ephemeral", "--drain-timeout", "600000")
    idle = Connection(server)
    server.signal(number)
    assert server.wait() == 0  # and does not wait for who asks nothing
    assert idle.is_closed()


def test_what_is_in_flight_is_answered(start_server, tmp_path):
    server = start_server("--data", tmp_path / "d", "--control-plane-delay", "0", "--min-free", "1M")
    client = make_client(server.endpoint)
    name = create(client, "pk:S")
    acknowledged, broken = [], []

    def write(worker):
        i = 0
        with Connection(server) as c:
            while True:
                key = f"{worker}-{i}"
                try:
                    answer = c.call("PutItem", {"TableName": name, "Item": {"pk": {"S": key}}})
                except (EOFError, ConnectionError) as end:
                    if end.args and isinstance(end.args[0], bytes) and end.args[0]:
                        broken.append(end.args[0])
                    return
                assert answer.status == 200
                acknowledged.append(key)
                i += 1

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while len(acknowledged) <= 20:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert server.stop() == 0
    for thread in threads:
        thread.join()
    assert not broken, "an answer was cut"
    client = make_client(start_server("--data", tmp_path / "d").endpoint)
    found = {item["pk"]["S"] for page in client.get_paginator("scan").paginate(TableName=name) for item in page["Items"]}
    assert set(acknowledged) <= found


def owes(server, seen):
    """Answers that nobody reads: the system takes no more of them, and the server makes no more."""
    seen.append(server.metric("stator_http_unsent_bytes"))
    time.sleep(0.2)
    return seen[-1] > 1_000_000 and seen[-3:] == [seen[-1]] * 3


def test_a_second_signal_ends_it_at_once(start_server):
    server = start_server("--ephemeral", "--control-plane-delay", "0", "--drain-timeout", "600000", "--write-timeout", "600000")
    client = make_client(server.endpoint)
    name = create(client, "pk:S")
    client.put_item(TableName=name, Item={"pk": {"S": "a"}, "x": {"S": "y" * 390_000}})
    deaf = Connection(server)
    deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.send(request_bytes(deaf.host, "GetItem", {"TableName": name, "Key": {"pk": {"S": "a"}}}) * 40)
    seen = []
    wait_until(lambda: owes(server, seen))
    server.signal(signal.SIGTERM)
    wait_until(lambda: "finishing what is in progress" in server.log())
    time.sleep(0.5)
    assert server.process.poll() is None, "it should wait for the answers in progress"
    server.expected_code = 1
    server.signal(signal.SIGTERM)
    assert server.wait(50) == 1  # sooner than --drain-timeout
    deaf.socket.close()


def test_the_drain_timeout_ends_the_wait(start_server):
    server = start_server("--ephemeral", "--control-plane-delay", "0", "--drain-timeout", "300", "--write-timeout", "600000")
    client = make_client(server.endpoint)
    name = create(client, "pk:S")
    client.put_item(TableName=name, Item={"pk": {"S": "a"}, "x": {"S": "y" * 390_000}})
    deaf = Connection(server)
    deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.send(request_bytes(deaf.host, "GetItem", {"TableName": name, "Key": {"pk": {"S": "a"}}}) * 40)
    seen = []
    wait_until(lambda: owes(server, seen))
    assert server.stop() == 0
    deaf.socket.close()


# ---- what it tells ----


def big_scans(server, connections, each, size=20_000, items=60):
    """So many connections with so many scans of 1 MB in progress, none of them read; and how long they would take on this machine."""
    with Connection(server) as c:
        create(make_client(server.endpoint), "pk:S", name="big")
        for i in range(items):
            item = {"pk": {"S": str(i)}, "x": {"S": "x" * size}, "l": {"L": [{"NULL": True}] * 5000}}
            assert c.call("PutItem", {"TableName": "big", "Item": item}).status == 200
        scan = request_bytes(c.host, "Scan", {"TableName": "big", "FilterExpression": "attribute_exists(l[4999])"})
        began = time.monotonic()
        c.send(scan)
        assert c.read().status == 200
        seconds = (time.monotonic() - began) * connections * each
    sockets = [socket.create_connection((server.host, server.port)) for _ in range(connections)]
    for s in sockets:
        s.sendall(scan * each)
    return sockets, seconds


def test_the_drain_timeout_is_the_end_also_of_what_is_queued(start_server):
    server = start_server("--ephemeral", "--control-plane-delay", "0", "--drain-timeout", "200", "--io-threads", "1")
    sockets, queue_seconds = big_scans(server, 60, 60)
    wait_until(lambda: server.metric("stator_requests_in_progress") > 60)
    began = time.monotonic()
    assert server.stop(120) == 0
    assert time.monotonic() - began < max(10, queue_seconds / 4)
    for s in sockets:
        s.close()


def test_scans_of_clients_that_left_are_not_begun(start_server):
    server = start_server("--ephemeral", "--control-plane-delay", "0", "--io-threads", "1")
    sockets, queue_seconds = big_scans(server, 60, 60)
    for s in sockets:
        s.close()
    wait_until(lambda: server.metric("stator_requests_in_progress") == 0, min(200, max(10, queue_seconds / 4)))


@pytest.mark.figures
def test_memory_of_a_burst_is_given_back(start_server):
    server = start_server("--ephemeral", "--control-plane-delay", "0")
    sockets, _ = big_scans(server, 20, 20)
    deadline = time.monotonic() + 120
    while server.metric("stator_requests_in_progress") > 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.memory_bytes() > 200 << 20
    for s in sockets:
        s.close()
    while server.memory_bytes() > 100 << 20:
        assert time.monotonic() < deadline, f"{server.memory_bytes() >> 20} MiB are kept"
        time.sleep(0.2)


def test_health(server):
    health = server.health()
    assert health["http"] == f"{server.host}:{server.port}" or health["addresses"]["http"] == f"{server.host}:{server.port}"
    assert health["version"]
    assert "us-east-1" in json.dumps(health)


def test_metrics_count_requests(start_server):
    server = start_server("--ephemeral")
    client = make_client(server.endpoint)
    for _ in range(3):
        client.list_tables()
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_item(TableName="no-such-table", Key={"pk": {"S": "a"}})
    text = server.get("/metrics")
    assert server.metric("stator_requests_total", operation="ListTables") == 3
    assert server.metric("stator_errors_total", operation="GetItem") == 1
    assert server.metric("stator_request_seconds_count", operation="ListTables") == 3
    assert "stator_engine_" in text
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .*|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [-+.\w]+', line), line


def test_log_lines_are_json(start_server, tmp_path):
    server = start_server("--data", tmp_path / "d", "--log-level", "debug")
    make_client(server.endpoint).list_tables()
    server.stop()
    lines = server.log().splitlines()
    assert lines and all(isinstance(json.loads(line), dict) for line in lines)


def test_text_ready_shows_what_to_type(tmp_path):
    process = subprocess.Popen(
        [binary(), "serve", "--ephemeral", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean_environment()
    )
    first = process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    text = first + process.stdout.read()
    assert process.wait(120) == 0
    endpoint = re.search(r"ready at (http://\S+:\d+)", text)[1]
    assert text.count(f"--endpoint-url {endpoint}") == 3


@pytest.mark.figures
def test_ready_and_small(start_server, tmp_path):
    """Ready in under 50 ms on an empty directory, idle under 30 MB."""
    ready = []
    crowd = max(1, os.getloadavg()[0] / os.cpu_count())  # other programs that want the CPUs at the same time
    for i in range(10):
        server = start_server("--data", tmp_path / f"d{i}")
        ready.append(server.ready["ready_us"] / 1000)
        memory = server.memory_bytes() / 1e6
        server.stop()
        if min(ready) < 50:
            break
    assert min(ready) < 50 * crowd, ready
    assert memory < 30, memory


def test_bench_measures(server, tmp_path):
    for workload in ("get", "put", "update", "query", "batchwrite", "mix"):
        for seconds in (1, 20):  # a slow machine gets another chance
            out = run("bench", "--endpoint", server.endpoint, "--workload", workload, "--seconds", seconds, "--warmup", 100, "--items", 200, "--query-items", 20, "--connections", 8, "--table", f"bench-{os.getpid()}", "--json")
            assert out.returncode == 0, out.stderr
            result = json.loads(out.stdout)
            assert result["failures"] == 0
            if result["requests"] > 50:
                break
        assert result["requests"] > 50
        assert 0 < result["latency_us"]["p50"] <= result["latency_us"]["p99"] <= result["latency_us"]["max"]
    assert not any(name.startswith("bench-") for name in make_client(server.endpoint).list_tables()["TableNames"])


def test_bench_spreads_over_tables(server):
    name = f"spread-{os.getpid()}"
    options = ["--endpoint", server.endpoint, "--table", name, "--tables", 3, "--seconds", 0.1, "--warmup", 0, "--connections", 4]
    out = run("bench", *options, "--workload", "mix", "--items", 30, "--query-items", 10, "--keep", "--json")
    assert out.returncode == 0, out.stderr
    client = make_client(server.endpoint)
    tables = [t for t in client.list_tables()["TableNames"] if t.startswith(name)]
    assert tables == [f"{name}{of}" for of in ("", "-2", "-3", "-query", "-query-2", "-query-3")]
    assert [client.scan(TableName=t, Select="COUNT")["Count"] for t in tables] == [30] * 6
    run("bench", *options, "--workload", "put", "--items", 30)  # they were there before: it deletes none
    assert [t for t in client.list_tables()["TableNames"] if t.startswith(name)] == tables
    for table in tables:
        client.delete_table(TableName=table)


def test_bench_tells_the_processor_time_of_a_process(server):
    out = run("bench", "--endpoint", server.endpoint, "--seconds", 1, "--items", 100, "--connections", 4, "--pid", server.pid, "--json")
    assert out.returncode == 0, out.stderr
    assert 0 < json.loads(out.stdout)["pid_cpu_us_per_request"] < 1e5
    out = run("bench", "--endpoint", server.endpoint, "--pid", 2**31 - 1)
    assert out.returncode == 1 and "no process" in out.stderr


def test_bench_keeps_a_rate(server):
    for seconds in (2, 12):  # a machine that was busy for a moment gets another chance
        out = run("bench", "--endpoint", server.endpoint, "--rate", 200, "--seconds", seconds, "--warmup", 200, "--items", 100, "--connections", 4, "--json")
        assert out.returncode == 0, out.stderr
        if 180 <= (rate := json.loads(out.stdout)["requests_per_second"]) <= 220:
            break
    assert 180 <= rate <= 220


def test_bench_raw(server):
    out = run("bench", "--endpoint", server.endpoint, "--raw-get", "/health", "--seconds", 1, "--warmup", 0, "--connections", 4, "--json")
    assert out.returncode == 0 and json.loads(out.stdout)["requests"] > 50


def test_bench_tells_what_failed(server, start_server):
    out = run("bench", "--endpoint", "http://127.0.0.1:1", "--seconds", 1)
    assert out.returncode == 1 and "cannot connect" in out.stderr


def test_metrics_of_several_regions_are_one_exposition(start_server):
    server = start_server("--region", "us-east-1", "--region", "eu-central-1")
    families, current = set(), None
    samples = set()
    for line in server.get("/metrics").splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in families, f"{name} comes in two pieces"
            families.add(name)
            current = name
        elif line and not line.startswith("#"):
            sample = line.rsplit(" ", 1)[0]
            assert sample not in samples, f"{sample} comes twice"
            assert sample.startswith(current), f"{sample} stands under {current}"
            samples.add(sample)
    for region in ("us-east-1", "eu-central-1"):
        assert any(s.startswith("stator_engine_") and f'region="{region}"' in s for s in samples)
