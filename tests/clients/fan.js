// A fan with the `ws` package, who opens the socket as a page does: by a ticket among the protocols.
//
// fan.js BASE EVENT EMAIL PASSWORD
const { randomUUID } = require("node:crypto");
const WebSocket = require("ws");

const [base, event, email, password] = process.argv.slice(2);

async function post(path, body, headers = {}) {
  const answer = await fetch(`${base}/api/v1${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

function admitted(ticket) {
  return new Promise((resolve, reject) => {
    const url = `${base.replace("http", "ws")}/api/v1/events/${event}/queue/socket`;
    const socket = new WebSocket(url, ["onsale.v1", `ticket.${ticket}`], { origin: base });
    socket.on("error", reject);
    socket.on("close", (code) => reject(new Error(`closed with ${code}`)));
    socket.on("message", (text) => {
      const message = JSON.parse(text);
      if (message.type === "queue.turn") socket.send(JSON.stringify({ type: "claim" }));
      if (message.type !== "queue.update") return;
      if (message.state !== "admitted") return console.log(message.state, message.positionInQueue);
      resolve(message.acceptedTokenId);
      socket.close();
    });
  });
}

async function main() {
  const account = { email, password, name: "Fan", language: "en" };
  const { access_token } = await post("/auth/register", account);
  const authorization = { Authorization: `Bearer ${access_token}` };
  const { ticket } = await post("/auth/socket-ticket", undefined, { ...authorization, Origin: base });
  const token = await admitted(ticket);
  console.log("admitted");
  const hold = await post(
    `/events/${event}/holds`,
    { items: [{ ticket_type: "GA", quantity: 2 }] },
    { ...authorization, "Onsale-Admission": token, "Idempotency-Key": randomUUID() },
  );
  console.log("held", hold.reference, hold.lines.reduce((sum, line) => sum + line.quantity, 0));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
