/** What a client config tells an agent, in comment lines that other clients pass over. */
export type AgentConfig = {
  /** `https://vpn.example.org:8443`: agentPaths follow it. */
  url: string;
  serverId: string;
  /** Ed25519, base64 of 32 bytes; a bundle signed with any of them counts. */
  publicKeys: readonly string[];
  /** Where the URL's host is found inside the tunnel (WireGuard): connect there, and check the certificate of the URL. */
  address: string | null;
  /** The server's CA where the config has no `<ca>` of its own (WireGuard), PEM. */
  caPem: string | null;
};

/** OpenVPN breaks lines of its files at 255 bytes, and reads what follows as an option. */
const mostLineBytes = 250;
const keyForm = /^[A-Za-z0-9+/]{43}=$/;

/**
 * `# SALLYPORT_AGENT_URL …`, `# SALLYPORT_SERVER_ID …`, `# SALLYPORT_AGENT_KEY …` (one each key),
 * `# SALLYPORT_AGENT_ADDRESS …`, and the CA between `# SALLYPORT_AGENT_CA_START` and `# SALLYPORT_AGENT_CA_STOP`.
 */
export function agentConfigLines({ url, serverId, publicKeys, address, caPem }: AgentConfig): string[] {
  const lines = [
    `# SALLYPORT_AGENT_URL ${url}`,
    `# SALLYPORT_SERVER_ID ${serverId}`,
    ...publicKeys.map((key) => `# SALLYPORT_AGENT_KEY ${key}`),
    ...(address === null ? [] : [`# SALLYPORT_AGENT_ADDRESS ${address}`]),
    ...(caPem === null ? [] : block("SALLYPORT_AGENT_CA", caPem.trim().split(/\r?\n/))),
  ];
  for (const line of lines) {
    if (Buffer.byteLength(line) > mostLineBytes || /\p{Cc}/u.test(line))
      throw new RangeError(`this cannot stand in a client config: ${JSON.stringify(line.slice(0, 80))}`);
  }
  return lines;
}

/** Undefined where the config says nothing to agents. @throws RangeError where what it says cannot be. */
export function readAgentConfig(text: string): AgentConfig | undefined {
  const lines = text.split(/\r?\n/);
  const all = (word: string) =>
    lines.flatMap((line) => (line.startsWith(`# ${word} `) ? line.slice(word.length + 3).trim() : []));
  const [url, another] = all("SALLYPORT_AGENT_URL");
  if (url === undefined) return undefined;
  const [serverId = "", anotherServer] = all("SALLYPORT_SERVER_ID");
  const publicKeys = all("SALLYPORT_AGENT_KEY");
  const ca = blockIn(lines, "SALLYPORT_AGENT_CA");
  if (another !== undefined || anotherServer !== undefined) throw new RangeError("the client config names two servers");
  if (!URL.canParse(url) || new URL(url).protocol !== "https:")
    throw new RangeError("the SALLYPORT_AGENT_URL of the client config is no https URL");
  if (serverId === "" || publicKeys.length === 0 || !publicKeys.every((key) => keyForm.test(key)))
    throw new RangeError("the client config pins no key to check scripts with: get it anew");
  const [address = null] = all("SALLYPORT_AGENT_ADDRESS");
  return { url: url.replace(/\/+$/, ""), serverId, publicKeys, address, caPem: ca && `${ca.join("\n")}\n` };
}

/** Lines as a block of comments between `NAME_START` and `NAME_STOP`. */
export function block(name: string, lines: readonly string[]): string[] {
  return [`# ${name}_START`, ...lines.map((line) => `# ${line}`), `# ${name}_STOP`];
}

/** The lines of a block without their comment signs; null where there is none, or it does not end. */
export function blockIn(lines: readonly string[], name: string): string[] | null {
  const from = lines.findIndex((line) => line.trim() === `# ${name}_START`);
  const length = lines.slice(from + 1).findIndex((line) => line.trim() === `# ${name}_STOP`);
  if (from < 0 || length < 0) return null;
  return lines.slice(from + 1, from + 1 + length).map((line) => line.replace(/^#\s?/, "").trimEnd());
}
