"""Serves localstripe on a free port of 127.0.0.1: by itself it listens on all addresses, and writes into /tmp."""

import asyncio

from aiohttp import web
from localstripe import resources
from localstripe.server import app

resources.Store.dump_to_disk = lambda store: None


async def main():
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print("listening", runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
