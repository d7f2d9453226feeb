"""Scan: everything once, in pages and in parallel."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from boto3.dynamodb.conditions import Attr


@pytest.fixture(scope="module")
def full(client, resource):
    from conftest import create

    name = create(client, "pk:S")
    table = resource.Table(name)
    with table.batch_writer() as batch:
        for i in range(500):
            batch.put_item(Item={"pk": f"item-{i}", "n": i})
    yield table
    client.delete_table(TableName=name)


def scan_all(table, **arguments):
    found = []
    while True:
        page = table.scan(**arguments)
        found += [int(item["n"]) for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            return found
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


@pytest.mark.parametrize("limit", [1, 7, 499, 500, 501])
def test_pages_hold_everything_once(full, limit):
    if limit == 1:
        assert len(full.scan(Limit=1)["Items"]) == 1
        return
    assert sorted(scan_all(full, Limit=limit)) == list(range(500))


@pytest.mark.parametrize("segments", [1, 2, 3, 7, 64])
def test_segments_share_the_table(full, segments):
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda s: scan_all(full, Segment=s, TotalSegments=segments, Limit=50), range(segments)))
    assert sorted(n for part in parts for n in part) == list(range(500))


def test_an_order_that_repeats(full):
    assert scan_all(full) == scan_all(full, Limit=33)


def test_filter_and_count(full):
    answer = full.scan(FilterExpression=Attr("n").between(100, 199))
    assert (answer["Count"], answer["ScannedCount"]) == (100, 500)
    answer = full.scan(FilterExpression=Attr("n").lt(10), Select="COUNT")
    assert answer["Count"] == 10 and "Items" not in answer


def test_scan_of_an_empty_table(table):
    answer = table.scan()
    assert (answer["Items"], answer["Count"], answer["ScannedCount"]) == ([], 0, 0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(Segment=3, TotalSegments=3), "The Segment parameter is zero-based and must be less than parameter TotalSegments"),
        (dict(Segment=0), "The TotalSegments parameter is required but was not present in the request when Segment parameter is present"),
        (dict(TotalSegments=2), "The Segment parameter is required but was not present in the request when parameter TotalSegments is present"),
        (dict(Limit=0), "failed to satisfy constraint"),
        (dict(Select="SPECIFIC_ATTRIBUTES"), "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"),
        (dict(IndexName="none"), "The table does not have the specified index: none"),
    ],
)
def test_bad_scans_are_refused(loose_client, full, failing, arguments, message):
    with failing("ValidationException", message):
        loose_client.scan(TableName=full.name, **arguments)


def test_items_written_while_scanning_do_not_disturb(full, resource):
    """What was there before the scan is found once, whatever is written meanwhile."""
    found, start, i = [], {}, 0
    while True:
        page = full.scan(Limit=50, **start)
        found += [item["pk"] for item in page["Items"]]
        full.put_item(Item={"pk": f"late-{i}", "n": -1})
        i += 1
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    old = [pk for pk in found if pk.startswith("item-")]
    assert sorted(old) == sorted(f"item-{n}" for n in range(500))
    for j in range(i):
        full.delete_item(Key={"pk": f"late-{j}"})
