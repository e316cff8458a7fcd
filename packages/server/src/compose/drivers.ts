import type { Driver } from "../drivers/driver.ts";

/** Several drivers as one: each tunnel is its profile's driver's. */
export function joinDrivers(options: {
  openvpn: Driver;
  wireguard: Driver;
  isWireGuard: (profileId: string) => boolean;
}): Driver {
  const { openvpn, wireguard, isWireGuard } = options;
  const of = ({ profileId }: { profileId: string }) => (isWireGuard(profileId) ? wireguard : openvpn);
  return {
    start: async (events) => void (await Promise.all([openvpn.start(events), wireguard.start(events)])),
    stop: async (how) => void (await Promise.all([openvpn.stop(how), wireguard.stop(how)])),
    admit: (tunnel, admission) => of(tunnel).admit(tunnel, admission),
    refuse: (tunnel, refusal) => of(tunnel).refuse(tunnel, refusal),
    challenge: (tunnel, question) => of(tunnel).challenge(tunnel, question),
    answer: (stateId, response) => openvpn.answer(stateId, response) || wireguard.answer(stateId, response),
    announceWait: (tunnel, waitMs) => of(tunnel).announceWait(tunnel, waitMs),
    disconnect: (tunnel, ending) => of(tunnel).disconnect(tunnel, ending),
  };
}
