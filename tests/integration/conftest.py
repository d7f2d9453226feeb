"""Real clients against a real server, each with its own port and folder.

STATOR_BIN names the server (build/stator by default). STATOR_ENDPOINT, when set, names an endpoint that runs already, such as
the original's; tests that need a server of their own are skipped then.
"""

import itertools
import os
import pathlib
import time
import uuid

import boto3
import pytest
from botocore.config import Config

from stator_server import Server

ROOT = pathlib.Path(__file__).resolve().parents[2]
REGION = "us-east-1"


def pytest_configure(config):
    config.addinivalue_line("markers", "figures: measures time or memory; meaningless in sanitizer builds")


def make_client(endpoint, region=REGION, **kwargs):
    """A boto3 client that does not retry, so that every refusal is seen."""
    settings = dict(
        retries={"total_max_attempts": 1},
        parameter_validation=kwargs.pop("parameter_validation", True),
        max_pool_connections=64,
        read_timeout=60,
    )
    return boto3.client(
        kwargs.pop("service", "dynamodb"),
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=kwargs.pop("access_key", "test"),
        aws_secret_access_key=kwargs.pop("secret_key", "test"),
        config=Config(**settings),
        **kwargs,
    )


@pytest.fixture(scope="session")
def start_server_session(tmp_path_factory):
    servers = []

    def start(*args, **kwargs):
        server = Server(tmp_path_factory.mktemp("server"), *args, **kwargs)
        servers.append(server)
        return server

    yield start
    problems = [problem for server in servers if (problem := server.finish())]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture
def start_server(tmp_path):
    """start_server("--option", ...) -> a server of this test's own; ended, and looked at, with the test."""
    if os.environ.get("STATOR_ENDPOINT"):
        pytest.skip("needs a server of its own")
    servers = []

    def start(*args, **kwargs):
        server = Server(tmp_path, *args, **kwargs)
        servers.append(server)
        return server

    yield start
    problems = [problem for server in servers if (problem := server.finish())]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture(scope="session")
def server(start_server_session):
    if os.environ.get("STATOR_ENDPOINT"):
        pytest.skip("needs a server of its own")
    return start_server_session("--ephemeral", "--region", REGION, "--region", "eu-west-1", "--control-plane-delay", "10")


@pytest.fixture(scope="session")
def endpoint(request):
    return os.environ.get("STATOR_ENDPOINT") or request.getfixturevalue("server").endpoint


@pytest.fixture(scope="session")
def client(endpoint):
    return make_client(endpoint)


@pytest.fixture(scope="session")
def loose_client(endpoint):
    """Sends what botocore would refuse to send."""
    return make_client(endpoint, parameter_validation=False)


@pytest.fixture(scope="session")
def resource(endpoint):
    return boto3.resource(
        "dynamodb",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


counter = itertools.count()


def unique_name(prefix="t"):
    return f"{prefix}-{uuid.uuid4().hex[:8]}-{next(counter)}"


def create(client, keys, name=None, **kwargs):
    """create(client, "pk:S,sk:N") makes an on-demand table and waits until it is ACTIVE; returns its name."""
    name = name or unique_name()
    attributes = [part.split(":") for part in keys.split(",")]
    extra = kwargs.pop("attributes", {})
    client.create_table(
        TableName=name,
        BillingMode=kwargs.pop("BillingMode", "PAY_PER_REQUEST"),
        AttributeDefinitions=[
            {"AttributeName": n, "AttributeType": t} for n, t in [*attributes, *extra.items()]
        ],
        KeySchema=[
            {"AttributeName": n, "KeyType": kind} for (n, _), kind in zip(attributes, ("HASH", "RANGE"))
        ],
        **kwargs,
    )
    wait_active(client, name)
    return name


def wait_active(client, name, indexes=True, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        table = client.describe_table(TableName=name)["Table"]
        states = [table["TableStatus"]]
        if indexes:
            states += [index["IndexStatus"] for index in table.get("GlobalSecondaryIndexes", [])]
        if set(states) == {"ACTIVE"}:
            return table
        time.sleep(0.01)
    raise AssertionError(f"{name} is still {states}")


class WhileItLasts:
    """with WhileItLasts(milliseconds) as look: ... looks at states that last so long.

    On a machine that is held up for longer the states may be over before they are looked at, and what fails then shows nothing:
    look.too_late is set instead, and the test tries again with states that last longer.
    """

    def __init__(self, milliseconds):
        self.seconds, self.too_late = milliseconds / 1000, False

    def __enter__(self):
        self.began = time.monotonic()
        return self

    def __exit__(self, kind, *_):
        failed = kind is not None and issubclass(kind, (Exception, pytest.fail.Exception))
        self.too_late = failed and time.monotonic() - self.began >= self.seconds
        return self.too_late


def wait_gone(client, name, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            client.describe_table(TableName=name)
        except client.exceptions.ResourceNotFoundException:
            return
        time.sleep(0.01)
    raise AssertionError(f"{name} is still there")


@pytest.fixture
def make_table(client):
    """make_table("pk:S,sk:N", ...) -> name; deleted with the test."""
    names = []

    def make(keys="pk:S", **kwargs):
        name = create(client, keys, **kwargs)
        names.append(name)
        return name

    yield make
    for name in names:
        try:
            client.delete_table(TableName=name)
        except client.exceptions.ResourceNotFoundException:
            pass  # the test deleted it


@pytest.fixture
def table(make_table, resource):
    """A table with partition key pk (string), as boto3 resource."""
    return resource.Table(make_table("pk:S"))


@pytest.fixture
def sorted_table(make_table, resource):
    """Partition key pk (string), sort key sk (number)."""
    return resource.Table(make_table("pk:S,sk:N"))


@pytest.fixture
def failing():
    """with failing("ValidationException", "part of the message") as failure: ..."""
    import contextlib

    from botocore.exceptions import ClientError

    @contextlib.contextmanager
    def context(code, message=None):
        with pytest.raises(ClientError) as failure:
            yield failure
        error = failure.value.response["Error"]
        assert error["Code"] == code, error
        if message is not None:
            assert message in error["Message"], error

    return context
