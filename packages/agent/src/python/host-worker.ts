import { spawn } from "node:child_process";
import { type MessagePort, workerData } from "node:worker_threads";
import { answerCalls, type HostAnswer, type HostCall } from "./host-calls.ts";
import { hostProcesses, type SpawnRequest } from "./host-processes.ts";
import { type HttpRequest, requestOverHttp } from "./host-requests.ts";
import { hostStreams } from "./host-streams.ts";

/** The thread beside Python that knows processes and the network. */
const { port, signal } = workerData as { port: MessagePort; signal: Int32Array };
const streams = hostStreams();
const processes = hostProcesses(streams);

async function answer({ name, arguments: given, bytes }: HostCall): Promise<HostAnswer> {
  switch (name) {
    case "spawn":
      return processes.start(given as SpawnRequest);
    case "wait":
      return processes.wait(given as { process: number; seconds?: number });
    case "kill":
      processes.signal(given as { process: number; signal: number });
      return {};
    case "killPid":
      process.kill(given.pid as number, given.signal as number);
      return {};
    case "read":
      return { data: await streams.read(given.stream as number, given.most as number) };
    case "write":
      await streams.write(given.stream as number, bytes ?? new Uint8Array());
      return {};
    case "close":
      await streams.close(given.stream as number);
      return {};
    case "request":
      return requestOverHttp(given as HttpRequest, bytes, streams);
    case "open":
      return openDocument(given.path as string);
    default:
      return { error: `the built-in Python does not know ${name}` };
  }
}

/** Windows: as a double click would open it. */
function openDocument(path: string): Promise<HostAnswer> {
  const program = `${process.env.SystemRoot ?? "C:\\Windows"}\\System32\\rundll32.exe`;
  const child = spawn(program, ["url.dll,FileProtocolHandler", path], { stdio: "ignore", windowsHide: true });
  return new Promise((answered, failed) => {
    child.once("error", failed);
    child.once("spawn", () => answered({}));
  });
}

answerCalls(port, signal, answer);
