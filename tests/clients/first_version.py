"""A client of the first version: knows `/ws?eventId=` and five fields, sends nothing, and waits for close 1000.

first_version.py BASE EVENT ACCESS_TOKEN
"""

import asyncio
import json
import sys

import websockets

base, event, access = sys.argv[1:]


async def wait():
    accepted = ""
    url = f"{base.replace('http', 'ws', 1)}/ws?eventId={event}"
    async with websockets.connect(url, extra_headers={"Authorization": f"Bearer {access}"}) as socket:
        try:
            while True:
                message = json.loads(await socket.recv())
                position, ahead = message["positionInQueue"], message["peopleAheadInQueue"]
                total, seconds = message["totalPeopleInQueue"], message["estimatedWaitTime"]
                assert all(isinstance(number, int) for number in (position, ahead, total, seconds or 0)), message
                assert accepted == "", "nothing follows the token"
                accepted = message["acceptedTokenId"]
                if accepted == "":
                    print("waiting", position, ahead, total, flush=True)
        except websockets.ConnectionClosed as closed:
            print("closed", closed.code, closed.reason, accepted, flush=True)


asyncio.run(wait())
