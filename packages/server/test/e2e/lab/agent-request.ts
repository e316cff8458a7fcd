import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { inside, type Place } from "./network.ts";

const execute = promisify(execFile);

/** Run in the client's namespace: asks, with the certificate checked, and prints status and answer. */
const program = `
  const https = require("node:https"), tls = require("node:tls");
  const { to, name, ca, path, body } = JSON.parse(process.argv[1]);
  const request = https.request({
    host: to, port: 8443, path, method: "POST", ca, headers: { "content-type": "application/json" },
    checkServerIdentity: (_host, certificate) => tls.checkServerIdentity(name, certificate),
  }, (answer) => {
    let text = "";
    answer.setEncoding("utf8").on("data", (part) => { text += part; });
    answer.on("end", () => console.log(JSON.stringify({ status: answer.statusCode, text })));
  });
  request.on("error", (error) => { console.error(error); process.exit(1); });
  request.end(JSON.stringify(body));
`;

/** What an agent asks from where a client runs. `to`: the server's address there; `name`: the host in its certificate. */
export async function agentRequest(
  place: Place,
  request: { to: string; name: string; ca: string; path: string; body: object },
): Promise<{ status: number; text: string }> {
  const words = inside(place, [process.execPath, "-e", program, JSON.stringify(request)]);
  const { stdout } = await execute(words[0] ?? "", words.slice(1), { maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout);
}
