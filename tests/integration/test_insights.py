"""Contributor Insights: its states, its list, and the keys among the metrics."""

import re
import time

import pytest
from botocore.exceptions import ClientError

from conftest import WhileItLasts, create, make_client, unique_name, wait_active

BOTH = "ACCESSED_AND_THROTTLED_KEYS"
THROTTLED = "THROTTLED_KEYS"


def index(name, *keys, units=None):
    kinds = ("HASH", "RANGE")
    made = {
        "IndexName": name,
        "KeySchema": [{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, kinds)],
        "Projection": {"ProjectionType": "ALL"},
    }
    if units:
        made["ProvisionedThroughput"] = {"ReadCapacityUnits": units, "WriteCapacityUnits": units}
    return made


def wait_settled(client, status, **which):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        answer = client.describe_contributor_insights(**which)
        if answer["ContributorInsightsStatus"] == status:
            answer.pop("ResponseMetadata")
            return answer
        assert answer["ContributorInsightsStatus"] in ("ENABLING", "DISABLING")
        time.sleep(0.005)
    raise AssertionError(f"not {status}: {answer}")


def enable(client, name, index_name=None, mode=None, status="ENABLED"):
    which = {"TableName": name, **({"IndexName": index_name} if index_name else {})}
    more = {"ContributorInsightsMode": mode} if mode else {}
    client.update_contributor_insights(ContributorInsightsAction="ENABLE", **which, **more)
    return wait_settled(client, status, **which)


def disable(client, name, index_name=None):
    which = {"TableName": name, **({"IndexName": index_name} if index_name else {})}
    client.update_contributor_insights(ContributorInsightsAction="DISABLE", **which)
    return wait_settled(client, "DISABLED", **which)


def listed(client, **kwargs):
    """Every page of it."""
    entries, pages = [], 0
    while True:
        answer = client.list_contributor_insights(**kwargs)
        entries += answer["ContributorInsightsSummaries"]
        pages += 1
        if "NextToken" not in answer:
            return entries, pages
        kwargs["NextToken"] = answer["NextToken"]


def keys_of(server, table, family="stator_key_units_total", index_name=None):
    """{(partition key[, sort key]): value}"""
    found = {}
    for line in server.get("/metrics").splitlines():
        match = re.fullmatch(family + r"\{(.*)\} ([\d.]+)", line)
        if not match:
            continue
        labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[1]))
        if labels["table"] != table or labels.get("index") != index_name:
            continue
        key = (labels["partition_key"], labels["sort_key"]) if "sort_key" in labels else (labels["partition_key"],)
        assert key not in found
        found[key] = float(match[2])
    return found


# ---- states ----


def test_a_table_never_asked_to_count_is_disabled(client, make_table):
    name = make_table("pk:S")
    answer = client.describe_contributor_insights(TableName=name)
    answer.pop("ResponseMetadata")
    assert answer == {"TableName": name, "ContributorInsightsStatus": "DISABLED"}
    assert listed(client, TableName=name) == ([], 1)
    answer = client.update_contributor_insights(TableName=name, ContributorInsightsAction="DISABLE")
    answer.pop("ResponseMetadata")
    assert answer == {"TableName": name, "ContributorInsightsStatus": "DISABLED"}


def slow_insights_are_followed(client, delay_ms):
    """-> whether their states were looked at while they lasted"""
    name = create(client, "pk:S")
    before = time.time()
    expected = {"TableName": name, "ContributorInsightsStatus": "ENABLING", "ContributorInsightsMode": BOTH}
    with WhileItLasts(delay_ms) as looked_enabling:
        answer = client.update_contributor_insights(TableName=name, ContributorInsightsAction="ENABLE")
        answer.pop("ResponseMetadata")
        assert answer == expected
        enabling = client.describe_contributor_insights(TableName=name)
        assert enabling["ContributorInsightsStatus"] == "ENABLING"
        assert "ContributorInsightsRuleList" not in enabling
        assert listed(client, TableName=name)[0] == [expected]
    enabled = wait_settled(client, "ENABLED", TableName=name)
    stamp = enabled["LastUpdateDateTime"].timestamp()
    assert before + delay_ms / 1000 - 0.1 < stamp < time.time() + 1
    (rule_time,) = {int(rule.rsplit("-", 1)[1]) for rule in enabled["ContributorInsightsRuleList"]}
    assert abs(rule_time - stamp * 1000) < 2
    with WhileItLasts(delay_ms) as looked_disabling:
        answer = client.update_contributor_insights(TableName=name, ContributorInsightsAction="DISABLE")
        assert answer["ContributorInsightsStatus"] == "DISABLING"
        assert listed(client, TableName=name)[0] == [{**expected, "ContributorInsightsStatus": "DISABLING"}]
    disabled = wait_settled(client, "DISABLED", TableName=name)
    assert set(disabled) == {
        "TableName", "ContributorInsightsStatus", "ContributorInsightsMode", "LastUpdateDateTime"
    }
    assert listed(client, TableName=name)[0] == []
    return not looked_enabling.too_late and not looked_disabling.too_late


def test_enabling_passes_through_enabling(start_server):
    for delay_ms in (400, 4000, 40000):
        client = make_client(start_server("--ephemeral", "--control-plane-delay", delay_ms).endpoint)
        in_time = slow_insights_are_followed(client, delay_ms)
        if in_time:
            break
    assert in_time


def test_rules_follow_key_and_mode(client, make_table):
    simple = make_table("pk:S")
    sorted_name = make_table("pk:S,sk:N")
    for name, both, throttled in (
        (simple, ["PKC", "PKT"], ["PKT"]),
        (sorted_name, ["PKC", "SKC", "PKT", "SKT"], ["PKT", "SKT"]),
    ):
        first = enable(client, name)
        assert first["ContributorInsightsMode"] == BOTH
        rules = first["ContributorInsightsRuleList"]
        stamp = rules[0].rsplit("-", 1)[1]
        assert rules == [f"DynamoDBContributorInsights-{kind}-{name}-{stamp}" for kind in both]
        # another mode makes it ENABLING again and keeps the rules that stay
        second = enable(client, name, mode=THROTTLED)
        assert second["ContributorInsightsMode"] == THROTTLED
        assert second["ContributorInsightsRuleList"] == [
            f"DynamoDBContributorInsights-{kind}-{name}-{stamp}" for kind in throttled
        ]
        # without a mode it is the default again, not the one it had
        assert enable(client, name)["ContributorInsightsMode"] == BOTH


def test_what_is_so_already_changes_nothing(client, make_table):
    name = make_table("pk:S")
    first = enable(client, name)
    for mode in ({}, {"ContributorInsightsMode": BOTH}):
        answer = client.update_contributor_insights(TableName=name, ContributorInsightsAction="ENABLE", **mode)
        assert answer["ContributorInsightsStatus"] == "ENABLED"
    again = client.describe_contributor_insights(TableName=name)
    again.pop("ResponseMetadata")
    assert again == first
    # the mode of a DISABLE is taken and has no say
    answer = client.update_contributor_insights(
        TableName=name, ContributorInsightsAction="DISABLE", ContributorInsightsMode=THROTTLED
    )
    assert answer["ContributorInsightsMode"] == BOTH
    wait_settled(client, "DISABLED", TableName=name)
    answer = client.update_contributor_insights(TableName=name, ContributorInsightsAction="DISABLE")
    assert answer["ContributorInsightsStatus"] == "DISABLED"
    assert enable(client, name)["ContributorInsightsRuleList"] != first["ContributorInsightsRuleList"]


def test_an_arn_names_the_table(client, make_table):
    name = make_table("pk:S")
    arn = client.describe_table(TableName=name)["Table"]["TableArn"]
    answer = client.update_contributor_insights(TableName=arn, ContributorInsightsAction="ENABLE")
    assert answer["TableName"] == name
    assert wait_settled(client, "ENABLED", TableName=arn)["TableName"] == name
    assert [entry["TableName"] for entry in listed(client, TableName=arn)[0]] == [name]


def test_long_names_fit_into_a_rule(client, make_table):
    name = make_table("pk:S", name="x" * 200 + unique_name())
    for rule in enable(client, name)["ContributorInsightsRuleList"]:
        assert len(rule) <= 128 and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9\-_.]{0,126}[A-Za-z0-9]", rule)


# ---- indexes ----


@pytest.fixture
def indexed(make_table):
    return make_table(
        "pk:S,sk:S",
        attributes={"a": "S", "b": "S"},
        GlobalSecondaryIndexes=[index("by-b", "b"), index("by-a", "a", "sk")],
        LocalSecondaryIndexes=[index("local", "pk", "b")],
    )


def test_table_and_global_indexes_each_by_themselves(client, indexed):
    enable(client, indexed, "by-a")
    assert client.describe_contributor_insights(TableName=indexed)["ContributorInsightsStatus"] == "DISABLED"
    described = client.describe_contributor_insights(TableName=indexed, IndexName="by-a")
    assert described["IndexName"] == "by-a"
    assert [rule.split("-")[1] for rule in described["ContributorInsightsRuleList"]] == ["PKC", "SKC", "PKT", "SKT"]
    assert f"-{indexed}-by-a-" in described["ContributorInsightsRuleList"][0]
    enable(client, indexed)
    enable(client, indexed, "by-b")
    names = [entry.get("IndexName") for entry in listed(client, TableName=indexed)[0]]
    assert names == [None, "by-a", "by-b"]
    disable(client, indexed)
    assert [entry.get("IndexName") for entry in listed(client, TableName=indexed)[0]] == ["by-a", "by-b"]


@pytest.mark.parametrize("index_name", ["local", "nope"])
def test_no_other_index_has_insights(client, indexed, index_name, failing):
    message = f"Requested resource not found: Index: {index_name} not found for table: {indexed}"
    with failing("ResourceNotFoundException", message):
        client.describe_contributor_insights(TableName=indexed, IndexName=index_name)
    with failing("ResourceNotFoundException", message):
        client.update_contributor_insights(
            TableName=indexed, IndexName=index_name, ContributorInsightsAction="ENABLE"
        )


def test_an_index_takes_its_insights_along(client, indexed):
    enable(client, indexed, "by-a")
    client.update_table(TableName=indexed, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-a"}}])
    deadline = time.monotonic() + 60
    while len(wait_active(client, indexed, indexes=False)["GlobalSecondaryIndexes"]) == 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert listed(client, TableName=indexed)[0] == []
    client.update_table(
        TableName=indexed,
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("a", "sk")],
        GlobalSecondaryIndexUpdates=[{"Create": index("by-a", "a", "sk")}],
    )
    wait_active(client, indexed)
    answer = client.describe_contributor_insights(TableName=indexed, IndexName="by-a")
    assert answer["ContributorInsightsStatus"] == "DISABLED" and "LastUpdateDateTime" not in answer


# ---- who is not there ----


def test_a_missing_table_is_named(client, failing):
    message = "Requested resource not found: Table: no-such-table not found"
    with failing("ResourceNotFoundException", message):
        client.describe_contributor_insights(TableName="no-such-table")
    with failing("ResourceNotFoundException", message):
        client.update_contributor_insights(TableName="no-such-table", ContributorInsightsAction="ENABLE")
    with failing("ResourceNotFoundException", message):
        client.list_contributor_insights(TableName="no-such-table")


def test_a_table_that_is_being_made_is_not_there(start_server, failing):
    client = make_client(start_server("--ephemeral", "--control-plane-delay", "10000").endpoint)
    client.create_table(
        TableName="later",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    with failing("ResourceNotFoundException", "Requested resource not found: Table: later not found"):
        client.update_contributor_insights(TableName="later", ContributorInsightsAction="ENABLE")


def test_a_table_takes_its_insights_along(client, make_table):
    name = make_table("pk:S")
    enable(client, name)
    client.delete_table(TableName=name)
    from conftest import wait_gone

    wait_gone(client, name)
    assert name not in [entry["TableName"] for entry in listed(client)[0]]
    make_table("pk:S", name=name)
    answer = client.describe_contributor_insights(TableName=name)
    assert answer["ContributorInsightsStatus"] == "DISABLED" and "LastUpdateDateTime" not in answer


@pytest.mark.parametrize(
    "arguments, part",
    [
        ({"TableName": "t-1", "ContributorInsightsAction": "PAUSE"}, "contributorInsightsAction"),
        ({"TableName": "t-1"}, "contributorInsightsAction"),
        ({"TableName": "t-1", "ContributorInsightsAction": "ENABLE", "ContributorInsightsMode": "ALL"},
         "contributorInsightsMode"),
        ({"TableName": "t-1", "ContributorInsightsAction": "ENABLE", "IndexName": "x"}, "indexName"),
        ({"TableName": "t-1", "ContributorInsightsAction": "ENABLE", "IndexName": "a b c"}, "indexName"),
    ],
)
def test_updates_are_checked(loose_client, failing, arguments, part):
    with failing("ValidationException", part):
        loose_client.update_contributor_insights(**arguments)


@pytest.mark.parametrize(
    "arguments, part",
    [
        ({"MaxResults": 101}, "less than or equal to 100"),
        ({"MaxResults": 0}, "greater than or equal to 1"),
        ({"NextToken": "?"}, "NextToken"),
        ({"NextToken": "YS8="}, "NextToken"),
        ({"NextToken": ""}, "NextToken"),
    ],
)
def test_lists_are_checked(loose_client, failing, arguments, part):
    with failing("ValidationException", part):
        loose_client.list_contributor_insights(**arguments)


def test_a_token_of_another_table_is_refused(client, make_table, indexed, failing):
    other = make_table("pk:S")
    enable(client, indexed, "by-a")
    enable(client, indexed, "by-b")
    token = client.list_contributor_insights(TableName=indexed, MaxResults=1)["NextToken"]
    with failing("ValidationException", "NextToken"):
        client.list_contributor_insights(TableName=other, NextToken=token)


# ---- the list ----


def test_pages_of_the_list(start_server):
    client = make_client(start_server("--ephemeral", "--control-plane-delay", "0").endpoint)
    names = [create(client, "pk:S", name=f"table-{i}", attributes={"g": "S"},
                    GlobalSecondaryIndexes=[index("one", "g"), index("two", "g")]) for i in range(4)]
    expected = []
    for name in names[1:]:
        for index_name in (None, "two"):
            enable(client, name, index_name)
            expected.append((name, index_name))
    for most in (1, 2, 3, 5, 6, 100):
        entries, pages = listed(client, MaxResults=most)
        assert [(e["TableName"], e.get("IndexName")) for e in entries] == expected
        assert pages == -(-len(expected) // most)
    assert listed(client)[1] == 1
    entries, pages = listed(client, TableName=names[2], MaxResults=1)
    assert [e.get("IndexName") for e in entries] == [None, "two"] and pages == 2
    # a place that is gone meanwhile is still a place
    answer = client.list_contributor_insights(MaxResults=2)
    client.delete_table(TableName=names[1])
    rest, _ = listed(client, NextToken=answer["NextToken"])
    assert [(e["TableName"], e.get("IndexName")) for e in rest] == expected[2:]


def test_there_is_room_for_a_hundred_rules(start_server):
    client = make_client(start_server("--ephemeral", "--control-plane-delay", "0").endpoint)
    names = [create(client, "pk:S,sk:S", name=f"table-{i:02}") for i in range(26)]
    small = create(client, "pk:S", name="small")
    enable(client, small, mode=THROTTLED)  # one rule
    for name in names[:24]:
        enable(client, name)  # four each: 97
    failed = enable(client, names[24], status="FAILED")
    assert failed["FailureException"] == {
        "ExceptionName": "LimitExceededException",
        "ExceptionDescription": "Amazon CloudWatch Contributor Insights rule limit reached. Please disable Contributor "
        "Insights for other tables/indexes OR disable other CloudWatch Contributor Insights rules before retrying.",
    }
    assert "ContributorInsightsRuleList" not in failed and failed["ContributorInsightsMode"] == BOTH
    assert listed(client, TableName=names[24])[0][0]["ContributorInsightsStatus"] == "FAILED"
    enable(client, names[25], mode=THROTTLED)  # two fit: 99
    enable(client, small)  # and a second one of this table: 100
    enable(client, names[25], status="FAILED")  # what it had is gone with that: 98
    disable(client, names[0])  # 94
    assert client.describe_contributor_insights(TableName=names[24])["ContributorInsightsStatus"] == "FAILED"
    again = enable(client, names[24])
    assert "FailureException" not in again and len(again["ContributorInsightsRuleList"]) == 4
    gone = disable(client, names[25])
    assert "FailureException" not in gone


# ---- counting ----


@pytest.fixture
def counting(start_server):
    server = start_server("--ephemeral", "--control-plane-delay", "0")
    return server, make_client(server.endpoint)


def item(pk, sk=None, **more):
    return {"pk": {"S": pk}, **({"sk": {"S": sk}} if sk else {}), **{k: {"S": v} for k, v in more.items()}}


def test_reads_count_their_units_and_writes_three_times(counting):
    server, client = counting
    name = create(client, "pk:S,sk:S")
    client.put_item(TableName=name, Item=item("before", "x"))
    assert keys_of(server, name) == {}
    enable(client, name)
    client.put_item(TableName=name, Item=item("a", "1"))  # 1 unit
    client.put_item(TableName=name, Item=item("a", "2", v="x" * 1500))  # 2
    client.get_item(TableName=name, Key=item("a", "1"))  # a half
    client.get_item(TableName=name, Key=item("a", "1"), ConsistentRead=True)  # 1
    client.get_item(TableName=name, Key=item("nobody", "1"))  # a half
    client.query(TableName=name, KeyConditionExpression="pk = :a", ExpressionAttributeValues={":a": {"S": "a"}})
    client.scan(TableName=name)
    assert keys_of(server, name) == {
        ("a",): 3 * 3 + 1.5 + 0.5,
        ("nobody",): 0.5,
        ("a", "1"): 3 + 1.5,
        ("a", "2"): 6,
        ("nobody", "1"): 0.5,
    }


def test_batches_and_transactions_count(counting):
    server, client = counting
    name = create(client, "pk:S")
    enable(client, name)
    client.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": item(k)}} for k in "abc"]})
    client.batch_get_item(RequestItems={name: {"Keys": [item("a"), item("b")]}})
    assert keys_of(server, name) == {("a",): 3.5, ("b",): 3.5, ("c",): 3}
    client.transact_write_items(
        TransactItems=[{"Put": {"TableName": name, "Item": item("a")}}, {"Delete": {"TableName": name, "Key": item("c")}}]
    )
    client.transact_get_items(TransactItems=[{"Get": {"TableName": name, "Key": item("b")}}])
    assert keys_of(server, name) == {("a",): 9.5, ("b",): 5.5, ("c",): 9}
    with pytest.raises(ClientError):
        client.delete_item(TableName=name, Key=item("d"), ConditionExpression="attribute_exists(pk)")
    assert keys_of(server, name)[("d",)] == 3  # a failed condition costs, too


def test_an_index_counts_what_happens_to_its_rows(counting):
    server, client = counting
    name = create(client, "pk:S", attributes={"g": "S"}, GlobalSecondaryIndexes=[index("by-g", "g")])
    enable(client, name, "by-g")
    client.put_item(TableName=name, Item=item("1", g="red"))
    client.put_item(TableName=name, Item=item("2", g="red"))
    client.put_item(TableName=name, Item=item("3"))
    client.delete_item(TableName=name, Key=item("2"))
    client.query(
        TableName=name,
        IndexName="by-g",
        KeyConditionExpression="g = :g",
        ExpressionAttributeValues={":g": {"S": "blue"}},
    )
    assert keys_of(server, name, index_name="by-g") == {("red",): 9, ("blue",): 0.5}
    assert keys_of(server, name) == {}


def test_only_the_heaviest_keys_are_told(counting):
    server, client = counting
    name = create(client, "pk:S")
    enable(client, name)
    for i in range(200):
        client.get_item(TableName=name, Key=item(f"cold-{i}"))
        if i % 4 == 0:
            client.get_item(TableName=name, Key=item("hot"), ConsistentRead=True)
    told = keys_of(server, name)
    assert len(told) == 10
    assert told[("hot",)] == 50 and max(told.values()) == 50


@pytest.mark.parametrize(
    "key, told",
    [
        ({"S": 'quo"te\\back\nline\tstop'}, 'quo\\"te\\\\back\\nline\\\\u0009stop'),
        ({"S": "é" * 48}, "é" * 48),
        ({"S": "é" * 100}, None),
        ({"N": "-12.50"}, "-12.5"),
        ({"B": b"\x00\xff"}, "AP8="),
        ({"B": b"x" * 2000}, None),
        ({"N": "1e-120"}, None),
    ],
    ids=["escaped", "short", "long", "number", "binary", "long-binary", "long-number"],
)
def test_keys_as_labels(counting, key, told):
    server, client = counting
    (kind,) = key
    name = create(client, f"pk:{kind}")
    enable(client, name)
    client.put_item(TableName=name, Item={"pk": key})
    ((label,),) = keys_of(server, name)
    if told is not None:
        assert label == told
    else:
        assert re.search(r"\.\.\.[0-9a-f]{10}$", label) and len(label.encode()) <= 96


def test_long_keys_with_one_beginning_stay_two(counting):
    server, client = counting
    name = create(client, "pk:S")
    enable(client, name)
    for end in "xy":
        client.put_item(TableName=name, Item=item("a" * 500 + end))
    assert list(keys_of(server, name).values()) == [3, 3]  # keys_of() sees to it that they differ


def test_throttled_keys(start_server):
    server = start_server("--ephemeral", "--throttling", "--control-plane-delay", "0")
    client = make_client(server.endpoint)
    units = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    name = create(client, "pk:S,sk:S", BillingMode="PROVISIONED", ProvisionedThroughput=units)
    enable(client, name, mode=THROTTLED)
    client.put_item(TableName=name, Item=item("big", "1", v="x" * 50_000))
    for _ in range(3):
        with pytest.raises(client.exceptions.ProvisionedThroughputExceededException):
            client.put_item(TableName=name, Item=item("k", "1"))
    with pytest.raises(client.exceptions.ProvisionedThroughputExceededException):
        client.update_item(TableName=name, Key=item("k", "2"))
    client.get_item(TableName=name, Key=item("big", "1"), ConsistentRead=True)  # 13 units
    with pytest.raises(client.exceptions.ProvisionedThroughputExceededException):
        client.get_item(TableName=name, Key=item("r", "1"))
    throttles = keys_of(server, name, "stator_key_throttles_total")
    assert throttles == {("k",): 4, ("r",): 1, ("k", "1"): 3, ("k", "2"): 1, ("r", "1"): 1}
    assert keys_of(server, name) == {}  # THROTTLED_KEYS: nothing else


def test_counting_ends_with_disable(counting):
    server, client = counting
    name = create(client, "pk:S")
    enable(client, name)
    client.put_item(TableName=name, Item=item("a"))
    assert keys_of(server, name) == {("a",): 3}
    disable(client, name)
    assert keys_of(server, name) == {}
    enable(client, name)
    client.put_item(TableName=name, Item=item("b"))
    assert keys_of(server, name) == {("b",): 3}


def test_the_state_outlives_a_kill(start_server, tmp_path):
    arguments = ("--data", tmp_path / "data", "--control-plane-delay", "0")
    server = start_server(*arguments)
    client = make_client(server.endpoint)
    name = create(client, "pk:S", attributes={"g": "S"}, GlobalSecondaryIndexes=[index("by-g", "g")])
    before = enable(client, name, "by-g", mode=THROTTLED)
    enable(client, name)
    off = disable(client, name)
    server.kill()
    server = start_server(*arguments)
    client = make_client(server.endpoint)
    assert wait_settled(client, "ENABLED", TableName=name, IndexName="by-g") == before
    assert wait_settled(client, "DISABLED", TableName=name) == off
    enable(client, name)
    server.kill()
    server = start_server(*arguments)
    client = make_client(server.endpoint)
    client.put_item(TableName=name, Item=item("a"))
    assert keys_of(server, name) == {("a",): 3}


def test_what_a_kill_cut_short_goes_on(start_server, tmp_path):
    server = start_server("--data", tmp_path / "data", "--control-plane-delay", "0")
    client = make_client(server.endpoint)
    name = create(client, "pk:S")
    assert server.stop() == 0
    server = start_server("--data", tmp_path / "data", "--control-plane-delay", "100000")
    client = make_client(server.endpoint)
    client.update_contributor_insights(TableName=name, ContributorInsightsAction="ENABLE")
    server.kill()
    server = start_server("--data", tmp_path / "data", "--control-plane-delay", "0")
    wait_settled(make_client(server.endpoint), "ENABLED", TableName=name)
