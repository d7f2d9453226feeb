"""What goes on beside the clients of a soak: readers of streams, users of the cache, administrators, trouble, time."""

import json
import random
import signal
import socket
import threading
import time
import traceback

from dax_client import DaxClient, DaxError
from load import DAX, EXPECTED, MAIN, S, SMALL, VECTORS, wait_active, wait_gone
from wire import Connection, Refused, SECRET, VERSIONS, secure

CLUSTER = "soak"


class Actor(threading.Thread):
    """Does step() every `pause` seconds until told to stop; what it did is counted."""

    pause = 0.1

    def __init__(self, soak):
        super().__init__(daemon=True)
        self.soak = soak
        self.dice = random.Random(f"{soak.seed}-{type(self).__name__}")
        self.wire = Connection(soak.address)
        self.counts, self.refused, self.failure = {}, {}, None

    def count(self, what, number=1):
        self.counts[what] = self.counts.get(what, 0) + number

    def run(self):
        try:
            while not self.soak.stop.is_set():
                self.step()
                self.soak.stop.wait(self.pause)
        except Exception:  # whatever it is, the run must know of it
            self.failure = traceback.format_exc()
            self.soak.stop.set()
        finally:
            self.done()

    def done(self):
        self.wire.close()

    def try_send(self, *args, also=(), **kwargs):
        try:
            return self.wire.send(*args, **kwargs)
        except Refused as refused:
            if refused.code not in EXPECTED and refused.code not in also:
                raise
            self.refused[refused.code] = self.refused.get(refused.code, 0) + 1
        return None


class Reader(Actor):
    """Follows a stream through its shards; sequence numbers rise in each, whatever leaps the clock makes."""

    pause = 0.3  # with --throttling DescribeStream may be asked ten times a second

    def __init__(self, soak, table):
        super().__init__(soak)
        self.table, self.arn = table, None
        self.shards = {}  # id -> [iterator or None, last number]; those read to their end stay until they are gone

    def step(self):
        if self.arn is None:
            self.arn = self.wire.send("DescribeTable", {"TableName": self.table})["Table"]["LatestStreamArn"]
        there, request = set(), {"StreamArn": self.arn}
        while True:
            answer = self.try_send("DescribeStream", request, "streams")
            if answer is None:
                return
            answer = answer["StreamDescription"]
            there.update(shard["ShardId"] for shard in answer["Shards"])
            if "LastEvaluatedShardId" not in answer:
                break
            request["ExclusiveStartShardId"] = answer["LastEvaluatedShardId"]
        self.shards = {name: self.shards.get(name, [None, 0, False]) for name in there}
        for name, state in self.shards.items():
            if not state[2]:
                self.read(name, state)

    def read(self, name, state):
        gone = ("TrimmedDataAccessException", "ExpiredIteratorException", "ResourceNotFoundException")
        if state[0] is None:
            where = {"ShardIteratorType": "TRIM_HORIZON"}
            if state[1]:
                where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": str(state[1])}
            answer = self.try_send("GetShardIterator", {"StreamArn": self.arn, "ShardId": name, **where}, "streams", also=gone)
            if answer is None:  # trimmed: from what is left of it
                state[1] = 0
                return
            state[0] = answer["ShardIterator"]
        answer = self.try_send("GetRecords", {"ShardIterator": state[0]}, "streams", also=gone)
        if answer is None:
            state[0], state[1] = None, 0 if self.dice.random() < 0.5 else state[1]
            self.count("iterators lost")
            return
        for record in answer["Records"]:
            number = int(record["dynamodb"]["SequenceNumber"])
            assert number > state[1], f"{number} after {state[1]} in {name} of {self.table}"
            state[1] = number
        self.count(f"records of {self.table}", len(answer["Records"]))
        state[0] = answer.get("NextShardIterator")
        state[2] = state[0] is None


class Multiplexer(Actor):
    """Speaks HTTP/2: several requests at once on one connection, some of them cancelled; by ALPN under TLS, else by prior knowledge."""

    pause = 0.05
    AT_ONCE = 8

    def __init__(self, soak):
        super().__init__(soak)
        self.socket = self.h2 = None

    def open(self):
        import h2.config
        import h2.connection

        self.socket = secure(socket.create_connection(self.soak.address, timeout=120), "h2")
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()

    def hang_up(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def done(self):
        super().done()
        self.hang_up()

    def key(self):
        return {"pk": S(f"h2-{self.dice.randrange(100)}"), "sk": {"N": str(self.dice.randrange(5))}}

    def request(self):
        pick = self.dice.randrange(4)
        if pick == 0:
            return "PutItem", {"TableName": MAIN, "Item": {**self.key(), "text": S("h" * self.dice.randrange(30000))}}
        if pick == 1:
            return "Query", {"TableName": MAIN, "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": self.key()["pk"]}}
        return "GetItem", {"TableName": MAIN, "Key": self.key(), "ConsistentRead": pick == 2}

    def ask(self):
        operation, body = self.request()
        body = json.dumps(body).encode()
        headers = self.wire.headers("POST", "/", "dynamodb", f"{VERSIONS['dynamodb']}.{operation}", body)
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [(":method", "POST"), (":path", "/"), (":scheme", "https"), (":authority", self.wire.host), *headers.items()])
        for at in range(0, len(body), 16384):
            self.h2.send_data(stream, body[at:at + 16384], end_stream=at + 16384 >= len(body))
        return stream

    def step(self):
        import h2.events

        if self.socket is None or self.dice.random() < 0.01:
            self.hang_up()
            self.open()
        under_way = {self.ask() for _ in range(1 if self.h2.outbound_flow_control_window < 300000 else self.AT_ONCE)}
        if self.dice.random() < 0.2:
            cancelled = under_way.pop()
            self.h2.reset_stream(cancelled)
            self.count("HTTP/2 streams cancelled")
        self.socket.sendall(self.h2.data_to_send())
        status, bodies = {}, {}
        while under_way:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("the server hung up on HTTP/2")
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    status[event.stream_id] = dict(event.headers)[":status"]
                elif isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    self.judge(status[event.stream_id], bodies.get(event.stream_id, b"{}"))
                    under_way.discard(event.stream_id)
                elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                    raise ConnectionError(f"HTTP/2: {event}")
            self.socket.sendall(self.h2.data_to_send())

    def judge(self, status, body):
        self.count("HTTP/2 requests")
        if status != "200":
            refused = Refused(int(status), body)
            if refused.code not in EXPECTED:
                raise refused
            self.refused[refused.code] = self.refused.get(refused.code, 0) + 1
        json.loads(body)


class CacheUser(Actor):
    """A DAX client: on the node built in, or on a node of the cluster that the control plane made."""

    pause = 0.01

    def __init__(self, soak, address):
        super().__init__(soak)
        self.node_address = address  # a function: nodes come and go
        self.name = "DAX"
        self.dax = None

    def done(self):
        super().done()
        if self.dax:
            self.dax.close()

    def step(self):
        try:
            if self.dax is None:
                self.dax = DaxClient(self.node_address(), access_key="admin", secret_key=SECRET)
            self.call(self.dax)
            self.count("DAX calls")
        except DaxError as error:
            if "authorization of this connection has expired" in str(error):  # by a leap of the clock
                self.count("DAX connections expired")
                self.hang_up()
                return
            if not (error.name or "").rsplit(".")[-1].rsplit("#")[-1] in EXPECTED and "throttl" not in str(error).lower():
                raise
            self.refused[f"DAX {error.name}"] = self.refused.get(f"DAX {error.name}", 0) + 1
        except (OSError, IndexError):  # the node has gone, or hung up
            self.count("DAX connections lost")
            self.hang_up()
        if self.dax and self.dice.random() < 0.01:
            self.hang_up()

    def hang_up(self):
        if self.dax:
            self.dax.close()
        self.dax = None

    def key(self):
        return f"d{self.dice.randrange(3000)}"

    def item(self):
        return {f"a{self.dice.randrange(12)}": self.dice.randrange(1000), "text": "y" * self.dice.randrange(3000)}

    def call(self, dax):
        pick = self.dice.randrange(20)
        if pick < 6:
            dax.get(DAX, self.key(), self.dice.random() < 0.2)
        elif pick < 9:
            dax.put(DAX, self.key(), self.item())
        elif pick < 10:
            dax.update(DAX, self.key(), "n", self.dice.randrange(100), self.dice.choice((None, 5)))
        elif pick < 11:
            dax.delete(DAX, self.key())
        elif pick < 14:
            dax.query(DAX, "pk", self.key())
        elif pick < 15:
            dax.scan(DAX)
        elif pick < 17:
            dax.batch_get(DAX, sorted({self.key() for _ in range(5)}))
        elif pick < 18:
            dax.batch_write(DAX, {self.key(): self.dice.choice((self.item(), None)) for _ in range(5)})
        elif pick < 19:
            dax.transact_put(DAX, {self.key(): self.item() for _ in range(3)})
        else:
            dax.transact_get(DAX, sorted({self.key() for _ in range(3)}))


class Cluster(Actor):
    """A cluster of the DAX control plane that grows, shrinks, reboots its nodes and changes its parameters."""

    pause = 0.5

    def __init__(self, soak):
        super().__init__(soak)
        self.wire.send("CreateParameterGroup", {"ParameterGroupName": "soak"}, "dax")
        self.wire.send("CreateCluster", {
            "ClusterName": CLUSTER, "NodeType": "dax.r5.large", "ReplicationFactor": 1, "ParameterGroupName": "soak",
            "IamRoleArn": "arn:aws:iam::123456789012:role/dax"}, "dax")
        while self.describe()["Status"] != "available":
            time.sleep(0.01)

    def describe(self):
        return self.wire.send("DescribeClusters", {"ClusterNames": [CLUSTER]}, "dax")["Clusters"][0]

    def address(self):
        wire = Connection(self.soak.address)
        nodes = wire.send("DescribeClusters", {"ClusterNames": [CLUSTER]}, "dax")["Clusters"][0]["Nodes"]
        wire.close()
        endpoint = next(node["Endpoint"] for node in nodes if "Endpoint" in node)
        return f"{endpoint['Address']}:{endpoint['Port']}"

    def step(self):
        cluster = self.describe()
        if cluster["Status"] != "available":
            return
        busy = ("InvalidClusterStateFault", "InvalidParameterCombinationException", "NodeNotFoundFault")
        self.count("cluster steps")
        pick = self.dice.randrange(4)
        if pick == 0 and len(cluster["Nodes"]) < 3:
            self.try_send("IncreaseReplicationFactor", {"ClusterName": CLUSTER, "NewReplicationFactor": 3}, "dax", also=busy)
        elif pick == 1 and len(cluster["Nodes"]) > 1:
            self.try_send("DecreaseReplicationFactor", {"ClusterName": CLUSTER, "NewReplicationFactor": 1}, "dax", also=busy)
        elif pick == 2:
            node = self.dice.choice(cluster["Nodes"])["NodeId"]
            self.try_send("RebootNode", {"ClusterName": CLUSTER, "NodeId": node}, "dax", also=busy)
        else:
            values = [{"ParameterName": name, "ParameterValue": str(self.dice.choice((0, 500, 60000)))}
                      for name in ("record-ttl-millis", "query-ttl-millis")]
            self.try_send("UpdateParameterGroup", {"ParameterGroupName": "soak", "ParameterNameValues": values}, "dax", also=busy)


class Administrator(Actor):
    """Tables come, change and go."""

    pause = 0.2

    def step(self):
        name = f"soak-passing-{self.dice.randrange(4)}"
        attributes = [{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "g")]
        gsi = {"IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}
        self.wire.send("CreateTable", {
            "TableName": name, "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": attributes[:1],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}], "Tags": [{"Key": "k", "Value": name}],
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}})
        arn = wait_active(self.wire, name)["TableArn"]
        for start in range(0, 100, 25):
            self.try_send("BatchWriteItem", {"RequestItems": {name: [
                {"PutRequest": {"Item": {"pk": S(f"{i}"), "g": S(f"{i % 7}"), "due": {"N": "1"}, "text": S("p" * 800)}}}
                for i in range(start, start + 25)]}})
        self.wire.control("partition-split", table=name)
        self.wire.send("UpdateTable", {"TableName": name, "AttributeDefinitions": attributes,
                                       "GlobalSecondaryIndexUpdates": [{"Create": gsi}]})
        wait_active(self.wire, name)
        self.try_send("Query", {"TableName": name, "IndexName": "by-g", "KeyConditionExpression": "g = :g",
                                "ExpressionAttributeValues": {":g": S("3")}})
        pick = self.dice.randrange(4)
        if pick == 0:
            self.wire.send("UpdateTable", {"TableName": name, "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by-g"}}]})
        elif pick == 1:
            units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
            self.wire.send("UpdateTable", {
                "TableName": name, "BillingMode": "PROVISIONED", "ProvisionedThroughput": units,
                "GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "by-g", "ProvisionedThroughput": units}}]})
        elif pick == 2:
            self.wire.send("UpdateTable", {"TableName": name, "StreamSpecification": {"StreamEnabled": False}})
        else:
            self.wire.send("UpdateTimeToLive", {"TableName": name, "TimeToLiveSpecification": {
                "Enabled": True, "AttributeName": "due"}})
        wait_active(self.wire, name)
        self.wire.send("UpdateContributorInsights", {"TableName": name, "ContributorInsightsAction": "ENABLE"})
        self.wire.send("TagResource", {"ResourceArn": arn, "Tags": [{"Key": "more", "Value": "x" * 100}]})
        self.wire.send("UntagResource", {"ResourceArn": arn, "TagKeys": ["k"]})
        self.wire.send("PutResourcePolicy", {"ResourceArn": arn, "Policy": (
            '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"dynamodb:Scan","Resource":"%s"}]}' % arn)})
        if self.dice.random() < 0.5:
            self.wire.send("DeleteResourcePolicy", {"ResourceArn": arn})
        self.wire.send("DeleteTable", {"TableName": name})
        wait_gone(self.wire, name)
        self.count("tables made and deleted")


class Trouble(Actor):
    """Rolls and splits of shards, throttling, conflicts, errors, new credentials, whoever reads the figures."""

    pause = 0.25

    def step(self):
        pick = self.dice.randrange(8)
        if pick == 0:
            self.wire.control("shard-roll", table=self.dice.choice((MAIN, DAX)))
        elif pick == 1:
            self.wire.control("throttle", table=self.dice.choice((MAIN, VECTORS, SMALL)), count=5)
        elif pick == 2:
            self.wire.control("conflict", table=MAIN, count=3)
        elif pick == 3:
            self.wire.control("fail", operation=self.dice.choice(("PutItem", "Query", "TransactWriteItems", "BatchGetItem")),
                              error="InternalServerError", count=2)
        elif pick == 4:
            self.soak.server.signal(signal.SIGHUP)
        elif pick == 5:
            self.wire.get("/metrics")
            self.wire.get("/health")
        elif pick == 6 and not self.soak.warm.is_set():  # partitions are never joined, so there is an end to it
            self.wire.control("partition-split", table=MAIN)
        else:
            self.wire.control("stream-maintain")
        self.count("trouble")


class Clock(Actor):
    """A day passes six times in the run, in leaps of six hours: records are trimmed, tokens and iterators end, items expire."""

    LEAPS = 24

    def __init__(self, soak):
        super().__init__(soak)
        self.pause = soak.seconds / self.LEAPS

    def step(self):
        answer = self.wire.control("clock-advance", seconds=6 * 3600 + 60)
        self.soak.ahead = answer["clock"]["ahead"]
        self.wire.control("stream-maintain")
        self.soak.leaps.append(time.monotonic() - self.soak.began)
        self.count("leaps of six hours")
