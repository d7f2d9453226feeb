"""Random requests, answered by the server and by model.py: both must say the same.

MODEL_STEPS=20000 MODEL_SEED=7 pytest tests/integration/test_model.py is the long form.
"""

import os
import random
import time
from decimal import Decimal

import pytest

from conftest import unique_name
from model import (
    Index,
    Refused,
    Table,
    copied,
    freeze,
    freeze_item,
    holds,
    invalid,
    item_from_json,
    item_size,
    item_to_json,
    number_text,
    order,
    to_json,
    update,
)
from raw_http import Connection

STEPS = int(os.environ.get("MODEL_STEPS", "1500"))
SEED = int(os.environ.get("MODEL_SEED", "0")) or random.randrange(1 << 30)

STRINGS = ["", "a", "ab", "abc", "b", "a\0", "a\0\0", "\0", "a\x01", "ä", "ab\uffff", "😀", "a😀", "zz", "\x7f", "\ud7ff", "\ue000"]
BINARIES = [b"", b"\0", b"\0\0", b"\0\1", b"\0\xff", b"\xff", b"\xff\xff", b"\xff\0", b"a", b"a\0", b"a\0b", b"a\xff", b"b", b"\xfe"]
NUMBERS = [
    Decimal(text)
    for text in (
        "0 1 -1 2 3 -2 9 10 11 99 100 -99 -100 0.1 -0.1 0.01 1.5 -1.5 0.99 1E-130 -1E-130 1.1E-130 1E125 -1E125 12345678901234567890 "
        "9.9999999999999999999999999999999999999E125 -9.9999999999999999999999999999999999999E125 "
        "12345678901234567890123456789012345678 0.12345678901234567890123456789012345678 1000000 1000001 1E37 1E38 1.00001"
    ).split()
]
NAMES = ["v", "w", "x", "y", "g", "l", "s2", "b"]


class Generator:
    def __init__(self, dice):
        self.dice = dice

    def chance(self, p):
        return self.dice.random() < p

    def number(self):
        dice = self.dice
        if self.chance(0.7):
            return dice.choice(NUMBERS[:20] if self.chance(0.7) else NUMBERS)
        digits = dice.randrange(10 ** dice.randint(1, 38))
        return Decimal(digits).scaleb(dice.randint(-92, 87)) * dice.choice((1, -1))

    def text(self, number):
        """One of the ways to write a number."""
        form = self.dice.randrange(4)
        if form == 0:
            return number_text(number)
        if form == 1:
            sign, digits, exponent = number.as_tuple()
            return f"{'-' * sign}{''.join(map(str, digits))}e{exponent:+d}"
        if form == 2 and "." in number_text(number):
            return number_text(number) + "0" * self.dice.randint(1, 3)
        return str(number)

    def scalar(self, kind):
        dice = self.dice
        if kind == "S":
            return kind, dice.choice(STRINGS)
        if kind == "N":
            return kind, self.number()
        if kind == "B":
            return kind, dice.choice(BINARIES)
        return (kind, self.chance(0.5)) if kind == "BOOL" else (kind, True)

    def value(self, depth=0):
        dice = self.dice
        kind = dice.choice(("S", "N", "N", "S", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M") if depth < 3 else ("S", "N", "B"))
        if kind == "SS":
            return kind, frozenset(dice.sample(STRINGS[1:], dice.randint(1, 4)))
        if kind == "BS":
            return kind, frozenset(dice.sample(BINARIES[1:], dice.randint(1, 4)))
        if kind == "NS":
            return kind, frozenset(dice.sample(NUMBERS, dice.randint(1, 4)))
        if kind == "L":
            return kind, [self.value(depth + 1) for _ in range(dice.randrange(4))]
        if kind == "M":
            return kind, {dice.choice("kln"): self.value(depth + 1) for _ in range(dice.randrange(4))}
        return self.scalar(kind)

    def key_value(self, kind, pool=8):
        """Few different ones, so that requests meet; never empty."""
        dice = self.dice
        if kind == "S":
            return kind, dice.choice(STRINGS[1:pool])
        if kind == "B":
            return kind, dice.choice(BINARIES[1:pool])
        return kind, dice.choice(NUMBERS[:pool]) if self.chance(0.9) else self.number()

    def key(self, table):
        return {name: self.key_value(kind, 4 if i == 0 else 14) for i, (name, kind) in enumerate(table.keys)}

    def index_keys(self, table):
        return {name: kind for index in table.indexes.values() for name, kind in index.keys if name not in dict(table.keys)}

    def item(self, table):
        dice = self.dice
        item = {name: self.value() for name in dice.sample(NAMES, dice.randint(0, 4))}
        if self.chance(0.3):
            item["m"] = ("M", {"k": self.value(1), "l": ("L", [self.value(2), self.value(2)])})
        if self.chance(0.2):
            item["n"] = ("L", [self.value(1) for _ in range(3)])
        if self.chance(0.1):
            item["pad"] = ("S", "p" * dice.choice((10, 1000, 1010, 1024, 4096, 30000)))
        for name, kind in self.index_keys(table).items():
            if self.chance(0.93):  # else whatever it has, mostly of a wrong type
                item.pop(name, None)
                if self.chance(0.7):
                    item[name] = self.key_value(kind)
        item.update(self.key(table))
        return item

    def path(self, nested=0.3):
        dice = self.dice
        if self.chance(nested):
            return dice.choice((("m", "k"), ("m", "l", 0), ("m", "l", 1), ("m", "l", 7), ("m", "x", "y"), ("n", 0), ("n", 2), ("n", 9), ("n", 1, "k"), ("v", "k")))
        return (dice.choice([*NAMES, "m", "n"]),)

    def condition(self, depth=0):
        dice = self.dice
        op = dice.choice(
            ("=", "<>", "<", "<=", ">", ">=", "between", "in", "exists", "not exists", "type", "begins", "contains", "size", "and", "or", "not")
            if depth < 3
            else ("=", "exists", "not exists", "<")
        )
        path = "path", self.path()
        if op in ("and", "or"):
            return op, *(self.condition(depth + 1) for _ in range(dice.randint(2, 3)))
        if op == "not":
            return op, self.condition(depth + 1)
        if op in ("exists", "not exists"):
            return "attribute_" + op.replace(" ", "_"), path
        if op == "type":
            return "attribute_type", path, ("value", ("S", dice.choice(("S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"))))
        if op == "begins":
            return "begins_with", path, ("value", self.scalar(dice.choice("SB")))
        if op == "contains":
            return "contains", path, ("value", self.scalar(dice.choice("SSNB")))
        if op == "size":
            return dice.choice(("=", "<", ">=", "<>")), ("size", path[1]), ("value", ("N", Decimal(dice.randrange(5))))
        if op == "in":
            return op, path, *(("value", self.value(2)) for _ in range(dice.randint(1, 4)))
        if op == "between":
            kind = dice.choice("SNB")
            low, high = sorted((self.scalar(kind), self.scalar(kind)), key=order)
            return op, path, ("value", low), ("value", high)
        while (other := ("path", self.path())) == path:  # "The first operand must be distinct from the remaining operands"
            pass
        if op in ("=", "<>"):
            return op, path, other if self.chance(0.2) else ("value", self.value(1))
        return op, path, other if self.chance(0.2) else ("value", self.scalar(dice.choice("SNB")))

    def term(self, target):
        dice = self.dice
        kind = dice.choice(("value", "value", "value", "path", "if_not_exists", "+", "-", "list_append"))
        value = "value", self.value()
        if kind == "value":
            return value
        if kind == "path":
            return kind, self.path()
        if kind == "if_not_exists":
            return kind, self.path(), value
        if kind == "list_append":
            lists = ("value", ("L", [self.value(1)])), ("path", target if self.chance(0.5) else self.path())
            return kind, *(lists if self.chance(0.5) else lists[::-1])
        left = ("path", target) if self.chance(0.6) else ("if_not_exists", target, ("value", ("N", self.number())))
        return kind, left, ("value", ("N", dice.choice(NUMBERS[:20])))

    def actions(self):
        dice = self.dice
        actions, used = [], set()
        for _ in range(dice.randint(1, 4)):
            path = self.path()
            if path[0] in used:
                continue
            used.add(path[0])
            kind = dice.choice(("SET", "SET", "SET", "REMOVE", "ADD", "DELETE"))
            if kind == "SET":
                actions.append((kind, path, self.term(path)))
            elif kind == "REMOVE":
                actions.append((kind, path))
            else:
                sort = dice.choice(("SS", "NS", "BS") if kind == "DELETE" else ("N", "N", "SS", "NS", "BS"))
                value = self.value()
                while value[0] != sort:
                    value = self.value()
                actions.append((kind, path, value))
        return actions


class Expressions:
    """Text of expressions, with names and values replaced."""

    def __init__(self, generator):
        self.generator, self.names, self.values = generator, {}, {}

    def name(self, name):
        return self.names.setdefault(name, f"#n{len(self.names)}")

    def value(self, value):
        self.values[f":v{len(self.values)}"] = to_json(value, self.generator.text)
        return f":v{len(self.values) - 1}"

    def path(self, path):
        text = self.name(path[0])
        for element in path[1:]:
            text += f".{self.name(element)}" if isinstance(element, str) else f"[{element}]"
        return text

    def operand(self, what):
        kind, content = what
        return self.value(content) if kind == "value" else self.path(content) if kind == "path" else f"size({self.path(content)})"

    def condition(self, condition):
        op, *rest = condition
        if op in ("and", "or"):
            return "(" + f" {op.upper()} ".join(map(self.condition, rest)) + ")"
        if op == "not":
            return f"(NOT {self.condition(rest[0])})"
        operands = [self.operand(r) for r in rest]
        if op == "in":
            return f"{operands[0]} IN ({', '.join(operands[1:])})"
        if op == "between":
            return f"{operands[0]} BETWEEN {operands[1]} AND {operands[2]}"
        if len(op) > 2:
            return f"{op}({', '.join(operands)})"
        return f"{operands[0]} {op} {operands[1]}"

    def term(self, what):
        kind, *rest = what
        if kind == "value":
            return self.value(rest[0])
        if kind == "path":
            return self.path(rest[0])
        if kind == "if_not_exists":
            return f"if_not_exists({self.path(rest[0])}, {self.term(rest[1])})"
        if kind == "list_append":
            return f"list_append({self.term(rest[0])}, {self.term(rest[1])})"
        return f"{self.term(rest[0])} {kind} {self.term(rest[1])}"

    def update(self, actions):
        clauses = {}
        for kind, path, *rest in actions:
            text = self.path(path)
            if kind == "SET":
                text += f" = {self.term(rest[0])}"
            elif rest:
                text += f" {self.value(rest[0])}"
            clauses.setdefault(kind, []).append(text)
        return " ".join(f"{kind} {', '.join(texts)}" for kind, texts in clauses.items())

    def members(self):
        members = {}
        if self.names:
            members["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in self.names.items()}
        if self.values:
            members["ExpressionAttributeValues"] = self.values
        return members


def units(size, step):
    return max(1, -(-size // step))


class Run:
    def __init__(self, connection, generator, table, name):
        self.connection, self.generator, self.dice = connection, generator, generator.dice
        self.table, self.name = table, name
        self.log = []

    def call(self, operation, body):
        self.log = [*self.log[-30:], (operation, body)]
        answer = self.connection.call(operation, body)
        self.log.append(answer.body[:2000])
        if answer.status != 200:
            assert answer.status == 400, (answer.status, answer.body, body)
            raise Refused(answer.error, answer)
        return answer.json

    # ---- writes ----

    def static_type_mismatch(self, actions):
        """Index keys that an update gives a wrong type whatever the item is: told before the condition."""
        types = self.generator.index_keys(self.table)
        for action in actions:
            kind, path = action[:2]
            if len(path) > 1 or path[0] not in types or kind == "REMOVE":
                continue
            if kind in ("ADD", "DELETE"):
                given = action[2][0]
            else:
                what = action[2]
                given = what[1][0] if what[0] == "value" else {"+": "N", "-": "N", "list_append": "L"}.get(what[0])
            if given is not None and given != types[path[0]]:
                return True
        return False

    def decide(self, kind, key, item, actions, condition):
        """The item afterwards, or Refused; does not change the model."""
        old = self.table.get(key)
        if kind == "update" and self.static_type_mismatch(actions):
            raise invalid()
        if kind == "put":
            self.table.check_indexes(item)
        if condition is not None and not holds(condition, old or {}):
            raise Refused("ConditionalCheckFailedException")
        if kind == "put":
            return item
        if kind == "delete":
            return None
        new = update(key, old, actions)
        if new is not None:
            self.table.check_indexes(new, old)
        return new

    def write(self):
        generator, dice = self.generator, self.dice
        kind = dice.choice(("put", "put", "update", "update", "delete"))
        item = generator.item(self.table)
        key = self.table.key_of(item)
        old = self.table.get(key)
        condition = generator.condition() if generator.chance(0.5) else None
        actions = generator.actions() if kind == "update" else []
        expressions = Expressions(generator)
        body = {"TableName": self.name, "ReturnConsumedCapacity": "INDEXES"}
        if kind == "put":
            body["Item"] = item_to_json(item, generator.text)
        else:
            body["Key"] = item_to_json(key, generator.text)
        if kind == "update":
            body["UpdateExpression"] = expressions.update(actions)
        if condition is not None:
            body["ConditionExpression"] = expressions.condition(condition)
            body["ReturnValuesOnConditionCheckFailure"] = dice.choice(("NONE", "ALL_OLD"))
        body["ReturnValues"] = dice.choice(("NONE", "ALL_OLD", *(("ALL_NEW",) if kind == "update" else ())))
        body.update(expressions.members())
        try:
            new, refusal = self.decide(kind, key, item, actions, condition), None
        except Refused as failure:
            new, refusal = None, failure.args[0]
        try:
            answer = self.call(f"{kind.title()}Item", body)
        except Refused as failure:
            assert failure.args[0] == refusal, (failure.args[1].body, refusal)
            shown = failure.args[1].json.get("Item")
            if refusal == "ConditionalCheckFailedException" and body["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD" and old is not None:
                assert freeze_item(item_from_json(shown)) == freeze_item(old)
            else:
                assert shown is None
            return
        assert refusal is None, refusal
        wanted = {"NONE": None, "ALL_OLD": old, "ALL_NEW": new}[body["ReturnValues"]]
        shown = answer.get("Attributes")
        assert (shown and freeze_item(item_from_json(shown))) == (wanted and freeze_item(wanted))
        self.check_write_capacity(answer["ConsumedCapacity"], old, new)
        self.table.put(key, new)

    def index_units(self, index, old, new):
        before = index.project(old, self.table.keys) if old is not None and index.has(old) else None
        after = index.project(new, self.table.keys) if new is not None and index.has(new) else None
        if before is None or after is None:
            there = before or after
            return units(item_size(there), 1024) if there else 0
        if freeze_item(before) == freeze_item(after):
            return 0
        sizes = item_size(before), item_size(after)
        if all(freeze(before[name]) == freeze(after[name]) for name, _ in index.keys):
            return units(max(sizes), 1024)
        return sum(units(s, 1024) for s in sizes)

    def check_write_capacity(self, told, old, new):
        wanted = {None: units(max(item_size(i) for i in (old or {}, new or {})), 1024)}
        for index in self.table.indexes.values():
            if used := self.index_units(index, old, new):
                wanted[index.name] = used
        shown = {None: told["Table"]["CapacityUnits"]}
        for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
            shown.update({name: figure["CapacityUnits"] for name, figure in told.get(kind, {}).items()})
        assert shown == wanted
        assert told["CapacityUnits"] == sum(wanted.values())

    def batch_write(self):
        generator = self.generator
        items = {}
        for _ in range(self.dice.randint(1, 25)):
            item = generator.item(self.table)
            items[freeze_item(self.table.key_of(item))] = item
        requests, after, refused = [], [], False
        for item in items.values():
            key = self.table.key_of(item)
            if generator.chance(0.3):
                requests.append({"DeleteRequest": {"Key": item_to_json(key, generator.text)}})
                after.append((key, None))
                continue
            try:
                self.table.check_indexes(item)
            except Refused:
                if not generator.chance(0.05):
                    continue
                refused = True
            requests.append({"PutRequest": {"Item": item_to_json(item, generator.text)}})
            after.append((key, item))
        if not requests:
            return
        try:
            answer = self.call("BatchWriteItem", {"RequestItems": {self.name: requests}})
        except Refused as failure:
            assert refused and failure.args[0] == "ValidationException", failure.args[1].body
            return
        assert not refused and answer["UnprocessedItems"] == {}
        for key, item in after:
            self.table.put(key, item)

    # ---- reads ----

    def get(self):
        key = self.generator.key(self.table)
        consistent = self.generator.chance(0.5)
        answer = self.call(
            "GetItem",
            {"TableName": self.name, "Key": item_to_json(key, self.generator.text), "ConsistentRead": consistent, "ReturnConsumedCapacity": "TOTAL"},
        )
        wanted = self.table.get(key)
        assert ("Item" in answer) == (wanted is not None)
        if wanted is not None:
            assert freeze_item(item_from_json(answer["Item"])) == freeze_item(wanted)
        used = units(item_size(wanted or {}), 4096) * (1 if consistent else 0.5)
        assert answer["ConsumedCapacity"]["CapacityUnits"] == used

    def batch_get(self):
        keys = {freeze_item(key): key for key in (self.generator.key(self.table) for _ in range(self.dice.randint(1, 30)))}
        answer = self.call("BatchGetItem", {"RequestItems": {self.name: {"Keys": [item_to_json(key) for key in keys.values()]}}})
        assert answer["UnprocessedKeys"] == {}
        wanted = sorted(freeze_item(item) for item in map(self.table.get, keys.values()) if item is not None)
        assert sorted(freeze_item(item_from_json(item)) for item in answer["Responses"][self.name]) == wanted

    def sort_condition(self, expressions, name, kind):
        """Text and a test; or nothing."""
        op = self.dice.choice((None, "=", "<", "<=", ">", ">=", "between", "begins_with"))
        if op is None or (op == "begins_with" and kind == "N"):
            return "", lambda value: True
        value = self.generator.key_value(kind, 14)
        text = expressions.path((name,))
        if op == "between":
            low, high = sorted((value, self.generator.key_value(kind, 14)), key=order)
            return (
                f" AND {text} BETWEEN {expressions.value(low)} AND {expressions.value(high)}",
                lambda v: order(low) <= order(v) <= order(high),
            )
        if op == "begins_with":
            return f" AND begins_with({text}, {expressions.value(value)})", lambda v: order(v).startswith(order(value))
        tests = {
            "=": lambda v: order(v) == order(value),
            "<": lambda v: order(v) < order(value),
            "<=": lambda v: order(v) <= order(value),
            ">": lambda v: order(v) > order(value),
            ">=": lambda v: order(v) >= order(value),
        }
        return f" AND {text} {op} {expressions.value(value)}", tests[op]

    def pages(self, operation, body, limit, start=None):
        """All items, with what each page promises about itself."""
        found, scanned = [], 0
        while True:
            answer = self.call(operation, {**body, **({"ExclusiveStartKey": start} if start else {})})
            items = answer.get("Items")
            if body.get("Select") == "COUNT":
                assert items is None
                found += [None] * answer["Count"]
            else:
                assert len(items) == answer["Count"]
                found += map(item_from_json, items)
            assert answer["Count"] <= answer["ScannedCount"]
            scanned += answer["ScannedCount"]
            start = answer.get("LastEvaluatedKey")
            if limit:
                assert answer["ScannedCount"] <= limit
                assert start is None or answer["ScannedCount"] == limit
            if start is None:
                return found, scanned

    def read_body(self, expressions, index):
        """Members that a query and a scan share, and what they make of a row."""
        dice, generator = self.dice, self.generator
        body = {"TableName": self.name}
        if index is not None:
            body["IndexName"] = index.name
        keys = dict(index.keys if index is not None else self.table.keys)
        condition, shown = None, None
        if generator.chance(0.4):
            condition = generator.condition()
            while any(name in str(condition) for name in map(repr, keys)):  # keys are not allowed in a query's filter
                condition = generator.condition()
            body["FilterExpression"] = expressions.condition(condition)
        choice = dice.choice(("nothing", "nothing", "count", "names", "all"))
        projects_all = index is None or index.projection == "ALL"
        if choice == "count":
            body["Select"] = "COUNT"
        elif choice == "names" and (projects_all or not index.is_global):
            shown = set(dice.sample(["v", "w", "m", "g", self.table.keys[0][0]], 2))
            body["ProjectionExpression"] = ", ".join(expressions.path((name,)) for name in sorted(shown))
        elif choice == "all" and (projects_all or not index.is_global):
            body["Select"] = "ALL_ATTRIBUTES"
        if generator.chance(0.4):
            body["Limit"] = dice.choice((1, 2, 3, 7, 50))
        return body, condition, shown

    def rows_for(self, index, body):
        """The rows of the index as the request sees them: a local one fetches what it does not hold."""
        if index is None or index.is_global:
            return self.table.rows(index)
        whole = body.get("Select") == "ALL_ATTRIBUTES"
        wanted = set(body.get("ExpressionAttributeNames", {}).values()) if "ProjectionExpression" in body else set()
        shown = {body["ExpressionAttributeNames"][p.strip()] for p in body["ProjectionExpression"].split(",")} if wanted else set()
        held = {name for name, _ in (*index.keys, *self.table.keys)} | set(index.include)
        if whole or (index.projection != "ALL" and shown - held):
            return [item for item in self.table.items.values() if index.has(item)]
        return self.table.rows(index)

    def compare(self, found, wanted, shown, body):
        if body.get("Select") == "COUNT":
            assert len(found) == len(wanted)
            return
        if shown is not None:
            wanted = [{name: value for name, value in item.items() if name in shown} for item in wanted]
        assert sorted(map(freeze_item, found)) == sorted(map(freeze_item, wanted))

    def query(self):
        dice, generator = self.dice, self.generator
        index = self.table.indexes[dice.choice(list(self.table.indexes))] if self.table.indexes and generator.chance(0.6) else None
        keys = index.keys if index is not None else self.table.keys
        expressions = Expressions(generator)
        body, condition, shown = self.read_body(expressions, index)
        partition = generator.key_value(keys[0][1], 4 if index is None or not index.is_global else 8)
        text = f"{expressions.path((keys[0][0],))} = {expressions.value(partition)}"
        sort_test, more = None, ""
        if len(keys) > 1:
            more, sort_test = self.sort_condition(expressions, *keys[1])
            text += more
        body.update(KeyConditionExpression=text, ScanIndexForward=generator.chance(0.5), **expressions.members())
        rows = [row for row in self.rows_for(index, body) if order(row[keys[0][0]]) == order(partition)]
        if sort_test is not None:
            rows = [row for row in rows if sort_test(row[keys[1][0]])]
        start = None
        if index is None and len(keys) > 1 and not more and generator.chance(0.3):  # from any place, whether something is there or not
            value, forward = generator.key_value(keys[1][1], 14), body["ScanIndexForward"]
            start = item_to_json({keys[0][0]: partition, keys[1][0]: value}, generator.text)
            rows = [row for row in rows if (order(row[keys[1][0]]) > order(value) if forward else order(row[keys[1][0]]) < order(value))]
        wanted = [row for row in rows if condition is None or holds(condition, row)]
        found, scanned = self.pages("Query", body, body.get("Limit"), start)
        assert scanned == len(rows)
        self.compare(found, wanted, shown, body)
        if len(keys) > 1 and shown is None and body.get("Select") != "COUNT":
            sorts = [order(item[keys[1][0]]) for item in found]
            assert sorts == sorted(sorts, reverse=not body["ScanIndexForward"])

    def scan(self):
        dice, generator = self.dice, self.generator
        index = self.table.indexes[dice.choice(list(self.table.indexes))] if self.table.indexes and generator.chance(0.5) else None
        expressions = Expressions(generator)
        body, condition, shown = self.read_body(expressions, index)
        body.update(expressions.members())
        rows = self.rows_for(index, body)
        wanted = [row for row in rows if condition is None or holds(condition, row)]
        segments = dice.choice((1, 1, 2, 3, 7, 100))
        found, scanned = [], 0
        for segment in range(segments):
            parallel = {"TotalSegments": segments, "Segment": segment} if segments > 1 else {}
            items, more = self.pages("Scan", {**body, **parallel}, body.get("Limit"))
            found += items
            scanned += more
        assert scanned == len(rows)
        self.compare(found, wanted, shown, body)

    def check_counts(self):
        told = self.connection.call("DescribeTable", {"TableName": self.name}).json["Table"]
        assert told["ItemCount"] == len(self.table.items)
        assert told["TableSizeBytes"] == sum(map(item_size, self.table.items.values()))
        for shown in (*told.get("GlobalSecondaryIndexes", ()), *told.get("LocalSecondaryIndexes", ())):
            rows = self.table.rows(self.table.indexes[shown["IndexName"]])
            assert shown["ItemCount"] == len(rows)
            assert shown["IndexSizeBytes"] == sum(map(item_size, rows))

    # ---- indexes that come and go ----

    def change_index(self):
        added = self.table.indexes.get("late")
        if added is not None:
            self.call("UpdateTable", {"TableName": self.name, "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "late"}}]})
            del self.table.indexes["late"]
        else:
            added = Index("late", [("w", "S"), ("x", "N")], True, "INCLUDE", ["v"])
            self.call(
                "UpdateTable",
                {
                    "TableName": self.name,
                    "AttributeDefinitions": definitions(self.table, [added]),
                    "GlobalSecondaryIndexUpdates": [{"Create": describe(added)}],
                },
            )
            self.table.indexes["late"] = added
            for _ in range(30):  # while it is filled; an item with a key of another type is just not in it
                self.write()
        self.wait_active()

    def wait_active(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            told = self.connection.call("DescribeTable", {"TableName": self.name}).json["Table"]
            states = [told["TableStatus"], *(index["IndexStatus"] for index in told.get("GlobalSecondaryIndexes", ()))]
            if set(states) == {"ACTIVE"}:
                return
            time.sleep(0.005)
        raise AssertionError(states)

    def step(self):
        dice = self.dice.random()
        if dice < 0.60:
            self.write()
        elif dice < 0.70:
            self.batch_write()
        elif dice < 0.78:
            self.get()
        elif dice < 0.80:
            self.batch_get()
        elif dice < 0.93:
            self.query()
        elif dice < 0.98:
            self.scan()
        elif dice < 0.99:
            self.check_counts()
        elif dice < 0.993 and self.table.indexes:
            self.change_index()


def definitions(table, more=()):
    types = dict(table.keys)
    for index in (*table.indexes.values(), *more):
        types.update(index.keys)
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def key_schema(keys):
    return [{"AttributeName": name, "KeyType": kind} for (name, _), kind in zip(keys, ("HASH", "RANGE"))]


def describe(index):
    projection = {"ProjectionType": index.projection}
    if index.include:
        projection["NonKeyAttributes"] = list(index.include)
    return {"IndexName": index.name, "KeySchema": key_schema(index.keys), "Projection": projection}


def tables():
    return {
        "strings": Table(
            [("pk", "S"), ("sk", "N")],
            [
                Index("g-all", [("g", "S"), ("l", "N")], True),
                Index("g-keys", [("g", "S")], True, "KEYS_ONLY"),
                Index("l-some", [("l", "N"), ("b", "B")], True, "INCLUDE", ["v", "m"]),
                Index("local-keys", [("pk", "S"), ("l", "N")], False, "KEYS_ONLY"),
                Index("local-all", [("pk", "S"), ("s2", "S")], False),
            ],
        ),
        "binaries": Table([("pk", "B"), ("sk", "S")], [Index("by-key", [("sk", "S"), ("pk", "B")], True)]),
        "numbers": Table([("pk", "N"), ("sk", "B")], [Index("b-all", [("b", "B"), ("sk", "B")], True)]),
        "plain": Table([("pk", "N")]),
    }


@pytest.mark.parametrize("shape", tables())
def test_server_and_model_agree(server, shape):
    print(f"MODEL_SEED={SEED} MODEL_STEPS={STEPS}")
    generator = Generator(random.Random(f"{SEED} {shape}"))
    table, name = tables()[shape], unique_name("model")
    with Connection(server) as connection:
        run = Run(connection, generator, table, name)
        body = {
            "TableName": name,
            "KeySchema": key_schema(table.keys),
            "AttributeDefinitions": definitions(table),
            "BillingMode": "PAY_PER_REQUEST",
        }
        for kind, is_global in (("GlobalSecondaryIndexes", True), ("LocalSecondaryIndexes", False)):
            if described := [describe(index) for index in table.indexes.values() if index.is_global == is_global]:
                body[kind] = described
        run.call("CreateTable", body)
        run.wait_active()
        try:
            for _ in range(STEPS):
                run.step()
            run.check_counts()
        except BaseException:
            for line in run.log[-6:]:
                print(line)
            raise
        finally:
            connection.call("DeleteTable", {"TableName": name})
