/*
 * A DAX client of JavaScript under a test's command: lines of {"op", "params"} in, lines of {"result"} or {"error"} out,
 * both in DynamoDB JSON (binary values as base64).
 *
 *     node driver.js v2|v3 dax://127.0.0.1:8111 region [requests at once]
 *
 * The modules are those of NODE_PATH.
 */
"use strict";
const [version, endpoint, region, parallel = "1"] = process.argv.slice(2);
const credentials = {
	accessKeyId: process.env.DAX_ACCESS_KEY || "test",
	secretAccessKey: process.env.DAX_SECRET_KEY || "test",
	sessionToken: process.env.DAX_SESSION_TOKEN || undefined,
};
const timeout = Number(process.env.DAX_TIMEOUT_MS || 20000);

function makeV3() {
	const { Dax } = require("@amazon-dax-sdk/client-dax");
	const client = new Dax({ endpoints: [endpoint], region, credentials: async () => credentials,
		requestTimeout: timeout, maxRetries: 1 });
	return (op, params) => client[op](params);
}

function makeV2() {
	const AmazonDaxClient = require("amazon-dax-client");
	const client = new AmazonDaxClient({ endpoints: [endpoint], region, ...credentials, requestTimeout: timeout, maxRetries: 1 });
	return (op, params) => client[op](params).promise();
}

/* {"B": "base64"} <-> {"B": bytes}, and BS alike, wherever they stand. */
function bytesIn(value) {
	if (Array.isArray(value)) return value.map(bytesIn);
	if (value === null || typeof value !== "object") return value;
	const keys = Object.keys(value);
	if (keys.length === 1 && keys[0] === "B" && typeof value.B === "string") return { B: Buffer.from(value.B, "base64") };
	if (keys.length === 1 && keys[0] === "BS" && Array.isArray(value.BS))
		return { BS: value.BS.map((b) => Buffer.from(b, "base64")) };
	return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, bytesIn(v)]));
}

function bytesOut(value) {
	if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
	if (Array.isArray(value)) return value.map(bytesOut);
	if (value === null || typeof value !== "object") return value;
	return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, bytesOut(v)]));
}

function describe(error) {
	const about = { name: error.name || error.code, code: error.code, message: error.message,
		status: error.statusCode ?? error.$metadata?.httpStatusCode };
	const reasons = error.cancellationReasons || error.CancellationReasons;
	if (reasons) about.reasons = bytesOut(reasons);
	if (error.requestId) about.requestId = error.requestId;
	return about;
}

const call = version === "v2" ? makeV2() : makeV3();
const pending = [];
let running = 0;

async function run(line) {
	const { op, params, id } = JSON.parse(line);
	let answer;
	try {
		const result = bytesOut(await call(op, bytesIn(params)));
		delete result.$metadata;
		answer = { id, result };
	} catch (error) {
		answer = { id, error: describe(error) };
	}
	process.stdout.write(JSON.stringify(answer) + "\n");
}

function next() {
	while (pending.length > 0 && running < Number(parallel)) {
		running++;
		run(pending.shift()).finally(() => { running--; next(); });
	}
	if (closed && running === 0 && pending.length === 0) process.exit(0);
}

let closed = false;
const input = require("readline").createInterface({ input: process.stdin });
input.on("line", (line) => { pending.push(line); next(); });
input.on("close", () => { closed = true; next(); });
