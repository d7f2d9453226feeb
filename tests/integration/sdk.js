// The JavaScript SDK v3 against the endpoint in the first argument. Prints "ok" when everything was as it should be.
const assert = require("node:assert/strict");
const {
  DynamoDBClient, CreateTableCommand, DeleteTableCommand, GetItemCommand, waitUntilTableExists, waitUntilTableNotExists, ConditionalCheckFailedException,
  ResourceNotFoundException,
} = require("@aws-sdk/client-dynamodb");
const {
  DynamoDBDocumentClient, PutCommand, GetCommand, UpdateCommand, DeleteCommand, QueryCommand, BatchWriteCommand, BatchGetCommand,
  paginateScan, NumberValue,
} = require("@aws-sdk/lib-dynamodb");

async function main(endpoint) {
  const client = new DynamoDBClient({ endpoint, region: "us-east-1", credentials: { accessKeyId: "js", secretAccessKey: "js" } });
  const documents = DynamoDBDocumentClient.from(client, { unmarshallOptions: { wrapNumbers: false } });
  const TableName = `js-${process.pid}`;

  await client.send(new CreateTableCommand({
    TableName,
    BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: ["pk", "owner"].map((AttributeName) => ({ AttributeName, AttributeType: "S" })).concat({ AttributeName: "sk", AttributeType: "N" }),
    KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }],
    GlobalSecondaryIndexes: [{ IndexName: "owner", KeySchema: [{ AttributeName: "owner", KeyType: "HASH" }], Projection: { ProjectionType: "ALL" } }],
  }));
  await waitUntilTableExists({ client, maxWaitTime: 30, minDelay: 1 }, { TableName });

  const item = {
    pk: "a", sk: 1, owner: "me", text: "ünï😀", list: [1, "two", { three: 3 }], map: { deep: { er: true } }, vacant: null,
    bytes: new Uint8Array([0, 255, 1]), set: new Set(["x", "y"]),
  };
  await documents.send(new PutCommand({ TableName, Item: item }));
  const got = (await documents.send(new GetCommand({ TableName, Key: { pk: "a", sk: 1 }, ConsistentRead: true, ProjectionExpression: "#t, #l[2].three, #s, #b", ExpressionAttributeNames: { "#t": "text", "#l": "list", "#s": "set", "#b": "bytes" } }))).Item;
  assert.deepEqual(got, { text: item.text, list: [{ three: 3 }], set: item.set, bytes: item.bytes });

  const big = NumberValue.from("12345678901234567890.12345678901234567");
  await documents.send(new PutCommand({ TableName, Item: { pk: "big", sk: 1, big } }));
  const stored = await client.send(new GetItemCommand({ TableName, Key: { pk: { S: "big" }, sk: { N: "1" } } }));
  assert.equal(stored.Item.big.N, big.value);
  await documents.send(new DeleteCommand({ TableName, Key: { pk: "big", sk: 1 } }));

  const updated = await documents.send(new UpdateCommand({
    TableName, Key: { pk: "a", sk: 1 }, UpdateExpression: "SET n = if_not_exists(n, :zero) + :one REMOVE vacant", ExpressionAttributeValues: { ":zero": 0, ":one": 1 },
    ReturnValues: "UPDATED_NEW",
  }));
  assert.deepEqual(updated.Attributes, { n: 1 });

  await assert.rejects(
    documents.send(new PutCommand({ TableName, Item: { pk: "a", sk: 1 }, ConditionExpression: "attribute_not_exists(pk)", ReturnValuesOnConditionCheckFailure: "ALL_OLD" })),
    (error) => error instanceof ConditionalCheckFailedException && error.Item.pk.S === "a",
  );

  for (let i = 0; i < 100; i += 25)
    await documents.send(new BatchWriteCommand({ RequestItems: { [TableName]: Array.from({ length: 25 }, (_, j) => ({ PutRequest: { Item: { pk: "b", sk: i + j, owner: j % 2 ? "me" : "you" } } })) } }));
  const page = await documents.send(new QueryCommand({ TableName, KeyConditionExpression: "pk = :p AND sk BETWEEN :low AND :high", ExpressionAttributeValues: { ":p": "b", ":low": 10, ":high": 19 }, ScanIndexForward: false }));
  assert.deepEqual(page.Items.map((i) => i.sk), [19, 18, 17, 16, 15, 14, 13, 12, 11, 10]);
  const mine = await documents.send(new QueryCommand({ TableName, IndexName: "owner", KeyConditionExpression: "#o = :me", ExpressionAttributeNames: { "#o": "owner" }, ExpressionAttributeValues: { ":me": "me" }, Select: "COUNT" }));
  assert.equal(mine.Count, 49);
  const both = await documents.send(new BatchGetCommand({ RequestItems: { [TableName]: { Keys: [{ pk: "b", sk: 1 }, { pk: "b", sk: 1000 }] } } }));
  assert.equal(both.Responses[TableName].length, 1);

  let count = 0;
  for await (const { Items } of paginateScan({ client: documents, pageSize: 7 }, { TableName })) count += Items.length;
  assert.equal(count, 101);

  await Promise.all(Array.from({ length: 50 }, (_, i) => documents.send(new DeleteCommand({ TableName, Key: { pk: "b", sk: i } }))));
  await client.send(new DeleteTableCommand({ TableName }));
  await waitUntilTableNotExists({ client, maxWaitTime: 30, minDelay: 1 }, { TableName });
  await assert.rejects(documents.send(new GetCommand({ TableName, Key: { pk: "a", sk: 1 } })), ResourceNotFoundException);
  console.log("ok");
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
