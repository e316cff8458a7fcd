import type { Examination, Finding } from "../../api/commands/doctor.ts";
import { readLdapSettings } from "../../auth/methods/ldap-options.ts";
import { readPamSettings } from "../../auth/methods/pam-options.ts";
import { readRadiusSettings } from "../../auth/methods/radius-options.ts";
import { type SettingsReading, settingFaultText } from "../../auth/methods/settings.ts";
import type { AddressRange } from "../../core/address-range.ts";
import type { ListenerStatus } from "../../drivers/openvpn/openvpn-driver.ts";
import type { InterfaceStatus } from "../../drivers/wireguard/wireguard-driver.ts";
import type { NetworkFinding } from "../../network/network.ts";
import { wayOut } from "../../post-auth/fault-text.ts";
import type { ActiveScript } from "../../post-auth/generation.ts";
import type { AttemptStore, SettingStore } from "../../store/store.ts";
import { examineAttempts } from "./attempts.ts";
import { fault, ok, warning } from "./finding.ts";

/** What the running daemon knows of itself. */
export function examineDaemon(options: {
  listeners: () => readonly ListenerStatus[];
  interfaces: () => readonly InterfaceStatus[];
  scripts: () => Promise<readonly ActiveScript[]>;
  settings: Pick<SettingStore, "list">;
  attempts: Pick<AttemptStore, "list">;
  nasIdentifier: () => string;
  groupSubnets: () => Promise<readonly AddressRange[]>;
  inspectNetwork: () => Promise<readonly NetworkFinding[]>;
}): () => Promise<Examination> {
  return async () => {
    const listeners = options.listeners();
    const settings = await options.settings.list();
    const findings = [
      ...listeners.map(listenerFinding),
      ...options.interfaces().map(interfaceFinding),
      ...(await options.scripts()).map(scriptFinding),
      ...methodFindings(settings, options.nasIdentifier()),
      ...networkFindings(await options.inspectNetwork()),
      ...(await examineAttempts(options.attempts)),
    ];
    const attached = listeners.flatMap(({ ours, profileId, server }) =>
      ours || server === undefined ? [] : [{ profileId, pid: server.pid ?? null }],
    );
    const groupSubnets = (await options.groupSubnets()).map(({ cidr }) => cidr);
    return { findings, attached, groupSubnets };
  };
}

function listenerFinding({ profileId, listener, ours, server, failure }: ListenerStatus): Finding {
  const id = `listener.${profileId}.${listener}`;
  if (server !== undefined) {
    return ok(
      id,
      ours ? `${listener} of ${profileId} is served` : `attached to OpenVPN ${server.version} at ${listener}`,
    );
  }
  if (ours) {
    const next = `Mend what it says, and it is served: it is started again and again. Is another program at ${listener}?`;
    const why = failure ?? "its openvpn does not answer yet";
    return fault(id, `${listener} of ${profileId} is not served: ${why}`, next);
  }
  const next = "Start that server, with the management socket where the profile attaches: docs/attach.md.";
  return fault(id, `not attached to the server at ${listener}: ${failure ?? "it has not answered yet"}`, next);
}

function interfaceFinding(status: InterfaceStatus): Finding {
  const { profileId, interface: name, ours, state, engine, listenPort, peers } = status;
  const id = `interface.${profileId}.${name}`;
  if (state === "up") {
    const how = engine === "kernel" ? "the kernel" : "wireguard-go";
    const whose = ours ? `${name} of ${profileId} is served by ${how}` : `attached to ${name} (${how})`;
    return ok(
      id,
      `${whose} at UDP port ${listenPort}: ${peers.admitted} devices let in, ${peers.foreign} peers of others`,
    );
  }
  const why = status.failure ?? "it is being brought up";
  if (ours) {
    const next = `Read the daemon's log. Is another program at UDP port ${listenPort}, or has another the name ${name}?`;
    return fault(id, `${name} of ${profileId} is not served: ${why}`, next);
  }
  return fault(
    id,
    `not attached to ${name}: ${why}`,
    `Bring it up (wg-quick up ${name}), or correct wireguard.attach.`,
  );
}

function scriptFinding({ name, version, fault: reason }: ActiveScript): Finding {
  const id = `script.${name}`;
  if (reason === null) return ok(id, `the script ${name} (version ${version}) is loaded`);
  const next = `Everybody is refused: ${wayOut(name)}.`;
  return fault(id, `the script ${name} (version ${version}) does not load: ${reason}`, next);
}

/** The default method must be set up; others count where somebody has begun to. */
function methodFindings(settings: Readonly<Record<string, string>>, nasIdentifier: string): Finding[] {
  const readings: Record<string, SettingsReading<unknown>> = {
    ldap: readLdapSettings(settings),
    pam: readPamSettings(settings),
    radius: readRadiusSettings(settings, { nasIdentifier }),
  };
  const usual = settings["auth.module.type"] ?? "local";
  const found: Finding[] = [];
  for (const [name, { options, faults, warnings }] of Object.entries(readings)) {
    const begun = name === usual || Object.keys(settings).some((key) => key.startsWith(`auth.${name}.0.`));
    if (!begun) continue;
    const id = `method.${name}`;
    const mend = "Correct it with `sallyport config set`; docs/auth-methods.md lists every setting.";
    found.push(...faults.map((one) => fault(id, settingFaultText(one), mend)));
    found.push(...warnings.map((text) => warning(id, text, mend)));
    if (faults.length > 0) continue;
    if (options === undefined) found.push(fault(id, `auth.module.type is ${name}, which is not set up`, mend));
    else found.push(ok(id, `the settings of ${name} can be used`));
  }
  return found;
}

function networkFindings(findings: readonly NetworkFinding[]): Finding[] {
  if (findings.length === 0) return [ok("network", "nothing stands between clients and what they should reach")];
  return findings.map(({ severity, message, next }) => ({ id: "network", state: severity, what: message, next }));
}
