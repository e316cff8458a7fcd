import type { Platform } from "../interpreter/machine.ts";
import { believableNameServers, type NameServerSetting, type NameServers } from "./name-servers.ts";
import { resolvconfNameServers } from "./resolvconf.ts";
import { scutilNameServers } from "./scutil.ts";

/** How name servers are set here. On Windows openvpn and WireGuard do it themselves. */
export function nameServersOf(options: {
  platform: Platform;
  /** The tunnel, as the system is to call it: letters, digits and dots. */
  name: string;
  log: (text: string) => void;
}): NameServerSetting {
  const { platform, name, log } = options;
  if (platform === "win") return { set: async () => undefined, close: async () => undefined };
  return inTurn(platform === "mac" ? scutilNameServers({ name, log }) : resolvconfNameServers({ name, log }));
}

/** One after the other, and nothing where there was nothing and is to be nothing. */
function inTurn(setting: NameServerSetting): NameServerSetting {
  let last: Promise<void> = Promise.resolve();
  let present = false;
  const set = (wanted: NameServers) => {
    last = last.then(async () => {
      const believed = believableNameServers(wanted);
      if (believed.servers.length === 0) return await away();
      present = true;
      await setting.set(believed);
    });
    return last;
  };
  const away = async () => {
    if (present) await setting.close();
    present = false;
  };
  return {
    set,
    close: () => {
      last = last.then(away);
      return last;
    },
  };
}
