"""--error-wording: the same refusals in the classic and in the newer words (docs/ERRORS.md)."""

import pytest
from botocore.exceptions import ClientError

from conftest import create, make_client

ONE = "1 validation error detected: "
INVALID = "One or more parameter values were invalid: "
AT_LEAST_ONE = " failed to satisfy constraint: Member must have length greater than or equal to 1"
BIG = "x" * 300_000  # such a body is read on the I/O pool

# operation, request, classic, 2026
CASES = [
    ("PutItem", {"TableName": "", "Item": {"pk": {"S": "a"}}}, f"{ONE}Value '' at 'tableName'{AT_LEAST_ONE}", f"{ONE}Value at 'TableName'{AT_LEAST_ONE}"),
    (
        "PutItem",
        {"TableName": "T", "Item": {"pk": {"S": "a"}, "s": {"SS": ["b", "a", "b"]}, "big": {"S": BIG}}},
        f"{INVALID}Input collection [b, a, b] contains duplicates.",
        f'{ONE}{INVALID}Input collection ["a", "b", "b"] contains duplicates.',
    ),
    (
        "UpdateItem",
        {"TableName": "T", "Key": {"pk": {"S": "a"}}, "UpdateExpression": "SET a = :v", "ExpressionAttributeValues": {":v": {"N": ""}}},
        "ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric value for key :v",
        f"{ONE}The parameter cannot be converted to a numeric value: ",
    ),
    (
        "UpdateItem",
        {"TableName": "T", "Key": {"pk": {"S": "a"}}, "ReturnValues": "X", "ReturnConsumedCapacity": "X"},
        "2 validation errors detected: Value 'X' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value "
        "set: [INDEXES, TOTAL, NONE]; Value 'X' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: "
        "[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]",
        f"{ONE}Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]",
    ),
    (
        "DeleteItem",
        {"TableName": "T", "Key": {"pk": {"S": "a"}}, "ConditionExpression": ""},
        "Invalid ConditionExpression: The expression can not be empty;",
        f"{ONE}Invalid ConditionExpression: The expression can not be empty;",
    ),
    (
        "GetItem",
        {"TableName": "T", "Key": {"pk": {"SS": ["b", "a", "b"]}}},
        f"{INVALID}Input collection [b, a, b] contains duplicates.",
        f'{INVALID}Input collection ["a", "b", "b"] contains duplicates.',
    ),
    (
        "Scan",
        {"TableName": "T", "FilterExpression": "a = :v", "ExpressionAttributeValues": {":v": {"N": ""}}},
        "ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric value for key :v",
        "ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric value for key :v",
    ),
    ("BatchGetItem", {"RequestItems": {}}, "The requestItems parameter is required for BatchGetItem", f"{ONE}Value at 'RequestItems'{AT_LEAST_ONE}"),
    ("TransactWriteItems", {"TransactItems": []}, f"{ONE}Value '[]' at 'transactItems'{AT_LEAST_ONE}", f"{ONE}Value at 'TransactItems'{AT_LEAST_ONE}"),
    # what the table shows is worded alike
    (
        "UpdateItem",
        {"TableName": "T", "Key": {"pk": {"S": "a"}}, "UpdateExpression": "SET pk = :v", "ExpressionAttributeValues": {":v": {"S": "b"}}},
        f"{INVALID}Cannot update attribute pk. This attribute is part of the key",
        f"{INVALID}Cannot update attribute pk. This attribute is part of the key",
    ),
]


def told(client, operation, request):
    call = "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")
    with pytest.raises(ClientError) as failure:
        getattr(client, call)(**request)
    error = failure.value.response["Error"]
    assert error["Code"] == "ValidationException"
    return error["Message"]


@pytest.mark.parametrize("wording", [None, "classic", "2026"])
def test_each_wording_tells_the_same_refusals_in_its_own_words(start_server, wording):
    server = start_server("--ephemeral", *(["--error-wording", wording] if wording else []))
    client = make_client(server.endpoint, parameter_validation=False)
    create(client, "pk:S", name="T-a")
    for operation, request, classic, newer in CASES:
        request = {k: "T-a" if k == "TableName" and v == "T" else v for k, v in request.items()}
        assert told(client, operation, request) == (newer if wording == "2026" else classic), (operation, wording)


def test_an_unknown_wording_is_refused_at_the_start(start_server):
    server = start_server("--ephemeral", "--error-wording", "2025", wait=False)
    server.expected_code = 2
    assert server.process.wait(10) == 2
    assert "error-wording" in server.log()
