#!/usr/bin/python3
"""
The other end of a webhook: takes signed events and appends each once to a file, a line of JSON, for a SIEM to read.

    - { name: siem, webhook: "http://127.0.0.1:8514/", secretFile: siem.key }

    siem-receiver.py --secret-file siem.key --log events.jsonl [--listen 127.0.0.1:8514]

Put it behind a web server with TLS where Sallyport is on another machine.
"""

import argparse
import hashlib
import hmac
import http.server
import json
import os
import threading
import time

LONGEST_BODY = 65_536
CLOCKS_APART_SECONDS = 300

options = argparse.ArgumentParser()
options.add_argument("--secret-file", required=True)
options.add_argument("--log", required=True)
options.add_argument("--listen", default="127.0.0.1:8514")
given = options.parse_args()

with open(given.secret_file, encoding="utf-8") as file:
    secret = file.read().rstrip("\r\n").encode()

one_at_a_time = threading.Lock()
seen = set()
if os.path.exists(given.log):
    with open(given.log, encoding="utf-8") as file:
        seen = {json.loads(line)["eventId"] for line in file}


def genuine(headers, body):
    timestamp = headers.get("Sallyport-Timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > CLOCKS_APART_SECONDS:
        return False
    expected = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"sha256={expected}".encode(), headers.get("Sallyport-Signature", "").encode())


def keep(body):
    """On the disk before it is acknowledged; a repeat is acknowledged and not written again."""
    event = json.loads(body)
    with one_at_a_time:
        if event["eventId"] in seen:
            return
        with open(given.log, "a", encoding="utf-8") as log:
            log.write(json.dumps(event) + "\n")
            log.flush()
            os.fsync(log.fileno())
        seen.add(event["eventId"])


class Receiver(http.server.BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self):
        length = int(self.headers.get("Content-Length", "0"))
        if length > LONGEST_BODY:
            return self.answer(413)
        body = self.rfile.read(length)
        if not genuine(self.headers, body):
            return self.answer(401)
        keep(body)
        return self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


host, port = given.listen.rsplit(":", 1)
server = http.server.ThreadingHTTPServer((host, int(port)), Receiver)
print(f"listening on {server.server_address[0]}:{server.server_address[1]}", flush=True)
server.serve_forever()
