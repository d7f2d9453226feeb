"""DynamoDB in a few lines of Python, to compare a server with: values, conditions, updates, keys, sizes.

A value is (type, content): S str, N Decimal, B bytes, BOOL bool, NULL True, SS/NS/BS frozenset, L list, M dict.
"""

import base64
import decimal
from decimal import Decimal

decimal.getcontext().prec = 400
KEY_TYPES = ("S", "N", "B")


class Refused(Exception):
    """args[0]: the exception's name on the wire."""


def invalid():
    return Refused("ValidationException")


# ---- values and their JSON ----


def number_text(number):
    return format(number.normalize(), "f") if number else "0"


def to_json(value, text=str):
    kind, content = value
    if kind == "N":
        return {"N": text(content)}
    if kind == "B":
        return {"B": base64.b64encode(content).decode()}
    if kind == "NS":
        return {"NS": [text(element) for element in content]}
    if kind == "BS":
        return {"BS": [base64.b64encode(element).decode() for element in content]}
    if kind == "SS":
        return {"SS": list(content)}
    if kind == "L":
        return {"L": [to_json(element, text) for element in content]}
    if kind == "M":
        return {"M": item_to_json(content, text)}
    return {kind: content}


def item_to_json(item, text=str):
    return {name: to_json(value, text) for name, value in item.items()}


def from_json(value):
    ((kind, content),) = value.items()
    if kind == "N":
        assert content == number_text(Decimal(content)), f"{content} is not how numbers are told"
        return kind, Decimal(content)
    if kind == "B":
        return kind, base64.b64decode(content)
    if kind == "NS":
        assert len(set(map(Decimal, content))) == len(content)
        return kind, frozenset(map(Decimal, content))
    if kind == "BS":
        assert len(set(content)) == len(content)
        return kind, frozenset(map(base64.b64decode, content))
    if kind == "SS":
        assert len(set(content)) == len(content)
        return kind, frozenset(content)
    if kind == "L":
        return kind, [from_json(element) for element in content]
    if kind == "M":
        return kind, item_from_json(content)
    return kind, content


def item_from_json(item):
    return {name: from_json(value) for name, value in item.items()}


def freeze(value):
    """Something that can be compared, sorted into sets and printed."""
    kind, content = value
    if kind == "L":
        return kind, tuple(map(freeze, content))
    if kind == "M":
        return kind, freeze_item(content)
    if kind == "N":
        return kind, content.normalize() if content else Decimal(0)
    return kind, tuple(sorted(content)) if isinstance(content, frozenset) else content


def freeze_item(item):
    return tuple(sorted((name, freeze(value)) for name, value in item.items()))


def equal(a, b):
    return a is not None and b is not None and freeze(a) == freeze(b)


def order(value):
    """Sorts as the values of a key of one type do."""
    kind, content = value
    return content.encode() if kind == "S" else content


# ---- sizes ----


def number_size(number):
    if not number:
        return 1
    sign, digits, exponent = number.normalize().as_tuple()
    first, last = exponent + len(digits) - 1, exponent
    return 1 + (first // 2 - last // 2 + 1) + sign  # pairs of digits, counted from the decimal point


def size(value):
    kind, content = value
    if kind == "S":
        return len(content.encode())
    if kind == "B":
        return len(content)
    if kind == "N":
        return number_size(content)
    if kind == "SS":
        return sum(len(e.encode()) for e in content)
    if kind == "BS":
        return sum(map(len, content))
    if kind == "NS":
        return sum(map(number_size, content))
    if kind == "L":
        return 3 + sum(1 + size(e) for e in content)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + size(e) for name, e in content.items())
    return 1


def item_size(item):
    return sum(len(name.encode()) + size(value) for name, value in item.items())


# ---- paths: ("m", "k", 0) ----


def find(item, path):
    value = ("M", item)
    for element in path:
        kind, content = value
        if isinstance(element, str):
            if kind != "M" or element not in content:
                return None
            value = content[element]
        else:
            if kind != "L" or element >= len(content):
                return None
            value = content[element]
    return value


# ---- conditions: ("and", a, b), ("=", operand, operand), ...; operands ("path", p), ("value", v), ("size", p) ----


def utf16_length(text):
    return len(text.encode("utf-16-le")) // 2


def operand(item, what):
    kind, content = what
    if kind == "value":
        return content
    value = find(item, content)
    if kind == "path" or value is None:
        return value
    if value[0] == "S":
        return "N", Decimal(utf16_length(value[1]))
    if value[0] in ("B", "SS", "NS", "BS", "L", "M"):
        return "N", Decimal(len(value[1]))
    return None


def compare(op, a, b):
    if op == "=":
        return equal(a, b)
    if op == "<>":
        return not equal(a, b)
    if a is None or b is None or a[0] != b[0] or a[0] not in KEY_TYPES:
        return False
    a, b = order(a), order(b)
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op]


def contains(whole, part):
    if whole is None or part is None:
        return False
    if whole[0] in ("S", "B"):
        return part[0] == whole[0] and part[1] in whole[1]
    if whole[0] in ("SS", "NS", "BS"):
        return part[0] == whole[0][0] and part[1] in whole[1]
    return whole[0] == "L" and any(equal(e, part) for e in whole[1])


def holds(condition, item):
    op, *rest = condition
    if op == "and":
        return all(holds(c, item) for c in rest)
    if op == "or":
        return any(holds(c, item) for c in rest)
    if op == "not":
        return not holds(rest[0], item)
    first, *others = [operand(item, r) for r in rest]
    if op == "attribute_exists":
        return first is not None
    if op == "attribute_not_exists":
        return first is None
    if op == "attribute_type":
        return first is not None and first[0] == others[0][1]
    if op == "begins_with":
        return first is not None and first[0] == others[0][0] and first[1].startswith(others[0][1])
    if op == "contains":
        return contains(first, others[0])
    if op == "in":
        return any(equal(first, other) for other in others)
    if op == "between":
        return compare(">=", first, others[0]) and compare("<=", first, others[1])
    return compare(op, first, others[0])


# ---- updates: ("SET", path, term), ("REMOVE", path), ("ADD", name, value), ("DELETE", name, value) ----


def checked_number(number):
    if number:
        _, digits, exponent = number.normalize().as_tuple()
        if len(digits) > 38 or not -130 <= exponent + len(digits) - 1 <= 125:
            raise invalid()
    return "N", number


def term(item, what):
    kind, *rest = what
    if kind == "value":
        return rest[0]
    if kind == "path":
        value = find(item, rest[0])
        if value is None:
            raise invalid()
        return value
    if kind == "if_not_exists":
        value = find(item, rest[0])
        return term(item, rest[1]) if value is None else value
    a, b = term(item, rest[0]), term(item, rest[1])
    if kind == "list_append":
        if a[0] != "L" or b[0] != "L":
            raise invalid()
        return "L", a[1] + b[1]
    if a[0] != "N" or b[0] != "N":
        raise invalid()
    return checked_number(a[1] + b[1] if kind == "+" else a[1] - b[1])


def copied(value):
    kind, content = value
    if kind == "L":
        return kind, [copied(e) for e in content]
    if kind == "M":
        return kind, {name: copied(e) for name, e in content.items()}
    return value


def place(item, path):
    """The container the path's last element lies in."""
    parent = find(item, path[:-1]) if len(path) > 1 else ("M", item)
    if parent is None or parent[0] != ("M" if isinstance(path[-1], str) else "L"):
        raise invalid()
    return parent[1]


def update(key, old, actions):
    """The new item; None when there was none and nothing makes one. No two actions may share a top-level attribute."""
    base = old if old is not None else key
    new = copied(("M", base))[1]
    values = [term(base, action[2]) if action[0] == "SET" else (*action[2:], None)[0] for action in actions]
    made = False
    for action, value in zip(actions, values):
        kind, path = action[0], action[1]
        parent = place(new, path)
        last = path[-1]
        existing = find(new, path)
        if kind == "SET" or (kind == "ADD" and existing is None):
            made = True
            if isinstance(last, str) or last < len(parent):
                parent[last] = value
            else:
                parent.append(value)
        elif kind == "REMOVE":
            if existing is not None:
                del parent[last]
        elif kind == "ADD":
            if existing[0] != action[2][0]:
                raise invalid()
            elif existing[0] == "N":
                parent[last] = checked_number(existing[1] + action[2][1])
            else:
                parent[last] = (existing[0], existing[1] | action[2][1])
        elif existing is not None:
            if existing[0] != action[2][0]:
                raise invalid()
            left = existing[1] - action[2][1]
            if left:
                parent[last] = (existing[0], left)
            else:
                del parent[last]
    return new if old is not None or made else None


# ---- tables ----


class Index:
    def __init__(self, name, keys, is_global, projection="ALL", include=()):
        self.name, self.keys, self.is_global = name, keys, is_global  # keys: [(attribute, type), ...], hash first
        self.projection, self.include = projection, include

    def has(self, item):
        return all(name in item and item[name][0] == kind and item[name][1] not in ("", b"") for name, kind in self.keys)

    def project(self, item, table_keys):
        if self.projection == "ALL":
            return item
        kept = {name for name, _ in (*self.keys, *table_keys)} | set(self.include)
        return {name: value for name, value in item.items() if name in kept}


class Table:
    def __init__(self, keys, indexes=()):
        self.keys = keys
        self.indexes = {index.name: index for index in indexes}
        self.items = {}

    def key_of(self, item):
        return {name: item[name] for name, _ in self.keys}

    def check_indexes(self, item, old=None):
        """What is wrong with old's index keys (the index is younger) and is not touched is let be: it is just not indexed."""
        for index in self.indexes.values():
            if old is not None and not index.has(old) and all(equal(old.get(n), item.get(n)) or n not in {**old, **item} for n, _ in index.keys):
                continue
            for name, kind in index.keys:
                value = item.get(name)
                if value is not None and (value[0] != kind or (kind != "N" and not value[1])):
                    raise invalid()

    def get(self, key):
        return self.items.get(freeze_item(key))

    def put(self, key, item):
        if item is None:
            self.items.pop(freeze_item(key), None)
        else:
            self.items[freeze_item(key)] = item

    def rows(self, index=None):
        """What a reader of the table or index finds."""
        if index is None:
            return list(self.items.values())
        return [index.project(item, self.keys) for item in self.items.values() if index.has(item)]
