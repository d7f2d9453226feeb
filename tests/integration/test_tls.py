"""TLS: who may connect, with which versions, and a certificate that changes."""

import json
import signal
import socket
import ssl
import subprocess
import time

import pytest
from conftest import make_client


def make_certificate(folder, name):
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )
    return cert, key


@pytest.fixture
def certificate(tmp_path):
    return make_certificate(tmp_path, "one")


def connect(server, cafile, **settings):
    context = ssl.create_default_context(cafile=cafile)
    for name, value in settings.items():
        setattr(context, name, value)
    alpn = settings.pop("alpn", None)
    if alpn:
        context.set_alpn_protocols(alpn)
    raw = socket.create_connection((server.host, server.port), timeout=60)
    return context.wrap_socket(raw, server_hostname="localhost")


def test_sdk_over_tls(start_server, certificate):
    cert, key = certificate
    server = start_server("--ephemeral", "--tls-cert", cert, "--tls-key", key, "--control-plane-delay", "0")
    assert server.endpoint.startswith("https://")
    client = make_client(server.endpoint, verify=str(cert))
    from conftest import create

    name = create(client, "pk:S")
    big = "x" * 300_000
    for i in range(20):
        client.put_item(TableName=name, Item={"pk": {"S": str(i)}, "x": {"S": big}})
    assert client.get_item(TableName=name, Key={"pk": {"S": "7"}})["Item"]["x"]["S"] == big


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_spoken(start_server, certificate, version):
    cert, key = certificate
    server = start_server("--ephemeral", "--tls-cert", cert, "--tls-key", key)
    with connect(server, cert, minimum_version=version, maximum_version=version) as s:
        assert s.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
        s.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert s.recv(4096).startswith(b"HTTP/1.1 200")


def test_cleartext_and_old_versions_are_refused(start_server, certificate):
    cert, key = certificate
    server = start_server("--ephemeral", "--tls-cert", cert, "--tls-key", key)
    with socket.create_connection((server.host, server.port), timeout=60) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        try:
            assert not plain.recv(4096).startswith(b"HTTP/1.1 200")
        except ConnectionError:
            pass
    old = subprocess.run(
        ["openssl", "s_client", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-connect", f"{server.host}:{server.port}"],
        input=b"", capture_output=True,
    )
    assert b"Cipher is (NONE)" in old.stdout + old.stderr or old.returncode != 0


def test_http2_by_alpn(start_server, certificate):
    cert, key = certificate
    server = start_server("--ephemeral", "--tls-cert", cert, "--tls-key", key)
    context = ssl.create_default_context(cafile=cert)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection((server.host, server.port), timeout=60) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as s:
            assert s.selected_alpn_protocol() == "h2"
    out = subprocess.run(
        ["curl", "-sS", "--http2", "--cacert", cert, "-w", "\n%{http_version}", server.endpoint + "/health"],
        capture_output=True, text=True, check=True,
    ).stdout
    body, version = out.rsplit("\n", 1)
    assert json.loads(body)["version"] and version == "2"


def test_sighup_reads_the_certificate_again(start_server, tmp_path):
    one, two = make_certificate(tmp_path, "first"), make_certificate(tmp_path, "second")
    cert, key = tmp_path / "live.pem", tmp_path / "live.key"

    def install(pair):
        cert.write_bytes(pair[0].read_bytes())
        key.write_bytes(pair[1].read_bytes())

    def subject():
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection((server.host, server.port), timeout=60) as raw, context.wrap_socket(raw) as s:
            der = s.getpeercert(binary_form=True)
        return "first" if der == ssl.PEM_cert_to_DER_cert(one[0].read_text()) else "second"

    install(one)
    server = start_server("--ephemeral", "--tls-cert", cert, "--tls-key", key)
    assert subject() == "first"
    kept = connect(server, one[0])
    install(two)
    server.signal(signal.SIGHUP)
    deadline = time.monotonic() + 60
    while subject() != "second":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    kept.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")  # the old connection goes on
    assert kept.recv(4096).startswith(b"HTTP/1.1 200")
    kept.close()
    key.write_text("no key")
    server.signal(signal.SIGHUP)
    deadline = time.monotonic() + 60
    while "the old certificate stays in use" not in server.log():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert subject() == "second"


def test_a_broken_certificate_is_refused_at_start(tmp_path):
    from stator_server import binary, clean_environment

    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    out = subprocess.run(
        [binary(), "serve", "--ephemeral", "--listen", "127.0.0.1:0", "--tls-cert", bad, "--tls-key", bad],
        capture_output=True, text=True, timeout=120, env=clean_environment(),
    )
    assert out.returncode == 1 and str(bad) in out.stderr
