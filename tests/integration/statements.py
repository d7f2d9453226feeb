"""What the tests of PartiQL share: statements and what they give."""

import pytest
from botocore.exceptions import ClientError

NOT_WELL = "Statement wasn't well formed, can't be processed: "
NO_TABLE = "Requested resource not found"
FAILED = "The conditional request failed"
DUPLICATE = "Duplicate primary key exists in table"
NO_KEY = "Where clause does not contain a mandatory equality on all key attributes"


def run(client, statement, *parameters, **more):
    if parameters:
        more["Parameters"] = list(parameters)
    return client.execute_statement(Statement=statement, **more)


def items(client, statement, *parameters, **more):
    return run(client, statement, *parameters, **more)["Items"]


def error(client, statement, *parameters, **more):
    """Code and message of the refusal."""
    with pytest.raises(ClientError) as failure:
        run(client, statement, *parameters, **more)
    told = failure.value.response["Error"]
    return told["Code"], told["Message"]


def refused(client, statement, *parameters, **more):
    code, message = error(client, statement, *parameters, **more)
    assert code == "ValidationException"
    return message


def every(client, statement, *parameters, limit=None, **more):
    """All pages; how many there were."""
    found, pages, token = [], 0, None
    while True:
        extra = {"NextToken": token} if token else {}
        if limit:
            extra["Limit"] = limit
        page = run(client, statement, *parameters, **extra, **more)
        found += page["Items"]
        pages += 1
        token = page.get("NextToken")
        if token is None:
            return found, pages


def S(text):
    return {"S": text}


def N(number):
    return {"N": str(number)}


def quoted(name):
    return f'"{name}"'


def put(client, table, **attributes):
    client.put_item(TableName=table, Item=attributes)


def get(client, table, **key):
    return client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")


@pytest.fixture
def one(make_table):
    """A table with the partition key pk (string)."""
    return make_table("pk:S")


@pytest.fixture
def two(make_table):
    """Partition key pk (string), sort key sk (number)."""
    return make_table("pk:S,sk:N")


def fill(client, table, partitions=("a", "b"), each=5, **more):
    for pk in partitions:
        for sk in range(1, each + 1):
            put(client, table, pk=S(pk), sk=N(sk), v=N(sk * 10), **more)
