import { version } from "./version.ts";

/**
 * What the server is told of this machine beside what openvpn itself tells with push-peer-info; docs/agent.md has the
 * whole list. `answers` are the host check's.
 */
export function peerInfo(options: {
  device: string;
  release: string;
  answers: Readonly<Record<string, string>>;
}): Record<string, string> {
  return {
    IV_GUI_VER: `sallyport-agent_${version}`,
    // Questions may be put on the tunnel, and sign-ins be handed to a browser.
    IV_SSO: "webauth,crtext",
    UV_ASCLI_VER: version,
    UV_PLAT_REL: plain(options.release),
    // openvpn sends IV_HWADDR by itself, and nobody can set it; it has none where there is no default route.
    UV_HWADDR: options.device,
    ...Object.fromEntries(
      Object.entries(options.answers)
        .filter(([name]) => /^UV_APPVER_\w{1,64}$/.test(name))
        .map(([name, value]) => [name, plain(value)]),
    ),
  };
}

function plain(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, 200);
}
