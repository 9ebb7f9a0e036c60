"""An SMTP server by aiosmtpd, for tests. Prints `listening PORT`, and `took SENDER RECIPIENT FILE` for each mail before it answers.

smtpd.py FOLDER [--later N] [--refuse] [--ask] [--user NAME --password WORD] [--certificate PEM --key PEM]

--later N: the first N mails are answered 451. --refuse: each recipient is answered 550, with the address. --ask: a mail is answered
when a line comes on standard input. With a user, nobody sends without signing in; with a certificate, nobody without STARTTLS.
"""
import argparse
import asyncio
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

options = argparse.ArgumentParser()
options.add_argument("folder", type=pathlib.Path)
options.add_argument("--later", type=int, default=0)
options.add_argument("--refuse", action="store_true")
options.add_argument("--ask", action="store_true")
options.add_argument("--user")
options.add_argument("--password")
options.add_argument("--certificate")
options.add_argument("--key")
options = options.parse_args()


class Handler:
    seen = 0

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if options.refuse:
            return f"550 5.1.1 <{address}>: there is nobody of that name here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        Handler.seen += 1
        file = options.folder / f"{Handler.seen}.eml"
        file.write_bytes(envelope.content)
        print("took", envelope.mail_from, ",".join(envelope.rcpt_tos), file, flush=True)
        if options.ask:
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        if Handler.seen <= options.later:
            return f"451 4.7.1 <{envelope.rcpt_tos[0]}>: try again later"
        return "250 2.0.0 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = data.login == options.user.encode() and data.password == options.password.encode()
    return AuthResult(success=good, handled=False)


def protocol():
    more = {}
    if options.user:
        more = {"authenticator": authenticate, "auth_required": True, "auth_require_tls": bool(options.certificate)}
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
        more |= {"tls_context": context, "require_starttls": True}
    return SMTP(Handler(), enable_SMTPUTF8=True, data_size_limit=50_000_000, **more)


async def main():
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
