"""The chats, phones and pagers of a guest, each under its own name: takes what has the right secret, answers as the service
does, and writes it all down in /run/posted. /etc/services.json has {host: [[secret, ...], status, body]}."""

import http.server
import json
import pathlib
import ssl
import urllib.parse

SERVICES = json.loads(pathlib.Path("/etc/services.json").read_text())


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        secrets, status, answer = SERVICES[self.headers["Host"]]
        kind = self.headers["Content-Type"].split(";")[0]
        if kind == "application/json":
            read = json.loads(body)
        elif kind == "application/x-www-form-urlencoded":
            read = dict(urllib.parse.parse_qsl(body, strict_parsing=True))
        else:
            read = body
        if any(all(secret not in text for text in [self.path, str(self.headers), body]) for secret in secrets):
            status, answer = 401, "who are you?"
        with open("/run/posted", "a") as log:
            log.write(json.dumps({"host": self.headers["Host"], "path": self.path, "status": status, "body": read}) + "\n")
        self.send_response(status)
        self.end_headers()
        self.wfile.write(answer.encode())

    do_PUT = do_POST

    def log_message(self, *_):
        """The addresses have secrets in them, which are looked for in the journal."""


server = http.server.ThreadingHTTPServer(("127.0.0.1", 443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/etc/services.crt", "/etc/services.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
