import type { Socket } from "node:net";
import { AgentFailure } from "../failure.ts";
import { windowsAccounts } from "../windows/accounts.ts";
import { clientRights, connectToPipe, ForeignPipe, listenAtPipe } from "../windows/named-pipe.ts";
import type { Endpoint, OnAgent, Peer } from "./peer.ts";

/*
 * Administrators' own. They and the system may do everything; whoever signed in may speak, and not make an instance of it
 * beside ours.
 */
export const rights = `O:BAD:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;0x${clientRights.toString(16)};;;AU)`;

/** What Windows gives a pipe of the system's, or of somebody who runs as an administrator. */
export const isServicesOwner = (sddl: string): boolean => /^O:(SY|BA)$/.test(sddl);

/** Where agents and the privileged service meet on Windows. @throws WindowsError where somebody else holds the pipe */
export async function listenForAgentsAtPipe(
  path: string,
  log: (text: string) => void,
  onAgent: OnAgent,
): Promise<Endpoint> {
  const accounts = await windowsAccounts();
  const peerOf = (sid: string): Peer => ({ id: sid, name: () => accounts.nameOf(sid) });
  try {
    return await listenAtPipe(path, {
      sddl: rights,
      onClient: (socket, sid) => onAgent(socket, sid === undefined ? undefined : peerOf(sid)),
      log,
    });
  } catch (error) {
    throw new AgentFailure(
      "failed",
      `The service cannot listen at ${path}: ${(error as Error).message}.`,
      "Another service runs already, or somebody else's program holds the name: find it (handle.exe, or Resource Monitor) and end it.",
    );
  }
}

/** Undefined where nobody listens. @throws AgentFailure where it is not the service that listens */
export async function connectToServicePipe(path: string): Promise<Socket | undefined> {
  try {
    return await connectToPipe(path, isServicesOwner);
  } catch (error) {
    if (error instanceof ForeignPipe)
      throw new AgentFailure(
        "not-permitted",
        `What listens at ${path} is not this machine's service: ${error.message}.`,
        "Nothing was told to it. Tell the machine's owner: somebody's program sits in the service's place, and is to be ended before the service starts.",
      );
    throw new AgentFailure(
      "failed",
      `The privileged service does not answer: ${(error as Error).message}.`,
      "Try again in a moment.",
    );
  }
}
