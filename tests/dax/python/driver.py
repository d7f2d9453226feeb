"""A DAX client of Python under a test's command: lines of {"op", "params"} in, lines of {"result"} or {"error"} out, both in
DynamoDB JSON (binary values as base64).

    python driver.py dax://127.0.0.1:8111 region [requests at once]
"""

import base64
import concurrent.futures
import json
import os
import re
import sys
import threading

import botocore.session
from amazondax import AmazonDaxClient

endpoint, region, *more = sys.argv[1:]
session = botocore.session.get_session()
client = AmazonDaxClient(
    session,
    region_name=region,
    endpoint_url=endpoint,
    aws_access_key_id=os.environ.get("DAX_ACCESS_KEY", "test"),
    aws_secret_access_key=os.environ.get("DAX_SECRET_KEY", "test"),
    aws_session_token=os.environ.get("DAX_SESSION_TOKEN"),
    **({"skip_hostname_verification": True} if endpoint.startswith("daxs") else {}),
)


def bytes_in(value):
    if isinstance(value, list):
        return [bytes_in(v) for v in value]
    if not isinstance(value, dict):
        return value
    if list(value) == ["B"] and isinstance(value["B"], str):
        return {"B": base64.b64decode(value["B"])}
    if list(value) == ["BS"]:
        return {"BS": [base64.b64decode(b) for b in value["BS"]]}
    return {k: bytes_in(v) for k, v in value.items()}


def plain(value):
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k != "ResponseMetadata"}
    return value


writing = threading.Lock()


def run(line):
    request = json.loads(line)
    answer = {"id": request.get("id")}
    try:
        method = getattr(client, re.sub(r"(?<!^)([A-Z])", r"_\1", request["op"]).lower())
        answer["result"] = plain(method(**bytes_in(request["params"])))
    except Exception as error:
        response = getattr(error, "response", {})
        about = response.get("Error", {})
        answer["error"] = {
            "name": type(error).__name__,
            "code": about.get("Code"),
            "message": about.get("Message", str(error)),
            "status": response.get("ResponseMetadata", {}).get("HTTPStatusCode"),
        }
        if "CancellationReasons" in response:
            answer["error"]["reasons"] = plain(response["CancellationReasons"])
    with writing:
        print(json.dumps(answer), flush=True)


if more and int(more[0]) > 1:
    with concurrent.futures.ThreadPoolExecutor(int(more[0])) as pool:
        list(pool.map(run, sys.stdin))
else:
    for request_line in sys.stdin:
        run(request_line)
client.close()
