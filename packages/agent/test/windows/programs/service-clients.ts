/**
 * What programs of users' do with the service's pipe, as a program for Windows: `service-clients.ts SCENARIO WORDS…`, and
 * what came of it as JSON on standard output.
 */
import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Bundle, type ClientScript, type SigningKey, sha256, signBundle } from "@sallyport/protocol";
import { failureOf } from "../../../src/failure.ts";
import { connectService, type ServiceClient } from "../../../src/service/client.ts";
import { connectToService } from "../../../src/service/endpoint.ts";

const pipe = "\\\\.\\pipe\\sallyport-agent";
const ticket = "a-ticket-of-some-length_0123456789";
const facts = { ipFour: "127.0.0.1", reconnects: 2, graceful: true };

type Offer = { key: { id: string; publicKey: string; pem: string }; other: string; scripts: ClientScript[] };

async function client(): Promise<ServiceClient> {
  const connected = await connectService(pipe);
  if (connected === undefined) throw new Error("nobody listens");
  return connected;
}

function bundleText(nonce: string, { key, scripts }: Offer, pem = key.pem): string {
  const bundle: Bundle = {
    id: "b",
    issuedAt: new Date().toISOString(),
    expiresAt: new Date(Date.now() + 60_000).toISOString(),
    serverId: "server-1",
    connectionId: "c",
    ticketSha256: sha256(ticket),
    nonce,
    userId: "alice",
    profileId: "office",
    group: null,
    platform: "win",
    stdin: null,
    report: null,
    scripts,
  };
  const signing: SigningKey = { ...key, privateKey: createPrivateKey(pem) };
  return JSON.stringify(signBundle(bundle, signing));
}

async function opened(): Promise<Socket> {
  const socket = (await connectToService(pipe)) as Socket;
  return socket.on("error", () => undefined);
}

const end = (socket: Socket) =>
  new Promise<string>((resolve) => socket.resume().once("close", () => resolve("closed")));

/** One that the service has answered. Whose turn it is not yet it turns away: it sees when others are gone. */
async function served(): Promise<Socket> {
  for (;;) {
    const socket = await opened();
    socket.write('{"do":"nonce"}\n');
    const answer = new Promise<string>((resolve) => socket.once("data", (data) => resolve(data.toString())));
    if ((await Promise.race([answer, end(socket)])).startsWith('{"nonce":')) return socket;
    await sleep(50);
  }
}

const saying = (error: unknown) => {
  const { message, next = "" } = failureOf(error);
  return `${message} ${next}`;
};

const scenarios: Record<string, (words: string[]) => Promise<unknown>> = {
  /** Hands in bundles, the right one last, runs it, and is gone without a word of its end. */
  async offer([path = ""]) {
    const offer: Offer = JSON.parse(readFileSync(path, "utf8"));
    const one = await client();
    const nonce = await one.scripts.nonce();
    const forged = await one.scripts.take({ text: bundleText(nonce, offer, offer.other), ticket, nonce });
    const again = await one.scripts.nonce();
    const text = bundleText(again, offer);
    const taken = await one.scripts.take({ text, ticket, nonce: again });
    const reports = await one.scripts.run("connect", facts);
    const twice = await one.scripts.run("connect", facts);
    const replayed = await one.scripts.take({ text, ticket, nonce: again });
    const two = await client();
    const elsewhere = await two.scripts.take({ text, ticket, nonce: again });
    two.close();
    one.close();
    return { forged, taken: taken ?? "taken", reports, twice, replayed, elsewhere };
  },
  /** Connects, and stays until the service is gone. */
  async stays([path = ""]) {
    const offer: Offer = JSON.parse(readFileSync(path, "utf8"));
    const one = await client();
    const nonce = await one.scripts.nonce();
    await one.scripts.take({ text: bundleText(nonce, offer), ticket, nonce });
    await one.scripts.run("connect", facts);
    for (;;) {
      const gone = await one.scripts.nonce().then(() => undefined, saying);
      if (gone !== undefined) return gone;
      await sleep(50);
    }
  },
  async refused([path = ""]) {
    const offer: Offer = JSON.parse(readFileSync(path, "utf8"));
    const one = await client();
    const nonce = await one.scripts.nonce();
    return await one.scripts.take({ text: bundleText(nonce, offer), ticket, nonce }).then(() => "taken", saying);
  },
  async tunnel() {
    const one = await client();
    const profileText = "client\nremote 127.0.0.1\n<ca>\nx\n</ca>\n";
    return await one.startOpenVpn({ profileText, peerInfo: {} }).then(() => "started", saying);
  },
  /** Whoever says nothing, goes at once, says too much, or comes too often. */
  async neighbours() {
    const silent = await opened();
    for (let count = 0; count < 20; count += 1) (await opened()).destroy();
    await Promise.all(Array.from({ length: 20 }, async () => (await opened()).destroy()));
    const flood = await served();
    flood.write('{"do":"run","event":"connect","facts":{}}\n'.repeat(50));
    const flooded = await end(flood);
    const three = [await served(), await served(), await served()];
    const turnedAway = await end(await opened());
    for (const socket of [silent, ...three]) socket.destroy();
    return { flooded, turnedAway };
  },
  /** Somebody sits at the pipe before the service does. */
  async squatted() {
    let told = "";
    const squatter = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (data) => {
        told += data.toString();
      });
    });
    await new Promise<void>((resolve) => squatter.listen(pipe, resolve));
    const said = await connectService(pipe).then(() => "spoken to", saying);
    return { said, told };
  },
};

const [scenario = "", ...words] = process.argv.slice(2);
const result = await scenarios[scenario]?.(words);
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
