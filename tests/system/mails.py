#!/usr/bin/env python3
"""Prints the mails of a Maildir (or files with mails) as JSON, in the order in which they came."""

import email
import email.policy
import json
import pathlib
import sys


def part(mail, kind):
    body = mail.get_body((kind,))
    return body.get_content() if body else None


def read(path):
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    return {
        "file": str(path),
        "headers": [[name, str(value)] for name, value in mail.items()],
        "text": part(mail, "plain"),
        "html": part(mail, "html"),
        "defects": [str(d) for m in mail.walk() for d in m.defects],
    }


place = pathlib.Path(sys.argv[1])
if (place / "new").is_dir():
    files = [*(place / "new").iterdir(), *(place / "cur").iterdir()]
else:
    files = list(place.glob("*.eml"))
files.sort(key=lambda f: (f.stat().st_mtime_ns, f.name))
json.dump([read(f) for f in files], sys.stdout)
