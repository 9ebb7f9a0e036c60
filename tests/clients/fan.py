"""A fan with the `websockets` package: signs up, waits, claims, holds. Prints what happened, a word a line.

fan.py BASE EVENT EMAIL PASSWORD
"""

import asyncio
import json
import sys
import urllib.request
import uuid

import websockets

base, event, email, password = sys.argv[1:]


def post(path, body, **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(
        f"{base}/api/v1{path}", json.dumps(body).encode(), {"Content-Type": "application/json", **names}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def say(*words):
    print(*words, flush=True)


async def admitted(access):
    url = f"{base.replace('http', 'ws', 1)}/api/v1/events/{event}/queue/socket"
    async with websockets.connect(url, extra_headers={"Authorization": f"Bearer {access}"}) as socket:
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "queue.turn":
                await socket.send(json.dumps({"type": "claim"}))
            elif message["type"] == "queue.update" and message["state"] == "admitted":
                return message["acceptedTokenId"]
            elif message["type"] == "queue.update":
                say(message["state"], message["positionInQueue"])


account = {"email": email, "password": password, "name": "Fan", "language": "en"}
access = post("/auth/register", account)["access_token"]
token = asyncio.run(admitted(access))
say("admitted")
hold = post(
    f"/events/{event}/holds",
    {"items": [{"ticket_type": "GA", "quantity": 2}]},
    Authorization=f"Bearer {access}",
    Onsale_Admission=token,
    Idempotency_Key=str(uuid.uuid4()),
)
say("held", hold["reference"], sum(line["quantity"] for line in hold["lines"]))
