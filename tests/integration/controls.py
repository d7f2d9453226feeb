"""Commands a server that was started with --test-controls."""

import json
import urllib.error
import urllib.request

PATH = "/_stator/test-controls"


class Refused(Exception):
    def __init__(self, status, answer):
        super().__init__(f"{status}: {answer}")
        self.status, self.answer = status, answer


class Controls:
    def __init__(self, endpoint):
        self.url = endpoint + PATH

    def send(self, body, method="POST"):
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as e:
            raise Refused(e.code, e.read().decode()) from None

    def __call__(self, control, **parameters):
        return self.send(json.dumps({"control": control, **parameters}).encode())

    def describe(self):
        return self.send(None, "GET")
