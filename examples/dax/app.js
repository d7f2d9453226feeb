/*
 * A shop's product pages, read as often as people look at them. The same code runs over HTTP and through DAX; only the
 * endpoint changes.
 *
 *     node app.js http://127.0.0.1:8000 dax://127.0.0.1:8111
 *
 * The first endpoint makes and fills the table; then each one serves the same visitors, and what they waited is printed.
 */
"use strict";
const { DynamoDB } = require("@aws-sdk/client-dynamodb");
const { Dax } = require("@amazon-dax-sdk/client-dax");

const TABLE = "products", PRODUCTS = 50, VISITS = Number(process.env.VISITS || 4000), VISITORS = 4;
const region = "us-east-1", credentials = { accessKeyId: "local", secretAccessKey: "local" };

/* All that knows of DAX. */
function connect(endpoint) {
	return endpoint.startsWith("dax")
		? new Dax({ endpoints: [endpoint], region, credentials })
		: new DynamoDB({ endpoint, region, credentials });
}

async function fill(db) {
	await db.deleteTable({ TableName: TABLE }).catch(() => {});
	await db.createTable({
		TableName: TABLE,
		BillingMode: "PAY_PER_REQUEST",
		AttributeDefinitions: [{ AttributeName: "shop", AttributeType: "S" }, { AttributeName: "product", AttributeType: "N" }],
		KeySchema: [{ AttributeName: "shop", KeyType: "HASH" }, { AttributeName: "product", KeyType: "RANGE" }],
	});
	while ((await db.describeTable({ TableName: TABLE })).Table.TableStatus !== "ACTIVE")
		await new Promise((done) => setTimeout(done, 20));
	for (let i = 0; i < PRODUCTS; i++)
		await db.putItem({ TableName: TABLE, Item: { ...key(i), text: { S: "words about the product ".repeat(40) }, price: { N: "10" } } });
}

const key = (i) => ({ shop: { S: "corner" }, product: { N: String(i) } });

/* One visitor: pages, now and then the list, seldom a change of price. */
async function visit(db, visits, waited) {
	for (let i = 0; i < visits; i++) {
		const product = (i * 7) % PRODUCTS, began = process.hrtime.bigint();
		let kind = "page";

		if (i % 100 === 99) {
			kind = "price";
			await db.updateItem({ TableName: TABLE, Key: key(product), UpdateExpression: "SET price = price + :p",
				ExpressionAttributeValues: { ":p": { N: "1" } } });
		} else if (i % 20 === 19) {
			kind = "list";
			await db.query({ TableName: TABLE, KeyConditionExpression: "shop = :s", ProjectionExpression: "product, price",
				ExpressionAttributeValues: { ":s": { S: "corner" } } });
		} else {
			const { Item } = await db.getItem({ TableName: TABLE, Key: key(product) });
			if (Item.product.N !== String(product)) throw new Error("another product came");
		}
		waited[kind].push(Number(process.hrtime.bigint() - began) / 1000);
	}
}

function tell(endpoint, waited) {
	for (const [kind, all] of Object.entries(waited)) {
		all.sort((a, b) => a - b);
		const at = (part) => Math.round(all[Math.floor(all.length * part)]);
		console.log(`${endpoint.padEnd(28)} ${kind.padEnd(6)} ${String(all.length).padStart(6)} times   p50 ${at(0.5)} µs   p99 ${at(0.99)} µs`);
	}
}

async function main(endpoints) {
	if (endpoints.length === 0) throw new Error("usage: node app.js http://HOST:PORT [dax://HOST:PORT ...]");
	await fill(connect(endpoints[0]));
	for (const endpoint of endpoints) {
		const db = connect(endpoint), waited = { page: [], list: [], price: [] };
		await visit(db, 300, { page: [], list: [], price: [] }); // code and caches get warm
		await Promise.all(Array.from({ length: VISITORS }, () => visit(db, VISITS / VISITORS, waited)));
		tell(endpoint, waited);
		if (db.destroy) db.destroy();
	}
}

main(process.argv.slice(2)).then(() => process.exit(0), (error) => {
	console.error(error);
	process.exit(1);
});
