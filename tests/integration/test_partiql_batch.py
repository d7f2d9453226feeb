"""Several statements of PartiQL: BatchExecuteStatement and ExecuteTransaction."""

import uuid

import pytest
from botocore.exceptions import ClientError
from statements import DUPLICATE, FAILED, N, NOT_WELL, NO_TABLE, S, fill, get, one, put, quoted, two


# ---- BatchExecuteStatement ----


def batch(client, *statements, **more):
    return client.batch_execute_statement(
        Statements=[{"Statement": s} if isinstance(s, str) else s for s in statements], **more
    )


def test_batch_reads(client, two):
    fill(client, two)
    reply = batch(
        client,
        f"SELECT * FROM \"{two}\" WHERE pk = 'a' AND sk = 1",
        f"SELECT v FROM \"{two}\" WHERE sk = 2 AND pk = 'b'",
        f"SELECT * FROM \"{two}\" WHERE pk = 'a' AND sk = 99",
        f"SELECT * FROM \"{two}\" WHERE pk = 'a'",
        "SELECT * FROM \"no-such-table\" WHERE pk = 'a'",
        "SELECT",
        ReturnConsumedCapacity="TOTAL",
    )
    assert reply["Responses"] == [
        {"TableName": two, "Item": {"pk": S("a"), "sk": N(1), "v": N(10)}},
        {"TableName": two, "Item": {"v": N(20)}},
        {"TableName": two},
        {
            "Error": {
                "Code": "ValidationError",
                "Message": "Select statements within BatchExecuteStatement must specify the primary key in the where "
                "clause.",
            }
        },
        {"Error": {"Code": "ResourceNotFound", "Message": NO_TABLE}, "TableName": "no-such-table"},
        {"Error": {"Code": "ValidationError", "Message": NOT_WELL + "Unexpected term"}},
    ]
    assert reply["ConsumedCapacity"] == [{"TableName": two, "CapacityUnits": 1.5}]


def test_batch_writes_are_each_on_their_own(client, one):
    put(client, one, pk=S("there"), n=N(1))
    reply = batch(
        client,
        f"INSERT INTO \"{one}\" VALUE {{'pk': 'new'}}",
        f"INSERT INTO \"{one}\" VALUE {{'pk': 'there'}}",
        {
            "Statement": f"UPDATE \"{one}\" SET n = 2 WHERE pk = ? AND n = 5",
            "Parameters": [S("other")],
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        },
        f"DELETE FROM \"{one}\" WHERE pk = 'nobody'",
        f"UPDATE \"{one}\" SET n = 'x' + 1 WHERE pk = 'third' RETURNING ALL NEW *",
        ReturnConsumedCapacity="TOTAL",
    )["Responses"]
    assert reply[0] == {"TableName": one}
    assert reply[1] == {"Error": {"Code": "DuplicateItem", "Message": DUPLICATE}, "TableName": one}
    assert reply[2] == {"Error": {"Code": "ConditionalCheckFailed", "Message": FAILED}, "TableName": one}
    assert reply[3] == {"TableName": one}
    assert reply[4]["Error"]["Code"] == "ValidationError"
    assert get(client, one, pk=S("new")) == {"pk": S("new")}


def test_batch_returns_items_of_failed_conditions_and_of_returning(client, one):
    put(client, one, pk=S("a"), n=N(1))
    put(client, one, pk=S("b"), n=N(1))
    reply = batch(
        client,
        {
            "Statement": f"UPDATE \"{one}\" SET n = 2 WHERE pk = 'a' AND n = 5",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        },
        f"UPDATE \"{one}\" SET n = n + 1 WHERE pk = 'b' RETURNING ALL NEW *",
    )["Responses"]
    assert reply[0]["Error"]["Item"] == {"pk": S("a"), "n": N(1)}
    assert reply[1] == {"TableName": one, "Item": {"pk": S("b"), "n": N(2)}}


@pytest.mark.parametrize(
    "statements, message",
    [
        (
            ["SELECT * FROM {t} WHERE pk = 'a'", "DELETE FROM {t} WHERE pk = 'a'"],
            "Read and write requests together in the same batch is not supported.",
        ),
        (
            ["DELETE FROM {t} WHERE pk = 'a'", "UPDATE {t} SET n = 1 WHERE pk = 'a'"],
            "Provided list of item keys contains duplicates",
        ),
        (["SELECT * FROM {t} WHERE pk = 'a'"] * 2, "Provided list of item keys contains duplicates"),
    ],
)
def test_batches_that_make_no_sense_are_refused_whole(client, one, statements, message):
    put(client, one, pk=S("a"))
    with pytest.raises(ClientError) as failure:
        batch(client, *[s.format(t=quoted(one)) for s in statements])
    assert failure.value.response["Error"] == {"Code": "ValidationException", "Message": message}
    assert get(client, one, pk=S("a")) == {"pk": S("a")}


def test_batches_have_at_most_25_statements(client, loose_client, one):
    statements = [f"INSERT INTO \"{one}\" VALUE {{'pk': '{n}'}}" for n in range(26)]
    with pytest.raises(ClientError) as failure:
        batch(loose_client, *statements)
    assert "length less than or equal to 25" in failure.value.response["Error"]["Message"]
    assert all(r == {"TableName": one} for r in batch(client, *statements[:25])["Responses"])
    assert client.scan(TableName=one)["Count"] == 25


# ---- ExecuteTransaction ----


def transact(client, *statements, **more):
    return client.execute_transaction(
        TransactStatements=[{"Statement": s} if isinstance(s, str) else s for s in statements], **more
    )


def cancelled(client, *statements, **more):
    with pytest.raises(client.exceptions.TransactionCanceledException) as failure:
        transact(client, *statements, **more)
    reasons = failure.value.response["CancellationReasons"]
    codes = ", ".join(reason["Code"] for reason in reasons)
    assert failure.value.response["Error"]["Message"] == (
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    )
    return reasons


def not_transacted(client, *statements, **more):
    with pytest.raises(ClientError) as failure:
        transact(client, *statements, **more)
    assert failure.value.response["Error"]["Code"] == "ValidationException"
    return failure.value.response["Error"]["Message"]


def test_transactions_write_all_or_nothing(client, one):
    put(client, one, pk=S("a"), n=N(1))
    put(client, one, pk=S("b"), n=N(1))
    reply = transact(
        client,
        f"INSERT INTO \"{one}\" VALUE {{'pk': 'new'}}",
        f"UPDATE \"{one}\" SET n = n + 1 WHERE pk = 'a' AND n = 1",
        f"DELETE FROM \"{one}\" WHERE pk = 'b'",
        f"EXISTS(SELECT * FROM \"{one}\" WHERE pk = 'c' AND pk IS MISSING)",
        ReturnConsumedCapacity="TOTAL",
    )
    assert reply["Responses"] == []
    assert reply["ConsumedCapacity"] == [{"TableName": one, "CapacityUnits": 8.0, "WriteCapacityUnits": 8.0}]
    assert get(client, one, pk=S("a"))["n"] == N(2)
    assert get(client, one, pk=S("b")) is None
    reasons = cancelled(
        client,
        f"INSERT INTO \"{one}\" VALUE {{'pk': 'new'}}",
        {
            "Statement": f"UPDATE \"{one}\" SET n = n + 1 WHERE pk = 'a' AND n = ?",
            "Parameters": [N(1)],
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        },
        f"INSERT INTO \"{one}\" VALUE {{'pk': 'newer'}}",
        f"EXISTS(SELECT * FROM \"{one}\" WHERE pk = 'd' AND n = 1)",
    )
    assert reasons == [
        {"Code": "DuplicateItem", "Message": DUPLICATE},
        {"Code": "ConditionalCheckFailed", "Message": FAILED, "Item": {"pk": S("a"), "n": N(2)}},
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Message": FAILED},
    ]
    assert get(client, one, pk=S("newer")) is None


def test_transactions_read(client, one, two):
    put(client, one, pk=S("a"), m={"M": {"x": N(1)}})
    put(client, two, pk=S("b"), sk=N(1))
    reply = transact(
        client,
        f"SELECT m.x FROM \"{one}\" WHERE pk = 'a'",
        f"SELECT * FROM \"{two}\" WHERE pk = 'b' AND sk = 1",
        f"SELECT * FROM \"{two}\" WHERE pk = 'b' AND sk = 2",
        ReturnConsumedCapacity="TOTAL",
    )
    assert reply["Responses"] == [{"Item": {"x": N(1)}}, {"Item": {"pk": S("b"), "sk": N(1)}}, {}]
    assert reply["ConsumedCapacity"] == [
        {"TableName": one, "CapacityUnits": 2.0, "ReadCapacityUnits": 2.0},
        {"TableName": two, "CapacityUnits": 4.0, "ReadCapacityUnits": 4.0},
    ]


def test_a_token_makes_a_transaction_happen_once(client, one):
    put(client, one, pk=S("a"), n=N(1))
    token = str(uuid.uuid4())
    add = {"Statement": f"UPDATE \"{one}\" SET n = n + ? WHERE pk = 'a'", "Parameters": [N(1)]}
    for _ in range(3):
        transact(client, add, ClientRequestToken=token)
    assert get(client, one, pk=S("a"))["n"] == N(2)
    with pytest.raises(client.exceptions.IdempotentParameterMismatchException):
        transact(client, {**add, "Parameters": [N(2)]}, ClientRequestToken=token)


@pytest.mark.parametrize(
    "statements, message",
    [
        (["SELECT"], "Validation failed in TransactStatements[0]: " + NOT_WELL + "Unexpected term"),
        (
            ["INSERT INTO {t} VALUE {{'pk': 'x'}}", "UPDATE {t} SET n = 1 WHERE pk = 'a' RETURNING ALL OLD *"],
            "Validation failed in TransactStatements[1]: RETURNING clause is not supported in ExecuteTransaction.",
        ),
        (
            ["SELECT * FROM {t} WHERE n = 1"],
            "Validation failed in TransactStatements[0]: Select statements within ExecuteTransaction must specify the "
            "primary key in the where clause.",
        ),
        (
            ["EXISTS(SELECT * FROM {t} WHERE pk = 'a')"],
            "Validation failed in TransactStatements[0]: EXISTS() must contain a single item read with additional "
            "condition",
        ),
        (
            ["EXISTS(SELECT * FROM {t} WHERE n = 1)"],
            "Validation failed in TransactStatements[0]: EXISTS() must contain a single item read with additional "
            "condition",
        ),
        (
            ["SELECT * FROM {t} WHERE pk = 'a'", "DELETE FROM {t} WHERE pk = 'b'"],
            "ExecuteTransaction API does not support both read and write operations in the same request.",
        ),
        (
            ["SELECT * FROM {t} WHERE pk = 'a'", "SELECT n FROM {t} WHERE pk = 'a'"],
            "Transaction request cannot include multiple operations on one item",
        ),
        (
            ["INSERT INTO {t} VALUE {{'pk': 'x'}}", "DELETE FROM {t} WHERE pk = 'x'"],
            "Transaction request cannot include multiple operations on one item",
        ),
        (["INSERT INTO {t} VALUE {{'pk': ''}}"], None),
    ],
)
def test_transactions_refuse(client, one, statements, message):
    told = not_transacted(client, *[s.format(t=quoted(one)) for s in statements])
    assert message is None or told == message
    assert client.scan(TableName=one)["Count"] == 0


def test_what_does_not_fit_the_tables_cancels(client, two):
    wrong = {"Code": "ValidationError", "Message": "The provided key element does not match the schema"}
    assert cancelled(client, f"UPDATE \"{two}\" SET v = 1 WHERE pk = 'a'") == [wrong]
    assert cancelled(client, f"DELETE FROM \"{two}\" WHERE pk = 1 AND sk = 1") == [wrong]
    assert cancelled(
        client,
        f"INSERT INTO \"{two}\" VALUE {{'pk': 'a', 'sk': 1}}",
        f"INSERT INTO \"{two}\" VALUE {{'pk': 'a'}}",
        "INSERT INTO \"no-such-table\" VALUE {'pk': 'a'}",
    ) == [
        {"Code": "None"},
        {
            "Code": "ValidationError",
            "Message": "One or more parameter values were invalid: Missing the key sk in the item",
        },
        {"Code": "ResourceNotFound", "Message": NO_TABLE},
    ]
    assert client.scan(TableName=two)["Count"] == 0


def test_transactions_have_at_most_100_statements(client, loose_client, one):
    statements = [f"INSERT INTO \"{one}\" VALUE {{'pk': '{n}'}}" for n in range(101)]
    message = not_transacted(loose_client, *statements)
    assert "length less than or equal to 100" in message
    assert "length greater than or equal to 1" in not_transacted(loose_client)
    transact(client, *statements[:100])
    assert client.scan(TableName=one)["Count"] == 100
