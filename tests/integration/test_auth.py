"""--auth sigv4: who is known gets in, who is not does not."""

import datetime
import os
import subprocess

import pytest
from conftest import make_client
from raw_http import Connection, sign
from stator_server import binary, clean_environment

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"# who may come in\n{KEY} {SECRET}\n\nsecond\tsecret-of-second  \n")
    os.chmod(path, 0o600)
    return path


@pytest.fixture
def secured(start_server, keys):
    return start_server("--ephemeral", "--auth", "sigv4", "--credentials", keys)


def test_known_credentials(secured):
    make_client(secured.endpoint, access_key=KEY, secret_key=SECRET).list_tables()
    make_client(secured.endpoint, access_key="second", secret_key="secret-of-second").list_tables()


def test_unknown_key(secured, failing):
    with failing("UnrecognizedClientException", "The security token included in the request is invalid."):
        make_client(secured.endpoint, access_key="stranger", secret_key=SECRET).list_tables()


def test_wrong_secret(secured, failing):
    with failing("InvalidSignatureException", "The request signature we calculated does not match the signature you provided."):
        make_client(secured.endpoint, access_key=KEY, secret_key="wrong").list_tables()


def call(server, change=None, **kwargs):
    def signer(headers, body, **more):
        signed = sign(headers, body, secret=SECRET, access_key=KEY, **more, **kwargs)
        return change(signed) if change else signed

    with Connection(server) as c:
        return c.call("ListTables", {}, signer=signer)


def test_what_was_signed_cannot_be_changed(secured):
    assert call(secured).status == 200
    for name, value in (("x-amz-target", "DynamoDB_20120810.DescribeLimits"), ("x-amz-date", "20200101T000000Z")):
        answer = call(secured, lambda headers: {**headers, name: value})
        assert (answer.status, answer.error) == (400, "InvalidSignatureException"), name
    answer = call(secured, lambda headers: {**headers, "x-amz-extra": "unsigned"})
    assert (answer.status, answer.error) == (400, "InvalidSignatureException")


def test_the_body_is_signed(secured):
    with Connection(secured) as c:
        body = b'{"Limit":1}'
        headers = sign({"host": c.host, "content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.ListTables"}, body, secret=SECRET, access_key=KEY)
        answer = c.call("ListTables", b'{"Limit":2}', signer=None, headers=headers)
        assert (answer.status, answer.error) == (400, "InvalidSignatureException")


@pytest.mark.parametrize("minutes, accepted", [(-4, True), (4, True), (-20, False), (20, False)])
def test_clocks_must_agree(secured, minutes, accepted):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    answer = call(secured, when=when)
    assert (answer.status == 200) == accepted
    if not accepted:
        assert answer.error == "InvalidSignatureException"


def test_health_needs_no_signature(secured):
    assert secured.health()["version"]


def start_refused(*args, env=None):
    out = subprocess.run([binary(), "serve", *map(str, args)], capture_output=True, text=True, timeout=30, env=clean_environment(env))
    assert out.returncode == 2, out
    return out.stderr


def test_other_addresses_need_signatures(keys):
    assert "--auth sigv4" in start_refused("--ephemeral", "--listen", "0.0.0.0:0")
    assert "--auth sigv4" in start_refused("--ephemeral", "--listen", ":0")
    assert "--auth sigv4" in start_refused("--ephemeral", "--listen", "127.example.com:0")


def test_with_signatures_any_address_is_fine(start_server, keys):
    server = start_server("--ephemeral", "--auth", "sigv4", "--credentials", keys, listen="0.0.0.0:0")
    make_client(f"http://127.0.0.1:{server.port}", access_key=KEY, secret_key=SECRET).list_tables()


def test_credentials_files_are_checked(tmp_path, keys):
    assert "--credentials" in start_refused("--ephemeral", "--auth", "sigv4")
    assert "--auth sigv4" in start_refused("--ephemeral", "--credentials", keys)
    assert "No such file" in start_refused("--ephemeral", "--auth", "sigv4", "--credentials", tmp_path / "none")
    os.chmod(keys, 0o644)
    assert "chmod 600" in start_refused("--ephemeral", "--auth", "sigv4", "--credentials", keys)
    for text, message in (("", "no credentials"), ("one\n", "line 1 is not"), ("\na b c\n", "line 2 is not"), ("a b\na c\n", "access key a is there twice")):
        keys.write_text(text)
        os.chmod(keys, 0o600)
        assert message in start_refused("--ephemeral", "--auth", "sigv4", "--credentials", keys)
