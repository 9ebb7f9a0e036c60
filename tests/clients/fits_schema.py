"""Holds messages against the AsyncAPI document by a foreign validator.

fits_schema.py ASYNCAPI   reads lines {"key": ROUTING KEY, "body": JSON} and prints how many of each key there were, as JSON; the first
message that does not fit ends it with an error.
"""
import collections
import json
import sys

from jsonschema import Draft202012Validator, FormatChecker

document = json.load(open(sys.argv[1]))
schemas = document["components"]["schemas"]
for name, schema in schemas.items():
    Draft202012Validator.check_schema(schema)


def validator(channel):
    (message,) = channel["messages"].values()
    message = document["components"]["messages"][message["$ref"].rsplit("/", 1)[1]]
    root = {**message["payload"], "components": {"schemas": schemas}}
    return Draft202012Validator(root, format_checker=FormatChecker())


validators = {channel["address"]: validator(channel) for channel in document["channels"].values()}
seen = collections.Counter()
for line in sys.stdin:
    message = json.loads(line)
    key = message["key"]
    if key not in validators:
        sys.exit(f"no channel has the address {key}")
    errors = [error.message for error in validators[key].iter_errors(message["body"])]
    if errors:
        sys.exit(f"{key}: {message['body']}: {errors}")
    seen[key] += 1
print(json.dumps(seen))
