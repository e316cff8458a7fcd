/*
 * The program that stands in for openvpn.exe, wireguard.exe and wg.exe under Wine: it has the real one of this machine
 * started with the same arguments by real-programs.ts, says what that says, and ends as that ends. When this is ended, so
 * is that.
 */
const { readFileSync } = require("node:fs");
const { createConnection } = require("node:net");
const { basename, join, parse } = require("node:path");

const port = Number(readFileSync(join(parse(process.execPath).root, "real-programs-port"), "utf8"));
const socket = createConnection({ host: "127.0.0.1", port });
const request = { program: basename(process.execPath).toLowerCase(), args: process.argv.slice(2) };
socket.write(`${JSON.stringify(request)}\n`);
let unread = "";
socket.setEncoding("utf8");
socket.on("data", (chunk) => {
  const lines = (unread + chunk).split("\n");
  unread = lines.pop();
  for (const line of lines) {
    const { out, error, status } = JSON.parse(line);
    if (out !== undefined) process.stdout.write(out);
    if (error !== undefined) process.stderr.write(error);
    if (status !== undefined) process.exitCode = status;
  }
});
socket.on("error", (error) => {
  process.stderr.write(`stand-in: ${error.message}\n`);
  process.exitCode = 99;
});
