/*
 * The least that a management client can be: `do-nothing-peer.ts SOCKET NETWORK` lets everybody in at once, with an
 * address of NETWORK (`10.43`), in the same words as Sallyport.
 */
import { connect } from "node:net";
import { admitClient, encodeCommands, wakeUp } from "../packages/server/src/drivers/openvpn/commands.ts";

const [path = "", network = ""] = process.argv.slice(2);
const socket = connect(path);
socket.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
socket.on("end", () => process.exit(0));
socket.write("hold off\nhold release\n");
console.log("ready");

let rest = "";
let asking: { cid: number; kid: number } | undefined;
let last = 1;
socket.setEncoding("utf8").on("data", (text: string) => {
  const lines = (rest + text).split("\r\n");
  rest = lines.pop() ?? "";
  for (const line of lines) {
    const asked = /^>CLIENT:CONNECT,(\d+),(\d+)/.exec(line);
    if (asked !== null) asking = { cid: Number(asked[1]), kid: Number(asked[2]) };
    if (line !== ">CLIENT:ENV,END" || asking === undefined) continue;
    last = (last % 4_000) + 1;
    const address = `${network}.${last >> 8}.${last & 255}`;
    const ipv4 = { address, prefixLength: 20, gateway: `${network}.0.1` };
    const admission = { kind: "connect", ipv4, ipv6: null, routes: ["10.99.0.0/16"], dns: [ipv4.gateway] } as const;
    socket.write(encodeCommands([admitClient(asking, admission, ["explicit-exit-notify 1"]), wakeUp(asking)]));
    asking = undefined;
  }
});
