#!/usr/bin/env python3
"""A real data set: every package this Debian or Ubuntu machine knows of, in one table.

Loads the package index that apt keeps on this machine (some 60,000 records of strings, numbers, binaries, sets, lists and
nested maps), asks questions of it, and checks the answers against apt's own tools.

    packages.py [--endpoint http://127.0.0.1:8000] [--table packages] [load | ask | check]...

Without a command: load, ask, check, and delete the table.
"""

import argparse
import collections
import glob
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

# The index only, not what is installed here: so that apt and the table speak of the same records.
INDEX_ONLY = ("-o", "Dir::State::status=/dev/null")
SEGMENTS = 8


def connect(endpoint):
    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name=os.environ.get("AWS_DEFAULT_REGION", "us-east-1"),
        aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "local"),
        aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "local"),
        # Items are made right here and checked by the server; checking them in botocore, too, costs most of the time.
        config=Config(parameter_validation=False, max_pool_connections=64, retries={"max_attempts": 5, "mode": "standard"}),
    )


# ---- apt ----


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout


def index_records():
    """Each record of each index file, as a dict of its fields."""
    for path in sorted(glob.glob("/var/lib/apt/lists/*_Packages*")):
        text = run("/usr/lib/apt/apt-helper", "cat-file", path)
        for paragraph in text.split("\n\n"):
            fields = {}
            for line in re.split(r"\n(?! )", paragraph.strip("\n")):
                name, _, value = line.partition(":")
                fields[name] = value.strip()
            if "Package" in fields:
                yield fields


def dependencies(text):
    """"a (>= 1), b | c" -> [[("a", ">=", "1")], [("b", "", ""), ("c", "", "")]]"""
    groups = []
    for group in filter(None, (part.strip() for part in text.split(","))):
        alternatives = []
        for alternative in group.split("|"):
            match = re.match(r"\s*([^\s(:\[]+)(?::\w+)?\s*(?:\(\s*([<>=]+)\s*([^)\s]+)\s*\))?", alternative)
            alternatives.append((match[1], match[2] or "", match[3] or ""))
        groups.append(alternatives)
    return groups


# ---- items ----


def item_of(record):
    """An apt record as a DynamoDB item."""
    groups = dependencies(", ".join(filter(None, (record.get("Pre-Depends"), record.get("Depends")))))
    summary, _, rest = record.get("Description", "").partition("\n")
    item = {
        "name": {"S": record["Package"]},
        "version": {"S": f"{record['Version']} {record['Architecture']}"},
        "section": {"S": record.get("Section", "none")},
        "maintainer": {"S": record.get("Maintainer", "nobody")},
        "installed_kb": {"N": record.get("Installed-Size", "0")},
        "priority": {"S": record.get("Priority", "optional")},
        "summary": {"S": summary},
        "essential": {"BOOL": record.get("Essential") == "yes"},
        "homepage": {"S": record["Homepage"]} if "Homepage" in record else {"NULL": True},
        "file": {
            "M": {
                "path": {"S": record["Filename"]},
                "bytes": {"N": record["Size"]},
                "sums": {"M": {"sha256": {"B": bytes.fromhex(record["SHA256"])}}},
            }
        },
        "depends": {
            "L": [
                {
                    "L": [
                        {"M": {"name": {"S": n}, **({"is": {"S": op}, "version": {"S": v}} if op else {})}}
                        for n, op, v in group
                    ]
                }
                for group in groups
            ]
        },
    }
    if rest:
        item["description"] = {"S": re.sub(r"\n ?", "\n", rest)}
    if groups:
        item["needs"] = {"SS": sorted({name for group in groups for name, _, _ in group})}
    if "Tag" in record:
        item["tags"] = {"SS": sorted({tag.strip() for tag in record["Tag"].replace("\n", " ").split(",") if tag.strip()})}
    return item


# ---- load ----


def create_table(client, table):
    def index(name, partition, sort):
        return {
            "IndexName": name,
            "KeySchema": [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["summary"]},
        }

    types = {"name": "S", "version": "S", "section": "S", "installed_kb": "N", "maintainer": "S"}
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in types.items()],
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}, {"AttributeName": "version", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[index("by-section", "section", "installed_kb"), index("by-maintainer", "maintainer", "name")],
    )
    while client.describe_table(TableName=table)["Table"]["TableStatus"] != "ACTIVE":
        time.sleep(0.05)


def write_batch(client, table, items):
    requests = {table: [{"PutRequest": {"Item": item}} for item in items]}
    while requests:
        requests = client.batch_write_item(RequestItems=requests)["UnprocessedItems"]


def load(client, table, threads):
    create_table(client, table)
    began = time.monotonic()
    # main and security may both have a record of the same version: the same item
    items = {(item["name"]["S"], item["version"]["S"]): item for item in map(item_of, index_records())}
    items = list(items.values())
    if not items:
        sys.exit("apt has no package lists on this machine; run: apt-get update")
    read = time.monotonic()
    print(f"read {len(items):,} records from /var/lib/apt/lists in {read - began:.1f} s")
    batches = [items[i : i + 25] for i in range(0, len(items), 25)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda batch: write_batch(client, table, batch), batches))
    took = time.monotonic() - read
    print(f"wrote them in {took:.1f} s, {len(items) / took:,.0f} items a second")


# ---- ask ----


def pages(operation, **arguments):
    while True:
        page = operation(**arguments)
        yield page
        if "LastEvaluatedKey" not in page:
            return
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def scan_in_parallel(client, table, **arguments):
    def segment(number):
        return list(pages(client.scan, TableName=table, Segment=number, TotalSegments=SEGMENTS, **arguments))

    with ThreadPoolExecutor(SEGMENTS) as pool:
        return [page for part in pool.map(segment, range(SEGMENTS)) for page in part]


def count_all(client, table):
    return sum(page["Count"] for page in scan_in_parallel(client, table, Select="COUNT"))


def count_by_section(client, table):
    counts = collections.Counter()
    for page in scan_in_parallel(client, table, IndexName="by-section", ProjectionExpression="#s", ExpressionAttributeNames={"#s": "section"}):
        counts.update(item["section"]["S"] for item in page["Items"])
    return counts


def in_section(client, table, section, **more):
    return pages(
        client.query,
        TableName=table,
        IndexName="by-section",
        KeyConditionExpression="#s = :s",
        ExpressionAttributeNames={"#s": "section"},
        ExpressionAttributeValues={":s": {"S": section}},
        **more,
    )


def biggest(client, table, sections, count):
    """Each section's biggest, from the end of its index; the biggest of those."""
    found = []
    for section in sections:
        page = next(in_section(client, table, section, ScanIndexForward=False, Limit=count))
        found += [(int(item["installed_kb"]["N"]), item["name"]["S"]) for item in page["Items"]]
    return sorted(set(found), reverse=True)[:count]


def of_maintainer(client, table, maintainer):
    found = pages(
        client.query,
        TableName=table,
        IndexName="by-maintainer",
        KeyConditionExpression="maintainer = :m",
        ExpressionAttributeValues={":m": {"S": maintainer}},
    )
    return [item["name"]["S"] for page in found for item in page["Items"]]


def reverse_dependencies(client, table, name):
    found = scan_in_parallel(
        client,
        table,
        FilterExpression="contains(needs, :n)",
        ProjectionExpression="#n",
        ExpressionAttributeNames={"#n": "name"},
        ExpressionAttributeValues={":n": {"S": name}},
    )
    return {item["name"]["S"] for page in found for item in page["Items"]}


def ask(client, table):
    print(f"\nrecords: {count_all(client, table):,}")
    sections = count_by_section(client, table)
    print("largest sections: " + ", ".join(f"{name} {count:,}" for name, count in sections.most_common(5)))
    print("biggest when installed: " + ", ".join(f"{name} {kb / 1024 / 1024:.1f} GB" for kb, name in biggest(client, table, sections, 5)))
    versions = next(
        pages(
            client.query,
            TableName=table,
            KeyConditionExpression="#n = :n",
            ProjectionExpression="version, maintainer, #f.sums.sha256, #f.#b, depends[0]",
            ExpressionAttributeNames={"#n": "name", "#f": "file", "#b": "bytes"},
            ExpressionAttributeValues={":n": {"S": "bash"}},
        )
    )["Items"]
    for bash in versions:
        print(f"bash {bash['version']['S']}: {bash['file']['M']['bytes']['N']} bytes, sha256 {bash['file']['M']['sums']['M']['sha256']['B'].hex()[:16]}...")
    maintainer = versions[0]["maintainer"]["S"]
    others = sorted(set(of_maintainer(client, table, maintainer)) - {"bash"})
    print(f"{maintainer} also maintains {len(others)} others, for example {', '.join(others[:4])}")
    print(f"packages that need libc6: {len(reverse_dependencies(client, table, 'libc6')):,}")


# ---- check ----


def apt_section(section):
    listed = run("apt", *INDEX_ONLY, "list", "--all-versions", f"?section(^{re.escape(section)}$)")
    return sum("/" in line for line in listed.splitlines())


def apt_reverse_dependencies(name):
    others = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
    lines = run("apt-cache", *INDEX_ONLY, "rdepends", *(f"--no-{kind}" for kind in others), name).splitlines()
    return {line.strip().lstrip("|") for line in lines[2:]}


def apt_candidates():
    """What apt would install, one record a package: a list that was made by apt, not by us."""
    for paragraph in run("apt-cache", *INDEX_ONLY, "dumpavail").split("\n\n"):
        fields = dict(re.findall(r"^(Package|Maintainer|Installed-Size): (.*)$", paragraph, re.MULTILINE))
        if fields:
            yield fields


def check(client, table):
    failures = []

    def expect(what, ours, theirs):
        same = ours == theirs
        shown = (f"{len(ours):,}", f"{len(theirs):,}") if isinstance(ours, set) else (ours, theirs)
        print(f"{'ok   ' if same else 'WRONG'} {what}: table {shown[0]}, apt {shown[1]}")
        if not same:
            failures.append(what)

    print()
    stats = run("apt-cache", *INDEX_ONLY, "stats")
    expect("records", count_all(client, table), int(re.search(r"Total distinct versions: (\d+)", stats)[1]))
    sections = count_by_section(client, table)
    ordered = [name for name, _ in sections.most_common()]
    for section in (ordered[0], ordered[len(ordered) // 2], ordered[-1]):
        by_query = sum(page["Count"] for page in in_section(client, table, section, Select="COUNT"))
        expect(f"section {section}", by_query, apt_section(section))
    for name in ("libc6", "libstdc++6", "zlib1g"):
        expect(f"reverse dependencies of {name}", reverse_dependencies(client, table, name), apt_reverse_dependencies(name))

    candidates = list(apt_candidates())
    names = collections.defaultdict(set)
    for record in candidates:
        names[record.get("Maintainer", "nobody")].add(record["Package"])
    for maintainer in sorted(names, key=lambda m: -len(names[m]))[:3]:
        # the index has older versions, too; all candidates must be among what it gives
        expect(f"packages of {maintainer}", names[maintainer] & set(of_maintainer(client, table, maintainer)), names[maintainer])
    top = biggest(client, table, sections, 10)
    least = top[-1][0]
    big = {r["Package"] for r in candidates if int(r.get("Installed-Size", 0)) > least}
    expect("biggest packages", big & {name for _, name in top}, big)
    if failures:
        sys.exit(f"{len(failures)} answers differ from apt's")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*", metavar="load|ask|check")
    parser.add_argument("--endpoint", default=os.environ.get("AWS_ENDPOINT_URL", "http://127.0.0.1:8000"))
    parser.add_argument("--table", default="packages")
    parser.add_argument("--threads", type=int, default=8)
    options = parser.parse_args()
    if unknown := set(options.commands) - {"load", "ask", "check"}:
        parser.error(f"unknown command: {', '.join(unknown)}")
    client = connect(options.endpoint)
    commands = options.commands or ["load", "ask", "check"]
    try:
        if "load" in commands:
            load(client, options.table, options.threads)
        if "ask" in commands:
            ask(client, options.table)
        if "check" in commands:
            check(client, options.table)
        if not options.commands:
            client.delete_table(TableName=options.table)
    except ClientError as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
