"""`stator dax`: in front of endpoints that are well, slow, down or another's; and as a cluster whose nodes die."""

import http.server
import json
import signal
import socket
import subprocess
import threading
import time

import pytest

import dax_client
from conftest import ROOT, create, make_client, wait_active
from dax_drivers import DaxClient, DaxError
from dax_nodes import DaxNode, Load, free_ports, free_range, run_js
from test_tls import make_certificate

KEYS = [("pk", "S", "HASH")]


@pytest.fixture
def start_node(tmp_path):
    nodes = []

    def start(*args, **kwargs):
        node = DaxNode(tmp_path, *args, **kwargs)
        nodes.append(node)
        return node

    yield start
    problems = [problem for node in nodes if (problem := node.finish())]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def make_users(client, name="users"):
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})


PUT_GET = """
const key = { pk: { S: "a" } };
await dax.putItem({ TableName: "users", Item: { ...key, n: { N: "1" }, s: { S: "x" } } });
const first = await dax.getItem({ TableName: "users", Key: key });
const second = await dax.getItem({ TableName: "users", Key: key });
const refused = await attempt(dax.putItem({ TableName: "users", Item: { ...key, n: { N: "2" } },
    ConditionExpression: "attribute_not_exists(pk)" }));
const after = await dax.getItem({ TableName: "users", Key: key });
const missing = await attempt(dax.getItem({ TableName: "nowhere", Key: key }));
const page = await dax.query({ TableName: "users", KeyConditionExpression: "pk = :p",
    ExpressionAttributeValues: { ":p": { S: "a" } } });
return { first, second, refused, after, missing, page: page.Items };
"""


def check_put_get(seen):
    item = {"pk": {"S": "a"}, "n": {"N": "1"}, "s": {"S": "x"}}
    assert seen["first"]["Item"] == item and seen["second"]["Item"] == item
    assert "ConditionalCheckFailedException" in json.dumps(seen["refused"])
    assert seen["after"]["Item"] == item  # what the table refused is in no cache
    assert "ResourceNotFoundException" in json.dumps(seen["missing"])
    assert seen["page"] == [item]


def test_a_node_in_front_of_this_server(start_server, start_node):
    server = start_server("--ephemeral")
    make_users(make_client(server.endpoint))
    node = start_node(server.endpoint)
    check_put_get(run_js(PUT_GET, node.url))
    assert node.metric("stator_dax_cache_hits_total", 'cache="item"') >= 2


@pytest.mark.figures  # the same code as with this server behind it, and a Java program that takes its time
def test_a_node_in_front_of_dynamodb_local(start_node, tmp_path):
    lib = ROOT / "build" / "java" / "dynamodb-local" / "lib"
    port = free_range(1)
    local = subprocess.Popen(
        ["java", f"-Djava.library.path={lib}", "-cp", f"{lib}/*",
         "com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-disableTelemetry", "-port", str(port)],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(1200):
            assert local.poll() is None, "DynamoDB Local ended"
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        make_users(make_client(f"http://127.0.0.1:{port}"))
        node = start_node(f"http://127.0.0.1:{port}")
        check_put_get(run_js(PUT_GET, node.url))
        assert node.metric("stator_dax_cache_hits_total", 'cache="item"') >= 2
    finally:
        local.terminate()
        local.wait(30)


class Stand(http.server.BaseHTTPRequestHandler):
    """An endpoint that answers DescribeTable and does with the rest what the test says."""

    protocol_version = "HTTP/1.1"
    do = None

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        operation = self.headers["x-amz-target"].split(".")[1]
        assert self.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=test/")
        if operation == "DescribeTable":
            self.server.described += 1
            reply = {"Table": {"TableName": body["TableName"], "TableId": "11111111-1111-1111-1111-111111111111",
                               "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                               "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]}}
            self.answer(200, reply)
        else:
            self.server.do(self, operation, body)

    def answer(self, status, reply):
        text = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


@pytest.fixture
def stand():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stand)
    server.daemon_threads = True
    server.described = 0
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()
    server.server_close()


GET = 'return await attempt(dax.getItem({ TableName: "users", Key: { pk: { S: "a" } } }));'
PUT_THEN_GET = """
const put = await attempt(dax.putItem({ TableName: "users", Item: { pk: { S: "a" }, n: { N: "2" } } }));
const get = await attempt(dax.getItem({ TableName: "users", Key: { pk: { S: "a" } } }));
return { put, get };
"""


def test_an_error_of_the_endpoint_reaches_the_client_in_its_own_words(stand, start_node):
    stand.do = lambda h, op, body: h.answer(400, {"__type": "com.amazonaws.dynamodb.v20120810#RequestLimitExceeded",
                                                  "message": "slow down, please"})
    node = start_node(stand.url)
    assert "slow down, please" in run_js(GET, node.url)["error"]


@pytest.mark.parametrize("status, body", [(500, b"{}"), (502, b"<html>bad gateway</html>"), (200, b"no JSON"), (200, b"")])
def test_an_endpoint_that_answers_nonsense_is_an_error_and_leaves_nothing_in_the_cache(stand, start_node, status, body):
    stand.do = lambda h, op, b: h.answer(status, body)
    node = start_node(stand.url)
    seen = run_js(PUT_THEN_GET, node.url)
    assert "error" in seen["get"], seen
    stand.do = lambda h, op, b: h.answer(200, {"Item": {"pk": {"S": "a"}, "n": {"N": "1"}}})
    assert run_js(GET, node.url)["Item"]["n"] == {"N": "1"}


def test_the_table_is_described_anew_when_it_may_have_changed_and_not_when_a_condition_failed(stand, start_node):
    errors = 'const e = []; for (let i = 0; i < 5; i++) e.push(await attempt(dax.getItem({ TableName: "users", Key: { pk: { S: "a" } } }))); return e;'
    node = start_node(stand.url)
    for name, anew in (("ConditionalCheckFailedException", False), ("ResourceNotFoundException", True)):
        stand.do = lambda h, op, body: h.answer(400, {"__type": f"com.amazonaws.dynamodb.v20120810#{name}", "message": name})
        before = stand.described
        assert all(name in seen["error"] for seen in run_js(errors, node.url))
        assert (stand.described - before >= 4) == anew and (anew or stand.described - before <= 2)


def test_a_write_without_an_answer_leaves_the_item_to_the_table(stand, start_node):
    node = start_node(stand.url, "--upstream-timeout", 3000)
    done = threading.Event()
    stand.do = lambda h, op, b: h.answer(200, {"Item": {"pk": {"S": "a"}, "n": {"N": "1"}}})
    assert run_js(GET, node.url)["Item"]["n"] == {"N": "1"}

    def hang_on_writes(h, op, body):
        if op == "PutItem":
            done.wait(60)
        h.answer(200, {"Item": {"pk": {"S": "a"}, "n": {"N": "2"}}} if op == "GetItem" else {})

    stand.do = hang_on_writes
    seen = run_js(PUT_THEN_GET, node.url)
    done.set()
    assert "error" in seen["put"] and seen["get"]["Item"]["n"] == {"N": "2"}
    assert node.metric("stator_dax_upstream_failures_total", "timeout") == 1


def test_an_endpoint_that_is_down_is_an_error_at_once_and_forgotten_when_it_is_back(start_server, start_node):
    port = free_range(1)
    node = start_node(f"http://127.0.0.1:{port}")
    assert "error" in run_js(GET, node.url)
    assert node.metric("stator_dax_upstream_failures_total", "connect") >= 1
    assert node.metric("stator_dax_upstream_failures_total", "timeout") == 0
    server = start_server("--ephemeral", listen=f"127.0.0.1:{port}")
    make_users(make_client(server.endpoint))
    check_put_get(run_js(PUT_GET, node.url))


def test_more_calls_than_allowed_are_throttled(stand, start_node):
    release = threading.Event()

    def hold(h, op, body):
        release.wait(60)
        h.answer(200, {})

    stand.do = hold
    node = start_node(stand.url, "--upstream-calls", 4)

    def release_when_full():
        until(lambda: node.metric("stator_dax_upstream_failures_total", "busy") >= 1)
        release.set()

    watcher = threading.Thread(target=release_when_full)
    watcher.start()
    seen = run_js("""
        const all = [];
        for (let i = 0; i < 8; i++)
            all.push(attempt(dax.getItem({ TableName: "users", Key: { pk: { S: "k" + i } } })));
        return await Promise.all(all);
    """, node.url)
    watcher.join()
    throttled = [s for s in seen if "Throttling" in json.dumps(s)]
    assert 1 <= len(throttled) <= 4, seen


# ---- clusters ----


def start_cluster(start_node, upstream, count, *args):
    ports = free_ports(count)
    names = ",".join(f"127.0.0.1:{port}" for port in ports)

    def start(i):
        return start_node(upstream, "--nodes", names, *args, listen=f"127.0.0.1:{ports[i]}")

    nodes = [start(i) for i in range(count)]
    for node in nodes:
        until(lambda: node.metric("stator_dax_peer_up") == count - 1)
    return nodes, start


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def test_what_one_node_has_the_others_get(start_server, start_node):
    server = start_server("--ephemeral")
    make_users(make_client(server.endpoint))
    nodes, _ = start_cluster(start_node, server.endpoint, 3)
    check_put_get(run_js(PUT_GET, nodes[1].url))
    for node in nodes:
        until(lambda: node.metric("stator_dax_cache_entries", 'cache="item"') == 1)
        until(lambda: node.metric("stator_dax_cache_entries", 'cache="query"') == 1)
        until(lambda: node.metric("stator_dax_attribute_lists") >= 1)


@pytest.mark.parametrize("seconds", [0, 12])  # when it stands still for longer, its connections are closed with what is on its way
def test_a_node_that_missed_copies_of_writes_forgets_what_it_has(start_server, start_node, seconds):
    server = start_server("--ephemeral")
    make_users(make_client(server.endpoint))
    nodes, _ = start_cluster(start_node, server.endpoint, 2)
    writer, reader = (dax_client.DaxClient(node.address) for node in nodes)
    writer.put("users", "a", {"n": "first"})
    assert reader.get("users", "a") == {"n": "first"}
    nodes[1].process.send_signal(signal.SIGSTOP)
    try:
        for i in range(150):  # more than is kept for a node that takes nothing; nothing is written after the one that is lost
            last = {"n": f"{i:04}" + "x" * 390_000}
            writer.put("users", "a", last)
            if nodes[0].metric("stator_dax_peer_dropped_total") > 0:
                break
        assert nodes[0].metric("stator_dax_peer_dropped_total") > 0
        time.sleep(seconds)
    finally:
        nodes[1].process.send_signal(signal.SIGCONT)
    until(lambda: reader.get("users", "a") == last)
    writer.close()
    reader.close()


def test_what_is_written_before_a_node_has_heard_of_another_is_forgotten_there(start_server, start_node):
    server = start_server("--ephemeral")
    make_users(make_client(server.endpoint))
    nodes, start = start_cluster(start_node, server.endpoint, 2)
    writer, reader = (dax_client.DaxClient(node.address) for node in nodes)
    writer.put("users", "a", {"n": "first"})
    assert reader.get("users", "a") == {"n": "first"}
    writer.close()
    nodes[0].kill()
    nodes[1].process.send_signal(signal.SIGSTOP)
    try:
        writer = dax_client.DaxClient(start(0).address)
        writer.put("users", "a", {"n": "second"})
        writer.close()
    finally:
        nodes[1].process.send_signal(signal.SIGCONT)
    until(lambda: reader.get("users", "a") == {"n": "second"})
    reader.close()


LEADER_LEAVES = pytest.mark.parametrize("how, version", [(signal.SIGKILL, "v3"), (signal.SIGTERM, "v3"), (signal.SIGKILL, "v2")])


def leader_leaves_and_comes_back(start_server, start_node, how, version):
    """What clients saw meanwhile."""
    server = start_server("--ephemeral")
    make_users(make_client(server.endpoint))
    nodes, start = start_cluster(start_node, server.endpoint, 3)
    load = Load([node.url for node in nodes], "users", 6 if how == signal.SIGKILL else 10, version)
    time.sleep(1.5)
    if how == signal.SIGKILL:
        nodes[0].kill()
    else:
        nodes[0].process.send_signal(how)
    until(lambda: nodes[1].metric("stator_dax_peer_up") == 1)
    if how == signal.SIGTERM:
        nodes[0].process.wait(30)
    else:
        time.sleep(1)
    back = start(0)
    until(lambda: back.metric("stator_dax_peer_up") == 2)
    seen = load.result()
    print(seen)
    assert "127.0.0.1:%s leads" % nodes[0].address.split(":")[1] not in back.log().splitlines()[-1]
    return seen


@LEADER_LEAVES
def test_clients_go_on_when_the_leader_dies_and_when_it_comes_back(start_server, start_node, how, version):
    seen = leader_leaves_and_comes_back(start_server, start_node, how, version)
    assert seen["wrong"] == 0, seen
    assert went_on(seen), seen


@pytest.mark.figures
@LEADER_LEAVES
def test_clients_hardly_notice_that_the_leader_dies(start_server, start_node, how, version):
    hardly_noticed(leader_leaves_and_comes_back(start_server, start_node, how, version))


def went_on(seen):
    """Also when all is over, and more than what comes in one piece."""
    return all(seen[kind]["later_ok"] >= 20 for kind in ("read", "write"))


def hardly_noticed(seen):
    longest_ms = 2000 + 10 * seen["stall_ms"]  # as long as this machine kept the client waiting for nothing at all
    assert seen["wrong"] == 0, seen
    assert seen["read"]["gap_ms"] < longest_ms and seen["write"]["gap_ms"] < longest_ms, seen
    assert seen["read"]["ok"] > 200 and seen["write"]["ok"] > 100, seen
    # the client loses the calls that are under way when it notices that a node is gone, six at most at a time, and again
    # when its connections turn out to be dead
    assert seen["read"]["failed"] + seen["write"]["failed"] <= 12, seen


def test_a_stranger_does_not_get_in_among_the_nodes(start_server, start_node, tmp_path):
    server = start_server("--ephemeral")
    secrets = []
    for text in ("0123456789abcdef\n", "another secret of some length\n"):
        path = tmp_path / f"secret-{len(secrets)}"
        path.write_text(text)
        path.chmod(0o600)
        secrets.append(path)
    ports = free_ports(2)
    names = ",".join(f"127.0.0.1:{port}" for port in ports)
    a = start_node(server.endpoint, "--nodes", names, "--cluster-secret", secrets[0], listen=f"127.0.0.1:{ports[0]}")
    start_node(server.endpoint, "--nodes", names, "--cluster-secret", secrets[1], listen=f"127.0.0.1:{ports[1]}")
    until(lambda: a.metric("stator_dax_peers_refused_total") >= 1)
    assert a.metric("stator_dax_peer_up") == 0
    for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, b"\x05\x00\x00\x00\x05abcd", b"\x00" * 64):
        with socket.create_connection(("127.0.0.1", ports[0] + 10000), 60) as s:
            s.sendall(noise)
            try:
                assert s.recv(100) == b""
            except ConnectionResetError:
                pass
    assert a.metric("stator_dax_peer_up") == 0


def start_tls_cluster(start_node, upstream, folder, count):
    """Nodes that are reached by TLS, and what clients need to trust them."""
    cert, key = make_certificate(folder, "dax")
    ports = free_ports(count)
    names = ",".join(f"127.0.0.1:{port}" for port in ports)
    nodes = [
        start_node(upstream, "--nodes", names, "--node", f"127.0.0.1:{port}", "--tls-listen", f"127.0.0.1:{port}",
                   "--tls-cert", cert, "--tls-key", key)
        for port in ports
    ]
    for node in nodes:
        until(lambda: node.metric("stator_dax_peer_up") == count - 1)
    return nodes, [f"daxs://127.0.0.1:{port}" for port in ports], trust_in(cert, folder)


def trust_in(cert, folder):
    store = folder / "trust.p12"
    subprocess.run(["keytool", "-importcert", "-noprompt", "-alias", "dax", "-file", cert, "-keystore", store, "-storepass", "changeit"],
                   check=True, capture_output=True)
    return {"NODE_EXTRA_CA_CERTS": str(cert), "SSL_CERT_FILE": str(cert),
            "JAVA_TOOL_OPTIONS": f"-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword=changeit"}


@pytest.mark.figures
@pytest.mark.parametrize("version", ["v2", "v3"])
def test_clients_of_a_tls_cluster_go_on_when_a_node_dies(start_server, start_node, tmp_path, version):
    server = start_server("--ephemeral")
    make_users(make_client(server.endpoint))
    nodes, urls, trust = start_tls_cluster(start_node, server.endpoint, tmp_path, 3)
    load = Load(urls[:1], "users", 8, version, trust)  # by TLS a client takes one address
    time.sleep(1.5)
    nodes[1].kill()
    seen = load.result()
    assert seen["wrong"] == 0, seen
    assert seen["read"]["gap_ms"] < 6000 and seen["write"]["gap_ms"] < 6000, seen
    assert seen["read"]["ok"] > 200 and seen["write"]["ok"] > 100, seen


@pytest.mark.figures
@pytest.mark.parametrize("kind, tls", [("go1", False), ("go2", False), ("python", False), ("java", False),
                                       ("go1", True), ("go2", True), ("python", True), ("java", True)])
def test_other_clients_go_on_when_a_node_dies(start_server, start_node, tmp_path, kind, tls):
    """Until they look for the nodes again these may try the dead one: the Go clients every 4 s, unless they are told, as here.
    The Java client was seen to wait for an answer of the dead one as long as a request may take, a minute unless it is told; and
    its threads may lock each other up for good when a node leaves, which its driver is told to avoid (Driver.neverLockUp)."""
    server = start_server("--ephemeral")
    make_users(make_client(server.endpoint))
    if tls:
        nodes, urls, env = start_tls_cluster(start_node, server.endpoint, tmp_path, 2)
    else:
        nodes, _ = start_cluster(start_node, server.endpoint, 2)
        urls, env = [nodes[0].url], {}
    env = {"DAX_REFRESH_MS": "1000", "DAX_REQUEST_MS": "2000", "DAX_NODES_LEAVE": "1", **env}
    with DaxClient(kind, urls[0], env=env) as client:
        client.call("putItem", {"TableName": "users", "Item": {"pk": {"S": "a"}, "n": {"N": "0"}}})
        failed, n, gap, last, after = 0, 0, 0, time.monotonic(), 0
        killed = None
        while killed is None or time.monotonic() < killed + 7:
            n += 1
            try:
                client.call("putItem", {"TableName": "users", "Item": {"pk": {"S": "a"}, "n": {"N": str(n)}}})
                item = client.call("getItem", {"TableName": "users", "Key": {"pk": {"S": "a"}}})["Item"]
                assert 0 <= n - int(item["n"]["N"]) <= 20 + failed  # another node may be behind by a moment
                gap, last = max(gap, time.monotonic() - last), time.monotonic()
                after += killed is not None
            except DaxError:
                failed += 1
            if killed is None and n == 50:
                killed = time.monotonic()
                nodes[1].kill()  # not the one of the URL, which these clients ask again and again for the nodes
            time.sleep(0.005)
        last = time.monotonic() - last
    print(f"{kind} tls={tls}: longest gap {gap:.2f} s, {failed} calls failed, {n} made")
    assert after > 20 and gap < 6 and last < 2, (gap, last, failed, after)
