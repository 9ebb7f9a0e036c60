"""Checks a published draw by its description in docs/queue.md, sharing no code with the program that made it."""

import json
import sys
from hashlib import sha256


def h(*parts):
    return sha256(b"".join(parts)).digest()


def root(entries):
    if len(entries) < 2:
        return h(b"\0", entries[0]) if entries else h()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return h(b"\1", root(entries[:split]), root(entries[split:]))


draw = json.load(open(sys.argv[1]))
fans = sys.argv[2:]
seed, entries = bytes.fromhex(draw["seed"]), [bytes.fromhex(entry) for entry in draw["entries"]]
assert h(seed).hex() == draw["commitment"], "commitment"
assert entries == sorted(set(entries)), "order"
found = root(entries)
assert found.hex() == draw["root"], "root"
beacon = draw["beacon"]["value"].encode() if draw["beacon"] else b""
by_lot = sorted(entries, key=lambda entry: h(seed, found, beacon, entry))
assert [by_lot.index(entry) + 1 for entry in entries] == draw["ranks"], "ranks"
event = bytes.fromhex(draw["event"])
for fan in fans:
    print(by_lot.index(h(b"onsale draw entry", event, bytes.fromhex(fan))) + 1)
