/*
 * A load on a DAX cluster while its nodes come and go: some readers and writers, and what the application saw.
 *
 *     node load.js dax://127.0.0.1:8111[,dax://...] table seconds [v2|v3]
 *
 * Prints "ready" when the first write is done, at the end one line of JSON: calls that succeeded and failed, the longest time
 * without a read or a write that succeeded, and how many did in the second half, for which a slow machine gets more time; and
 * by how much a timer was late at most, which tells how busy the machine was. Every item holds the number of its last
 * write; a reader that finds a number that was never written, or a writer's own item missing, is told as "wrong".
 */
"use strict";
const [endpoints, table, seconds, version = "v3"] = process.argv.slice(2);
const common = { endpoints: endpoints.split(","), region: "us-east-1" };
const keys = { accessKeyId: "test", secretAccessKey: "test" };

function makeV2() {
	const AmazonDaxClient = require("amazon-dax-client");
	const client = new AmazonDaxClient({ ...common, ...keys });
	return { getItem: (p) => client.getItem(p).promise(), putItem: (p) => client.putItem(p).promise() };
}

function makeV3() {
	const { Dax } = require("@amazon-dax-sdk/client-dax");
	return new Dax({ ...common, credentials: async () => keys });
}

const client = version === "v2" ? makeV2() : makeV3();
const seen = { read: { ok: 0, later_ok: 0, failed: 0, gap_ms: 0 }, write: { ok: 0, later_ok: 0, failed: 0, gap_ms: 0 }, errors: {}, wrong: 0, stall_ms: 0 };
const last = {};
let half = 0;
let end = 0;
let number = 0;

async function repeat(kind, call) {
	while (Date.now() < end || (seen[kind].later_ok < 20 && Date.now() < end + 60000)) {
		try {
			/* an application's own deadline: a call that this client puts on a pooled connection which the other side
			 * has closed meanwhile is neither answered nor timed out */
			await Promise.race([call(), new Promise((_, no) => setTimeout(() => no(new Error("deadline")), 1000))]);
			const now = Date.now();
			seen[kind].ok++;
			seen[kind].later_ok += now > half;
			seen[kind].gap_ms = Math.max(seen[kind].gap_ms, now - last[kind]);
			last[kind] = now;
		} catch (error) {
			seen[kind].failed++;
			const name = `${kind}: ${error.name} ${String(error.message).slice(0, 80)}`;
			seen.errors[name] = (seen.errors[name] || 0) + 1;
		}
		await new Promise((resolve) => setTimeout(resolve, 5));
	}
}

const key = (n) => ({ pk: { S: `k${n % 40}` } });

async function read() {
	const { Item } = await client.getItem({ TableName: table, Key: key(Math.floor(Math.random() * 40)) });
	if (Item !== undefined && Number(Item.n.N) > number) seen.wrong++;
}

async function write() {
	const mine = ++number;
	await client.putItem({ TableName: table, Item: { ...key(mine), n: { N: String(mine) }, ["a" + (mine % 25)]: { S: "x" } } });
}

(async () => {
	/* the client's own timers do not keep a process alive, an application's do */
	setInterval(() => {}, 1000);
	await write();
	console.log("ready");
	last.read = last.write = Date.now();
	let due = Date.now() + 20;
	setInterval(() => {
		seen.stall_ms = Math.max(seen.stall_ms, Date.now() - due);
		due = Date.now() + 20;
	}, 20);
	end = Date.now() + Number(seconds) * 1000;
	half = end - Number(seconds) * 500;
	const all = [];
	for (let i = 0; i < 4; i++) all.push(repeat("read", read));
	for (let i = 0; i < 2; i++) all.push(repeat("write", write));
	await Promise.all(all);
	console.log(JSON.stringify(seen));
	process.exit(0);
})().catch((error) => {
	console.error(error);
	process.exit(1);
});
