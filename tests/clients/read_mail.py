"""Reads a mail as others do, by Python's email package, and prints what it says as JSON; writes attachments into a folder."""
import json
import pathlib
import sys
from email import policy
from email.parser import BytesParser

folder = pathlib.Path(sys.argv[1])
mail = BytesParser(policy=policy.default).parse(sys.stdin.buffer)
for part in mail.iter_attachments():
    (folder / part.get_filename()).write_bytes(part.get_payload(decode=True))
print(json.dumps({
    "defects": [str(defect) for part in mail.walk() for defect in part.defects],
    "names": [name.lower() for name in mail.keys()],
    "subject": mail["subject"],
    "from": str(mail["from"]),
    "to": [{"name": one.display_name, "address": one.addr_spec} for one in mail["to"].addresses],
    "message_id": mail["message-id"],
    "text": mail.get_body(("plain",)).get_content(),
    "html": mail.get_body(("html",)).get_content(),
    "attachments": {part.get_filename(): part.get_content_type() for part in mail.iter_attachments()},
}))
