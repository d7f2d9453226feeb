"""PartiQL, one statement at a time."""

import base64
from decimal import Decimal

import pytest
from botocore.exceptions import ClientError
from conftest import create
from statements import (
    DUPLICATE,
    FAILED,
    N,
    NOT_WELL,
    NO_KEY,
    NO_TABLE,
    S,
    error,
    every,
    fill,
    get,
    items,
    one,
    put,
    quoted,
    refused,
    run,
    two,
)


# ---- INSERT ----


def test_insert_then_select(client, one):
    assert run(client, f"INSERT INTO \"{one}\" VALUE {{'pk': 'k', 'n': 1}}")["Items"] == []
    assert items(client, f"SELECT * FROM \"{one}\" WHERE pk = 'k'") == [{"pk": S("k"), "n": N(1)}]


def test_insert_of_every_type(client, one):
    run(
        client,
        f"""INSERT INTO "{one}" VALUE {{'pk': 'it''s', 'n': -1.50, 'big': 12345678901234567890123456789012345678,
        'e': 1e3, 'bool': true, 'no': FALSE, 'null': null, 'l': [1, 'x', [true], {{'a': null}}], 'm': {{'a': {{'b': []}}}},
        'ss': <<'b', 'a'>>, 'ns': <<2, 1.0>>, 'b': ?}}""",
        {"B": b"\x01\x02"},
    )
    item = get(client, one, pk=S("it's"))
    item["ss"]["SS"].sort()
    item["ns"]["NS"].sort()
    assert item == {
        "pk": S("it's"),
        "n": N("-1.5"),
        "big": N("12345678901234567890123456789012345678"),
        "e": N(1000),
        "bool": {"BOOL": True},
        "no": {"BOOL": False},
        "null": {"NULL": True},
        "l": {"L": [N(1), S("x"), {"L": [{"BOOL": True}]}, {"M": {"a": {"NULL": True}}}]},
        "m": {"M": {"a": {"M": {"b": {"L": []}}}}},
        "ss": {"SS": ["a", "b"]},
        "ns": {"NS": ["1", "2"]},
        "b": {"B": b"\x01\x02"},
    }


def test_insert_takes_parameters_for_any_value(client, one):
    values = [S("k"), N("1.50"), {"SS": ["x"]}, {"M": {"deep": {"L": [{"NULL": True}]}}}, {"BOOL": False}]
    run(client, f"INSERT INTO {quoted(one)} VALUE {{'pk': ?, 'n': ?, 's': ?, 'm': ?, 'l': ?}}", *values)
    assert get(client, one, pk=S("k")) == {
        "pk": S("k"),
        "n": N("1.5"),
        "s": {"SS": ["x"]},
        "m": values[3],
        "l": {"BOOL": False},
    }


def test_insert_does_not_overwrite(client, one):
    put(client, one, pk=S("k"), n=N(1))
    assert error(client, f"INSERT INTO \"{one}\" VALUE {{'pk': 'k', 'n': 2}}") == ("DuplicateItemException", DUPLICATE)
    assert get(client, one, pk=S("k"))["n"] == N(1)


@pytest.mark.parametrize(
    "value, message",
    [
        ("{'n': 1}", "One or more parameter values were invalid: Missing the key pk in the item"),
        ("{'pk': 1}", "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N"),
        ("{'pk': ''}", "One or more parameter values are not valid. The AttributeValue for a key attribute cannot "
         "contain an empty string value. Key: pk"),
        ("{'pk': 'k', 's': <<>>}", "Empty bags are not supported"),
        ("{'pk': 'k', 'n': 1e200}", None),
    ],
)
def test_insert_refuses(client, one, value, message):
    told = refused(client, f'INSERT INTO "{one}" VALUE {value}')
    assert message is None or told.startswith(message)
    assert client.scan(TableName=one)["Count"] == 0


def test_insert_too_large(client, one):
    message = refused(client, f"INSERT INTO \"{one}\" VALUE {{'pk': 'k', 'v': ?}}", S("x" * 409600))
    assert message == "Item size has exceeded the maximum allowed size"


# ---- SELECT: what it shows ----


@pytest.fixture
def documents(client, one):
    put(
        client,
        one,
        pk=S("k"),
        n=N(5),
        s=S("hello"),
        l={"L": [S("x"), {"M": {"deep": S("y")}}, N(3)]},
        m={"M": {"a": {"M": {"b": N(1)}}, "odd name": S("o")}},
        ss={"SS": ["p", "q"]},
    )
    return one


@pytest.mark.parametrize(
    "columns, shown",
    [
        ("pk, n", {"pk": S("k"), "n": N(5)}),
        ("m.a.b", {"b": N(1)}),
        ("m.a", {"a": {"M": {"b": N(1)}}}),
        ("l[1]", {"l[1]": {"M": {"deep": S("y")}}}),
        ("l[1].deep", {"deep": S("y")}),
        ("m.\"odd name\"", {"odd name": S("o")}),
        ("\"n\", \"s\"", {"n": N(5), "s": S("hello")}),
        ("absent", {}),
        ("absent, n", {"n": N(5)}),
    ],
)
def test_select_shows_columns_under_the_last_name_of_their_path(client, documents, columns, shown):
    assert items(client, f"SELECT {columns} FROM \"{documents}\" WHERE pk = 'k'") == [shown]


@pytest.mark.parametrize(
    "condition, holds",
    [
        ("n = 5", True),
        ("n <> 5", False),
        ("n != 6", True),
        ("n < 6 AND n > 4 AND n <= 5 AND n >= 5", True),
        ("n BETWEEN 5 AND 6", True),
        ("n NOT BETWEEN 5 AND 6", False),
        ("n IN [1, 5]", True),
        ("n IN (1, 2)", False),
        ("NOT n IN (1, 2)", True),
        ("s = 'hello'", True),
        ("begins_with(s, 'hel')", True),
        ("begins_with(\"s\", 'lo')", False),
        ("contains(s, 'ell')", True),
        ("contains(ss, 'p')", True),
        ("contains(l, 'x')", True),
        ("attribute_type(n, 'N')", True),
        ("attribute_type(s, 'N')", False),
        ("size(s) = 5", True),
        ("size(ss) > 2", False),
        ("absent IS MISSING", True),
        ("n IS MISSING", False),
        ("n IS NOT MISSING", True),
        ("n IS NULL", False),
        ("n IS NOT NULL", True),
        ("m.a.b = 1", True),
        ("l[1].deep = 'y'", True),
        ("l[2] = 3 AND (s = 'no' OR n = 5)", True),
        ("ss = <<'q', 'p'>>", True),
        ("m.a = {'b': 1}", True),
        ("l = ['x', {'deep': 'y'}, 3]", True),
        ("5 = n", True),
        ("n = m.a.b", False),
        ("n > m.a.b", True),
        ("\"n\" = 5 -- and a comment", True),
        ("n /* here too */ = 5", True),
    ],
)
def test_select_filters(client, documents, condition, holds):
    assert len(items(client, f'SELECT pk FROM "{documents}" WHERE {condition}')) == holds


def test_select_without_where_is_a_scan(client, two):
    fill(client, two)
    found = items(client, f'SELECT * FROM "{two}"')
    assert sorted((i["pk"]["S"], int(i["sk"]["N"])) for i in found) == [(p, n) for p in "ab" for n in range(1, 6)]


# ---- SELECT: how it is read ----


@pytest.mark.parametrize(
    "condition, keys, units",
    [
        ("pk = 'a' AND sk = 3", "a3", 0.5),
        ("pk = 'a'", "a1 a2 a3 a4 a5", 0.5),
        ("pk = 'a' AND sk > 3", "a4 a5", 0.5),
        ("pk = 'a' AND sk BETWEEN 2 AND 3", "a2 a3", 0.5),
        ("pk = 'a' AND sk >= 2 AND sk < 4", "a2 a3", 0.5),
        ("pk IN ['a', 'b'] AND sk = 2", "a2 b2", 1.0),
        ("pk = 'a' AND sk IN [1, 4]", "a1 a4", 1.0),
        ("(pk = 'a' OR pk = 'b') AND sk = 1", "a1 b1", 1.0),
        ("(pk = 'a' AND sk = 1) OR (pk = 'b' AND sk = 5)", "a1 b5", 1.0),
        ("pk = 'a' AND v > 30", "a4 a5", 0.5),
        ("pk = 'a' AND sk <> 2", "a1 a3 a4 a5", 0.5),
        ("sk = 1", "a1 b1", 0.5),
        ("pk = 'nobody'", "", 0.5),
        ("pk = 'a' AND pk = 'b'", "", None),
    ],
)
def test_select_reads_only_what_its_keys_name(client, two, condition, keys, units):
    fill(client, two)
    reply = run(client, f'SELECT * FROM "{two}" WHERE {condition}', ReturnConsumedCapacity="TOTAL")
    assert " ".join(sorted(i["pk"]["S"] + i["sk"]["N"] for i in reply["Items"])) == keys
    if units is not None:
        assert reply["ConsumedCapacity"] == {"TableName": two, "CapacityUnits": units}


def test_consistent_reads_cost_double(client, two):
    fill(client, two)
    reply = run(client, f"SELECT * FROM \"{two}\" WHERE pk = 'a'", ConsistentRead=True, ReturnConsumedCapacity="INDEXES")
    assert reply["ConsumedCapacity"] == {"TableName": two, "CapacityUnits": 1.0, "Table": {"CapacityUnits": 1.0}}


@pytest.mark.parametrize(
    "order, keys",
    [
        ("pk = 'a' ORDER BY sk", "1 2 3 4 5"),
        ("pk = 'a' ORDER BY pk", "5 4 3 2 1"),
        ("pk = 'a' ORDER BY sk ASC", "1 2 3 4 5"),
        ("pk = 'a' ORDER BY sk DESC", "5 4 3 2 1"),
    ],
)
def test_order_by(client, two, order, keys):
    fill(client, two)
    assert " ".join(i["sk"]["N"] for i in items(client, f'SELECT * FROM "{two}" WHERE {order}')) == keys


def test_order_by_partition_key(client, two):
    fill(client, two, each=2)
    where = f"SELECT * FROM \"{two}\" WHERE pk IN ['a', 'b'] ORDER BY "
    order = lambda by: " ".join(i["pk"]["S"] + i["sk"]["N"] for i in items(client, where + by))
    assert order("pk DESC, sk ASC") == "b1 b2 a1 a2"
    assert order("pk ASC, sk DESC") == "a2 a1 b2 b1"


@pytest.mark.parametrize(
    "tail, message",
    [
        ("ORDER BY sk", "Must have WHERE clause in the statement when using ORDER BY clause."),
        ("WHERE sk = 1 ORDER BY sk", "Must have at least one non-optional hash key condition in WHERE clause when using "
         "ORDER BY clause."),
        ("WHERE pk = 'a' ORDER BY v", "Attribute v in ORDER BY clause must be part of the primary key"),
        ("WHERE pk IN ['a', 'b'] ORDER BY sk", "Must have hash key in ORDER BY clause when more than one hash key "
         "condition specified in WHERE clause."),
        ("WHERE pk = 1", "Key attribute's data type should match its data type in table's schema: Key pk"),
        ("WHERE pk = 'a' AND (sk > 1 OR sk < 3)",
         "Overlapping conditions with range keys are not supported in where clause"),
        ("WHERE pk IN [" + ",".join(f"'{i}'" for i in range(51)) + "]",
         "Too many decomposed read operations for a given query."),
    ],
)
def test_select_refuses(client, two, tail, message):
    assert refused(client, f'SELECT * FROM "{two}" {tail}') == message


# ---- pages ----


def test_limit_counts_what_was_looked_at_and_pages_hold_everything(client, two):
    fill(client, two, partitions="abc", each=7)
    for statement, count in [
        (f'SELECT * FROM "{two}"', 21),
        (f"SELECT * FROM \"{two}\" WHERE pk = 'b'", 7),
        (f"SELECT * FROM \"{two}\" WHERE pk IN ['a', 'b', 'c'] ORDER BY pk ASC, sk DESC", 21),
        (f"SELECT * FROM \"{two}\" WHERE pk IN ['a', 'c'] AND sk IN [2, 4, 6]", 6),
        (f"SELECT * FROM \"{two}\" WHERE pk = 'b' AND v > 40", 3),
        (f"SELECT * FROM \"{two}\" WHERE (pk = 'a' AND sk > 3) OR (pk = 'b' AND sk < 3) OR pk = 'c'", 13),
    ]:
        whole = items(client, statement)
        assert len(whole) == count
        for limit in 1, 2, 3, 100:
            found, pages = every(client, statement, limit=limit)
            assert found == whole
            assert pages >= count / limit


def test_a_token_goes_on_from_its_page_also_after_writes(client, two):
    fill(client, two, partitions="a", each=6)
    statement = f"SELECT sk FROM \"{two}\" WHERE pk = 'a'"
    first = run(client, statement, Limit=3)
    assert [i["sk"]["N"] for i in first["Items"]] == ["1", "2", "3"]
    assert first["LastEvaluatedKey"] == {"pk": S("a"), "sk": N(3)}
    client.delete_item(TableName=two, Key={"pk": S("a"), "sk": N(3)})
    rest = run(client, statement, NextToken=first["NextToken"])
    assert [i["sk"]["N"] for i in rest["Items"]] == ["4", "5", "6"]
    assert "NextToken" not in rest


def test_tokens_are_of_one_request_and_cannot_be_made(client, two, make_table):
    fill(client, two, partitions="ab", each=3)
    statement = f'SELECT * FROM "{two}" WHERE pk = ?'
    token = run(client, statement, S("a"), Limit=1)["NextToken"]
    assert len(items(client, statement, S("a"), NextToken=token)) == 2
    assert refused(client, statement, S("b"), NextToken=token) == "NextToken does not match request"
    assert refused(client, statement + " ", S("a"), NextToken=token) == "NextToken does not match request"
    for bad in "x", "AAAA", token[:-4], "B" + token[1:], token + "AAAA", "%" + token:
        assert refused(client, statement, S("a"), NextToken=bad) in ("Invalid NextToken",)
    raw = bytearray(base64.b64decode(token))
    for at in range(len(raw)):
        raw[at] ^= 1
        assert refused(client, statement, S("a"), NextToken=base64.b64encode(bytes(raw)).decode())
        raw[at] ^= 1


def test_pages_end_at_a_megabyte(client, two):
    for n in range(12):
        put(client, two, pk=S("a"), sk=N(n), v=S("x" * 200_000))
    found, pages = every(client, f"SELECT sk FROM \"{two}\" WHERE pk = 'a'")
    assert [int(i["sk"]["N"]) for i in found] == list(range(12))
    assert pages >= 2
    found, pages = every(client, f"SELECT sk FROM \"{two}\" WHERE pk = 'a' AND sk IN [{','.join(map(str, range(12)))}]")
    assert [int(i["sk"]["N"]) for i in found] == list(range(12))
    assert pages >= 2


# ---- indexes ----


@pytest.fixture
def indexed(client, make_table):
    return make_table(
        "pk:S,sk:N",
        attributes={"g": "S", "h": "N"},
        LocalSecondaryIndexes=[
            {
                "IndexName": "local",
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "h", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "global",
                "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}, {"AttributeName": "h", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["v"]},
            }
        ],
    )


def test_select_from_indexes(client, indexed):
    for n in range(4):
        put(client, indexed, pk=S("a"), sk=N(n), g=S("x"), h=N(9 - n), v=N(n), w=N(n))
    found = items(client, f"SELECT * FROM \"{indexed}\".\"global\" WHERE g = 'x' AND h > 6")
    assert found == [
        {"pk": S("a"), "sk": N(n), "g": S("x"), "h": N(9 - n), "v": N(n)} for n in (2, 1, 0)
    ]
    reply = run(client, f"SELECT sk, w FROM \"{indexed}\".\"local\" WHERE pk = 'a' AND h = 7", ReturnConsumedCapacity="INDEXES")
    assert reply["Items"] == [{"sk": N(2), "w": N(2)}]
    assert reply["ConsumedCapacity"] == {
        "TableName": indexed,
        "CapacityUnits": 1.0,
        "Table": {"CapacityUnits": 0.5},
        "LocalSecondaryIndexes": {"local": {"CapacityUnits": 0.5}},
    }
    found, pages = every(client, f"SELECT sk FROM \"{indexed}\".\"global\" WHERE g = 'x' ORDER BY h DESC", limit=1)
    assert [i["sk"]["N"] for i in found] == ["0", "1", "2", "3"]
    assert pages >= 4


@pytest.mark.parametrize(
    "statement, message",
    [
        ("SELECT w FROM {t}.\"global\" WHERE g = 'x'",
         "One or more parameter values were invalid: Global secondary index global does not project [w]"),
        ("SELECT v FROM {t}.\"global\" WHERE g = 'x' AND w = 1",
         "One or more parameter values were invalid: Secondary index global does not project one or more filter "
         "attributes: [w]"),
        ("SELECT * FROM {t}.\"absent\" WHERE g = 'x'", "The table does not have the specified index"),
        ("UPDATE {t}.\"global\" SET v = 1 WHERE pk = 'a' AND sk = 1", "This operation is not supported on an index"),
    ],
)
def test_indexes_refuse(client, indexed, statement, message):
    assert refused(client, statement.format(t=quoted(indexed))) == message


def test_global_indexes_are_not_read_consistently(client, indexed):
    message = refused(client, f"SELECT v FROM \"{indexed}\".\"global\" WHERE g = 'x'", ConsistentRead=True)
    assert message == "Strongly consistent read is not supported on Global Secondary Indexes"


# ---- UPDATE ----


@pytest.mark.parametrize(
    "clauses, change",
    [
        ("SET n = 2", {"n": N(2)}),
        ("SET n = n + 5", {"n": N(6)}),
        ("SET n = n - 5 SET fresh = 'x'", {"n": N(-4), "fresh": S("x")}),
        ("SET n = 2, s = 'y'", {"n": N(2), "s": S("y")}),
        ("SET m.a = 1", {"m": {"M": {"a": N(1), "b": N(2)}}}),
        ("SET l[0] = 'first'", {"l": {"L": [S("first"), S("y")]}}),
        ("SET l = list_append(l, ['z'])", {"l": {"L": [S("x"), S("y"), S("z")]}}),
        ("SET l = list_append([0], l)", {"l": {"L": [N(0), S("x"), S("y")]}}),
        ("SET ss = set_add(ss, <<'c'>>)", {"ss": {"SS": ["a", "b", "c"]}}),
        ("SET ss = set_delete(ss, <<'a'>>)", {"ss": {"SS": ["b"]}}),
        ("REMOVE s", {"s": None}),
        ("REMOVE m.b REMOVE l[0]", {"m": {"M": {"a": N(0)}}, "l": {"L": [S("y")]}}),
        ("SET n = 3 REMOVE s", {"n": N(3), "s": None}),
        ("SET d = {'x': <<1>>}", {"d": {"M": {"x": {"NS": ["1"]}}}}),
        ("SET copy = n", {"copy": N(1)}),
    ],
)
def test_update(client, one, clauses, change):
    before = {
        "pk": S("k"),
        "n": N(1),
        "s": S("x"),
        "l": {"L": [S("x"), S("y")]},
        "m": {"M": {"a": N(0), "b": N(2)}},
        "ss": {"SS": ["a", "b"]},
    }
    put(client, one, **before)
    assert run(client, f"UPDATE \"{one}\" {clauses} WHERE pk = 'k'")["Items"] == []
    after = get(client, one, pk=S("k"))
    after["ss"]["SS"].sort()
    assert after == {name: value for name, value in {**before, **change}.items() if value is not None}


def test_update_with_the_table_behind_from(client, one):
    put(client, one, pk=S("k"))
    run(client, f"FROM \"{one}\" WHERE pk = 'k' SET n = 1")
    assert get(client, one, pk=S("k"))["n"] == N(1)


def test_update_of_a_missing_item_fails(client, one):
    assert error(client, f"UPDATE \"{one}\" SET n = 1 WHERE pk = 'k'") == ("ConditionalCheckFailedException", FAILED)
    assert get(client, one, pk=S("k")) is None


def test_update_conditions(client, one):
    put(client, one, pk=S("k"), n=N(1))
    statement = f"UPDATE \"{one}\" SET n = n + 1 WHERE pk = 'k' AND n = ?"
    run(client, statement, N(1))
    assert error(client, statement, N(1)) == ("ConditionalCheckFailedException", FAILED)
    with pytest.raises(ClientError) as failure:
        run(client, statement, N(1), ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert failure.value.response["Item"] == {"pk": S("k"), "n": N(2)}
    assert get(client, one, pk=S("k"))["n"] == N(2)


@pytest.mark.parametrize(
    "returning, shown",
    [
        ("ALL OLD *", {"pk": S("k"), "n": N(1), "m": {"M": {"a": N(1), "b": N(1)}}}),
        ("ALL NEW *", {"pk": S("k"), "n": N(2), "m": {"M": {"a": N(5), "b": N(1)}}}),
        ("MODIFIED OLD *", {"n": N(1), "m": {"M": {"a": N(1)}}}),
        ("MODIFIED NEW *", {"n": N(2), "m": {"M": {"a": N(5)}}}),
    ],
)
def test_update_returning(client, one, returning, shown):
    put(client, one, pk=S("k"), n=N(1), m={"M": {"a": N(1), "b": N(1)}})
    assert items(client, f"UPDATE \"{one}\" SET n = 2 SET m.a = 5 WHERE pk = 'k' RETURNING {returning}") == [shown]


def test_update_returning_nothing(client, one):
    put(client, one, pk=S("k"))
    assert items(client, f"UPDATE \"{one}\" SET n = 2 WHERE pk = 'k' RETURNING MODIFIED OLD *") == []


@pytest.mark.parametrize(
    "statement, message",
    [
        ("UPDATE {t} SET v = 1 WHERE pk = 'a'", NO_KEY),
        ("UPDATE {t} SET v = 1", NO_KEY),
        ("UPDATE {t} SET v = 1 WHERE pk = 'a' AND sk > 1", NO_KEY),
        ("UPDATE {t} SET v = 1 WHERE pk = 'a' OR sk = 1", NO_KEY),
        ("UPDATE {t} SET v = 1 WHERE pk = 'a' AND pk = 'b' AND sk = 1",
         "Multiple conditions on same key pk. Only single item Update/Insert/Delete are supported"),
        ("UPDATE {t} SET v = 1 WHERE pk = 1 AND sk = 1",
         "Key attribute's data type should match its data type in table's schema: Key pk"),
        ("UPDATE {t} SET sk = 2 WHERE pk = 'a' AND sk = 1", None),
        ("UPDATE {t} SET v = nope(v) WHERE pk = 'a' AND sk = 1", None),
        ("UPDATE {t} SET v = v + 'x' WHERE pk = 'a' AND sk = 1", None),
        ("UPDATE {t} SET v = 1 SET v = 2 WHERE pk = 'a' AND sk = 1", None),
        ("DELETE FROM {t} WHERE pk = 'a'", NO_KEY),
        ("DELETE FROM {t}", NO_KEY),
        ("DELETE FROM {t} WHERE pk = 'a' AND sk = 1 RETURNING ALL NEW *",
         "Invalid returning clause: RETURNING ALL NEW *. Only RETURNING ALL OLD * is allowed in DELETE statements."),
    ],
)
def test_writes_refuse(client, two, statement, message):
    put(client, two, pk=S("a"), sk=N(1), v=N(1))
    told = refused(client, statement.format(t=quoted(two)))
    assert message is None or told == message
    assert get(client, two, pk=S("a"), sk=N(1)) == {"pk": S("a"), "sk": N(1), "v": N(1)}


# ---- DELETE ----


def test_delete(client, two):
    put(client, two, pk=S("a"), sk=N(1), v=N(7))
    statement = f'DELETE FROM "{two}" WHERE pk = ? AND sk = ? AND v = 8'
    assert error(client, statement, S("a"), N(1)) == ("ConditionalCheckFailedException", FAILED)
    statement = f'DELETE FROM "{two}" WHERE pk = ? AND sk = ? RETURNING ALL OLD *'
    assert items(client, statement, S("a"), N(1)) == [{"pk": S("a"), "sk": N(1), "v": N(7)}]
    assert items(client, statement, S("a"), N(1)) == []
    assert run(client, f"DELETE FROM \"{two}\" WHERE pk = 'a' AND sk = 1 AND v = 8")["Items"] == []


def test_writes_tell_what_they_cost(client, one):
    reply = run(client, f"INSERT INTO \"{one}\" VALUE {{'pk': 'k', 'v': ?}}", S("x" * 2000), ReturnConsumedCapacity="TOTAL")
    assert reply["ConsumedCapacity"] == {"TableName": one, "CapacityUnits": 2.0}
    reply = run(client, f"DELETE FROM \"{one}\" WHERE pk = 'k'", ReturnConsumedCapacity="INDEXES")
    assert reply["ConsumedCapacity"] == {"TableName": one, "CapacityUnits": 2.0, "Table": {"CapacityUnits": 2.0}}


# ---- the text ----


@pytest.mark.parametrize(
    "statement, message",
    [
        ("SELECT * FROM", NOT_WELL + "Unexpected term"),
        ("SELECT * FROM t WHERE", NOT_WELL + "Unexpected term"),
        ("SELECT * FROM t WHERE NOT", NOT_WELL + "Unexpected term"),
        ("SELECT * FROM t WHERE pk = 1 AND", NOT_WELL + "Missing right-hand side expression of infix operator"),
        ("SELECT * FROM t WHERE ORDER BY pk", NOT_WELL + "Unexpected keyword"),
        ("SELECT * FROM t WHERE pk = LIKE", NOT_WELL + "Unexpected operator"),
        ("SELECT * FROM t WHERE x IS FOO", NOT_WELL + "Expected type name"),
        ("SELECT * FROM t nonsense nonsense", NOT_WELL + "Unexpected token after expression"),
        ("SLECT * FROM t", NOT_WELL + "Expected data manipulation"),
        ("DELETE FROM", NOT_WELL + "Expected identifier for simple path"),
        ("SELECT * FROM t WHERE a = 'open", NOT_WELL),
        ("SELECT * FROM t AS x", "Aliasing is not supported"),
        ("SELECT * FROM t, u", "Only select from a single table or index is supported."),
        ("SELECT * FROM t WHERE pk = ?", "Number of parameters in request and statement don't match."),
        ("SELECT * FROM a.b.c", "A path may contain at most 2 components in the FROM clause"),
        ("SELECT * FROM \"\"", "Path component cannot be an empty string"),
        ("SELECT COUNT(*) FROM t", "Unexpected path component at 1:8:5"),
        ("EXISTS(SELECT * FROM t WHERE pk = 1)", "EXISTS can only be used in ExecuteTransaction write requests."),
    ],
)
def test_statements_that_are_not_well_formed(client, statement, message):
    assert refused(client, statement) == message


def test_a_table_that_is_not_there(client):
    for statement in "SELECT * FROM {t}", "INSERT INTO {t} VALUE {{'pk': 'x'}}", "DELETE FROM {t} WHERE pk = 'x'":
        code, message = error(client, statement.format(t='"no-such-table"'))
        assert (code, message) == ("ResourceNotFoundException", NO_TABLE)


def test_hostile_statements_are_refused(client, loose_client, one):
    for statement in [
        "(" * 8000,
        "SELECT * FROM t WHERE " + "NOT " * 2000 + "a",
        "SELECT * FROM t WHERE " + "(" * 4000 + "1" + ")" * 4000,
        f"INSERT INTO \"{one}\" VALUE {{'pk': 'x', 'l': " + "[" * 3000 + "]" * 3000 + "}",
        f"INSERT INTO \"{one}\" VALUE " + "{'a':" * 1500 + "1" + "}" * 1500,
        "SELECT " + "a." * 4000 + "a FROM t",
        "SELECT * FROM t WHERE a = " + "9" * 8000,
        "SELECT * FROM t WHERE a = 1e99999999999999999999",
        "SELECT * FROM t WHERE a IN [" + ",".join("1" for _ in range(4000)) + "]",
        "SELECT * FROM t WHERE " + " OR ".join(f"(a={n} AND b={n})" for n in range(300)),
        "\x00", "'", '"', "--", "/*", "?" * 8000, "\u2028", "SELECT * FROM \U0001f600",
        "<<" * 4000, "SELECT * FROM t WHERE a[9999999999999] = 1", ";" * 8000,
    ]:
        code, _ = error(loose_client, statement)
        assert code in ("ValidationException", "ResourceNotFoundException"), statement[:60]
    assert "length less than or equal to 8192" in refused(loose_client, "x" * 8193)
    assert "length greater than or equal to 1" in refused(loose_client, "")


# ---- against the other operations ----


def test_arithmetic_is_exact(client, one):
    put(client, one, pk=S("k"), n=N("0.1"))
    run(client, f"UPDATE \"{one}\" SET n = n + 0.2 WHERE pk = 'k'")
    assert Decimal(get(client, one, pk=S("k"))["n"]["N"]) == Decimal("0.3")
    run(client, f"UPDATE \"{one}\" SET n = n + 1e36 WHERE pk = 'k'")
    assert Decimal(get(client, one, pk=S("k"))["n"]["N"]) == Decimal("1000000000000000000000000000000000000.3")


def test_select_finds_what_query_finds(client, two):
    fill(client, two, partitions="ab", each=20)
    for operator in "=", "<", "<=", ">", ">=":
        for at in 0, 1, 10, 20, 21:
            query = client.query(
                TableName=two,
                KeyConditionExpression=f"pk = :p AND sk {operator} :s",
                ExpressionAttributeValues={":p": S("b"), ":s": N(at)},
            )
            assert items(client, f'SELECT * FROM "{two}" WHERE pk = ? AND sk {operator} ?', S("b"), N(at)) == query["Items"]


def test_tables_of_clients_are_found_by_any_writing(client, make_table):
    name = create(client, "pk:S")
    try:
        put(client, name, pk=S("k"))
        for text in f'select * from "{name}" where pk = \'k\'', f'SELECT *\nFROM\t"{name}"\r\nWHERE "pk"=\'k\';':
            assert items(client, text) == [{"pk": S("k")}]
    finally:
        client.delete_table(TableName=name)
