/*
 * Which lines of a client config reach OpenVPN. Whoever may hand in a client config must not thereby run programs, read
 * or write files, or load libraries as the account that openvpn runs as, which is root: so only what is known to do none
 * of these passes, and only with words of its own form.
 */

/** How many words may follow, and what each must look like. */
type Form = { least: number; most: number; each: RegExp };

const number = /^-?\d{1,10}$/;
const host = /^[\w.:%[\]-]{1,253}$/;
const list = /^[\w.:@+!-]{1,250}$/;
const plain = /^[^\r\n\0/\\]{0,250}$/;
const form = (least: number, most: number, each: RegExp): Form => ({ least, most, each });

export const allowedDirectives: Readonly<Record<string, Form>> = {
  client: form(0, 0, plain),
  "tls-client": form(0, 0, plain),
  pull: form(0, 0, plain),
  nobind: form(0, 0, plain),
  float: form(0, 0, plain),
  "persist-tun": form(0, 0, plain),
  "persist-key": form(0, 0, plain),
  "remote-random": form(0, 0, plain),
  "auth-nocache": form(0, 0, plain),
  "push-peer-info": form(0, 0, plain),
  "block-ipv6": form(0, 0, plain),
  "block-outside-dns": form(0, 0, plain),
  "route-nopull": form(0, 0, plain),
  "mute-replay-warnings": form(0, 0, plain),
  dev: form(1, 1, /^(tun|tap)\d{0,4}$/),
  "dev-type": form(1, 1, /^(tun|tap)$/),
  topology: form(1, 1, /^(subnet|net30|p2p)$/),
  proto: form(1, 1, /^(udp|tcp|tcp-client)[46]?$/),
  remote: form(1, 3, host),
  port: form(1, 1, number),
  rport: form(1, 1, number),
  lport: form(1, 1, number),
  "resolv-retry": form(1, 1, /^(infinite|\d{1,6})$/),
  "connect-retry": form(1, 2, number),
  "connect-retry-max": form(1, 1, number),
  "connect-timeout": form(1, 1, number),
  "server-poll-timeout": form(1, 1, number),
  "hand-window": form(1, 1, number),
  "reneg-sec": form(1, 2, number),
  "tran-window": form(1, 1, number),
  "tls-timeout": form(1, 1, number),
  ping: form(1, 1, number),
  "ping-restart": form(1, 1, number),
  "ping-exit": form(1, 1, number),
  keepalive: form(2, 2, number),
  "explicit-exit-notify": form(0, 1, number),
  "tun-mtu": form(1, 2, number),
  mssfix: form(0, 2, /^(\d{1,5}|mtu|fixed)$/),
  fragment: form(1, 2, /^(\d{1,5}|mtu)$/),
  sndbuf: form(1, 1, number),
  rcvbuf: form(1, 1, number),
  mute: form(1, 1, number),
  verb: form(1, 1, number),
  "replay-window": form(1, 2, number),
  "key-direction": form(1, 1, /^[01]$/),
  cipher: form(1, 1, list),
  auth: form(1, 1, list),
  "data-ciphers": form(1, 1, list),
  "ncp-ciphers": form(1, 1, list),
  "data-ciphers-fallback": form(1, 1, list),
  "tls-cipher": form(1, 1, list),
  "tls-ciphersuites": form(1, 1, list),
  "tls-groups": form(1, 1, list),
  "tls-cert-profile": form(1, 1, list),
  "tls-version-min": form(1, 2, list),
  "tls-version-max": form(1, 1, list),
  "remote-cert-tls": form(1, 1, /^(server|client)$/),
  "remote-cert-eku": form(1, 1, plain),
  "verify-x509-name": form(1, 2, plain),
  "peer-fingerprint": form(1, 1, /^[0-9A-Fa-f:]{20,200}$/),
  "auth-retry": form(1, 1, /^(none|nointeract|interact)$/),
  "static-challenge": form(2, 3, /^[^\r\n\0]{0,250}$/),
  "allow-compression": form(1, 1, /^(no|asym|yes)$/),
  compress: form(0, 1, list),
  "comp-lzo": form(0, 1, list),
  "redirect-gateway": form(0, 8, list),
  "redirect-private": form(0, 8, list),
  route: form(1, 4, host),
  "route-ipv6": form(1, 3, /^[\w.:%/]{1,80}$/),
  "route-metric": form(1, 1, number),
  "route-delay": form(0, 2, number),
  "route-gateway": form(1, 2, host),
  "dhcp-option": form(1, 3, plain),
  "pull-filter": form(2, 2, plain),
  "ignore-unknown-option": form(1, 20, list),
};

/** Blocks that hold keys and certificates, written in the file itself. */
export const keyBlocks: readonly string[] = [
  "ca",
  "cert",
  "key",
  "extra-certs",
  "tls-auth",
  "tls-crypt",
  "tls-crypt-v2",
  "peer-fingerprint",
  "crl-verify",
];

/** Of a `<connection>` block. */
export const connectionDirectives: readonly string[] = [
  ...["remote", "port", "rport", "lport", "proto", "nobind", "float", "connect-retry", "connect-timeout", "tun-mtu"],
  ...["mssfix", "fragment", "explicit-exit-notify", "key-direction"],
];

/** Without meaning for us, and not worth a word: the agent decides these, or they are about other clients. */
export const silentlyLeft: readonly string[] = [
  "setenv",
  "setenv-safe",
  "user",
  "group",
  "verb",
  "auth-retry",
  "script-security",
  "persist-remote-ip",
];
