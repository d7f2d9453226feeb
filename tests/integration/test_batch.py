"""BatchWriteItem and BatchGetItem."""

import pytest


def put(i, **more):
    return {"PutRequest": {"Item": {"pk": {"S": str(i)}, **more}}}


def delete(i):
    return {"DeleteRequest": {"Key": {"pk": {"S": str(i)}}}}


def test_puts_and_deletes_in_several_tables(client, make_table):
    one, two = make_table(), make_table()
    client.batch_write_item(RequestItems={one: [put(i) for i in range(12)], two: [put(i) for i in range(13)]})
    answer = client.batch_write_item(RequestItems={one: [delete(i) for i in range(5)] + [put(99)], two: [delete(3)]})
    assert answer["UnprocessedItems"] == {}
    assert client.scan(TableName=one, Select="COUNT")["Count"] == 8
    assert client.scan(TableName=two, Select="COUNT")["Count"] == 12


def test_batch_get_finds_what_is_there(client, make_table):
    one, two = make_table(), make_table()
    client.batch_write_item(RequestItems={one: [put(i, n={"N": str(i)}) for i in range(10)], two: [put("x")]})
    answer = client.batch_get_item(
        RequestItems={
            one: {"Keys": [{"pk": {"S": str(i)}} for i in range(20)], "ProjectionExpression": "n"},
            two: {"Keys": [{"pk": {"S": "x"}}], "ConsistentRead": True},
        },
        ReturnConsumedCapacity="TOTAL",
    )
    assert sorted(int(item["n"]["N"]) for item in answer["Responses"][one]) == list(range(10))
    assert all(set(item) == {"n"} for item in answer["Responses"][one])
    assert answer["Responses"][two] == [{"pk": {"S": "x"}}]
    assert answer["UnprocessedKeys"] == {}
    assert {c["TableName"]: c["CapacityUnits"] for c in answer["ConsumedCapacity"]} == {one: 10.0, two: 1.0}


def test_a_large_batch_get_leaves_keys_for_later(client, make_table):
    """At most 16 MB come back; the others are named."""
    name = make_table()
    for i in range(60):
        client.put_item(TableName=name, Item={"pk": {"S": str(i)}, "x": {"S": "y" * 380_000}})
    keys = {name: {"Keys": [{"pk": {"S": str(i)}} for i in range(60)]}}
    found, rounds = [], 0
    while keys:
        answer = client.batch_get_item(RequestItems=keys)
        found += [item["pk"]["S"] for item in answer["Responses"][name]]
        keys = answer["UnprocessedKeys"]
        rounds += 1
    assert sorted(found, key=int) == [str(i) for i in range(60)]
    assert rounds == 2


def test_deleting_what_is_not_there_is_fine(client, make_table):
    name = make_table()
    assert client.batch_write_item(RequestItems={name: [delete(1)]})["UnprocessedItems"] == {}


@pytest.mark.parametrize(
    "requests, message",
    [
        ([put(1), put(1)], "Provided list of item keys contains duplicates"),
        ([put(1), delete(1)], "Provided list of item keys contains duplicates"),
        ([put(i) for i in range(26)], "Member must have length less than or equal to 25"),
        ([], "failed to satisfy constraint"),
    ],
)
def test_bad_batch_writes_change_nothing(loose_client, make_table, failing, requests, message):
    name = make_table()
    with failing("ValidationException", message):
        loose_client.batch_write_item(RequestItems={name: requests})
    assert loose_client.scan(TableName=name)["Count"] == 0


def test_one_bad_item_refuses_the_batch(client, make_table, failing):
    name = make_table()
    with failing("ValidationException"):
        client.batch_write_item(RequestItems={name: [put(1), {"PutRequest": {"Item": {"x": {"S": "no key"}}}}]})
    assert client.scan(TableName=name)["Count"] == 0


def test_bad_batch_gets_are_refused(loose_client, make_table, failing):
    name = make_table()
    with failing("ValidationException", "Provided list of item keys contains duplicates"):
        loose_client.batch_get_item(RequestItems={name: {"Keys": [{"pk": {"S": "a"}}] * 2}})
    with failing("ValidationException"):
        loose_client.batch_get_item(RequestItems={name: {"Keys": [{"pk": {"S": str(i)}} for i in range(101)]}})
    with failing("ResourceNotFoundException"):
        loose_client.batch_get_item(RequestItems={"no-such-table": {"Keys": [{"pk": {"S": "a"}}]}})


def test_the_batch_writer_of_boto3(resource, make_table):
    table = resource.Table(make_table())
    with table.batch_writer() as batch:
        for i in range(200):
            batch.put_item(Item={"pk": str(i), "n": i})
        for i in range(0, 200, 2):
            batch.delete_item(Key={"pk": str(i)})
    assert table.scan(Select="COUNT")["Count"] == 100
