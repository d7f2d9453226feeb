#!/usr/bin/env python3
"""Follow a table: print every change of its items, in order, as it happens.

    follow.py TABLE [--endpoint URL] [--idle SECONDS]

The table needs a stream (StreamSpecification). The stream is read from its oldest record on, shard by shard: a shard is begun
when its parent has been read to the end, so that changes of one item are seen in the order in which they were made.
"""

import argparse
import json
import sys
import time

import boto3
from boto3.dynamodb.types import TypeDeserializer


def clients(endpoint):
    settings = dict(endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any")
    return boto3.client("dynamodb", **settings), boto3.client("dynamodbstreams", **settings)


def all_shards(streams, arn):
    """The shards known now, parents before children."""
    request = {"StreamArn": arn}
    while True:
        description = streams.describe_stream(**request)["StreamDescription"]
        yield from description["Shards"]
        if "LastEvaluatedShardId" not in description:
            return
        request["ExclusiveStartShardId"] = description["LastEvaluatedShardId"]


class Follower:
    def __init__(self, streams, arn):
        self.streams = streams
        self.arn = arn
        self.iterators = {}  # of the shards being read
        self.finished = set()

    def begin_shards(self):
        shards = {shard["ShardId"]: shard for shard in all_shards(self.streams, self.arn)}
        for name, shard in shards.items():
            parent = shard.get("ParentShardId")
            ready = parent not in shards or parent in self.finished  # a parent that is not listed has expired
            if ready and name not in self.iterators and name not in self.finished:
                self.iterators[name] = self.streams.get_shard_iterator(
                    StreamArn=self.arn, ShardId=name, ShardIteratorType="TRIM_HORIZON"
                )["ShardIterator"]

    def read(self):
        """What is new in the shards that are open; [] when there is nothing."""
        records = []
        for name, iterator in list(self.iterators.items()):
            answer = self.streams.get_records(ShardIterator=iterator)
            records += answer["Records"]
            following = answer.get("NextShardIterator")
            if following:
                self.iterators[name] = following
            else:
                del self.iterators[name]
                self.finished.add(name)
        return records


def plain(image):
    take = TypeDeserializer().deserialize
    return {name: take(value) for name, value in image.items()}


def show(record):
    change = record["dynamodb"]
    line = {"event": record["eventName"], "keys": plain(change["Keys"])}
    for name, image in (("old", "OldImage"), ("new", "NewImage")):
        if image in change:
            line[name] = plain(change[image])
    print(json.dumps(line, default=str), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table")
    parser.add_argument("--endpoint", default="http://127.0.0.1:8000")
    parser.add_argument("--idle", type=float, help="stop when nothing came for so many seconds")
    options = parser.parse_args()

    table, streams = clients(options.endpoint)
    arn = table.describe_table(TableName=options.table)["Table"].get("LatestStreamArn")
    if arn is None:
        sys.exit(f"the table {options.table} has no stream; add one with UpdateTable, StreamSpecification")
    follower = Follower(streams, arn)
    last = time.monotonic()
    while options.idle is None or time.monotonic() - last < options.idle:
        follower.begin_shards()
        records = follower.read()
        for record in records:
            show(record)
        if records:
            last = time.monotonic()
        else:
            time.sleep(0.2)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
