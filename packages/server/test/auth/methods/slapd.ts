import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Child, startChild } from "../../e2e/lab/child.ts";
import { until } from "../../waiting.ts";

const execute = promisify(execFile);

export const suffix = "dc=example,dc=org";
export const people = `ou=people,${suffix}`;
export const service = { dn: `cn=vpn,${suffix}`, password: "service password" };

/** A real slapd with a directory of its own on loopback ports of its own. */
export type Slapd = {
  port: number;
  tlsPort: number;
  child: Child;
  /** What it logged: each operation, with the filter as it understood it. */
  log(): string;
  stop(): Promise<void>;
};

/** Certificates of one CA in a directory: `good` for localhost and 127.0.0.1, `other` for another name, `expired`. */
export type Certificates = { directory: string; ca: string; remove(): Promise<void> };

export async function makeCertificates(): Promise<Certificates> {
  const directory = await mkdtemp(join(tmpdir(), "certificates-"));
  const openssl = (...args: string[]) => execute("openssl", args, { cwd: directory });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const subject = (name: string) => ["-subj", `/CN=${name}`];
  await openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", ...subject("Test CA"), "-days", "30");
  const issue = async (name: string, names: string, days: string[]) => {
    await openssl("req", "-new", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`, ...subject(name));
    await writeFile(join(directory, `${name}.ext`), `subjectAltName=${names}\n`);
    const files = ["-in", `${name}.csr`, "-out", `${name}.pem`, "-extfile", `${name}.ext`];
    await openssl("x509", "-req", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", ...files, ...days);
  };
  await issue("good", "DNS:localhost,IP:127.0.0.1", ["-days", "30"]);
  await issue("other", "DNS:ldap.elsewhere.example", ["-days", "30"]);
  await writeFile(join(directory, "index.txt"), "");
  await writeFile(
    join(directory, "ca.conf"),
    "[ca]\ndefault_ca=c\n[c]\ndatabase=index.txt\nnew_certs_dir=.\nserial=ca.srl\ndefault_md=sha256\npolicy=p\n[p]\nCN=supplied\n",
  );
  await openssl("req", "-new", ...key, "-keyout", "expired.key", "-out", "expired.csr", ...subject("expired"));
  await writeFile(join(directory, "expired.ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  const past = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"];
  const files = ["-in", "expired.csr", "-out", "expired.pem", "-extfile", "expired.ext"];
  await openssl("ca", "-batch", "-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key", ...past, ...files);
  return {
    directory,
    ca: join(directory, "ca.pem"),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

/** A port that nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as { port: number };
  await new Promise<void>((closed) => server.close(() => closed()));
  return port;
}

/** Whether somebody listens; slapd says that it starts before it does. */
function answers(port: number): Promise<boolean> {
  return new Promise((answered) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => answered(true));
    socket.once("error", () => answered(false));
    socket.once("connect", () => socket.destroy());
  });
}

/** Tries again with other ports: somebody else may have taken the free one meanwhile. */
export async function startedAtLast<T>(start: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await start();
    } catch (error) {
      if (tries === 3) throw error;
    }
  }
}

export const startSlapd = (options: Parameters<typeof tryToStart>[0]) => startedAtLast(() => tryToStart(options));

async function tryToStart(options: {
  certificates: Certificates;
  /** Which certificate it shows; none: it offers no TLS. */
  certificate?: "good" | "other" | "expired" | undefined;
  /** Entries after the usual ones, as LDIF. */
  entries?: string;
  /** Lines of slapd.conf for the database. */
  settings?: string[];
  /** Instead of the usual rule that only the service account and users may read. */
  access?: string[];
}): Promise<Slapd> {
  const directory = await mkdtemp(join(tmpdir(), "slapd-"));
  await chmod(directory, 0o700);
  await mkdir(join(directory, "data"));
  const port = await freePort();
  const tlsPort = await freePort();
  const { certificates, certificate } = options;
  const tls =
    certificate === undefined
      ? []
      : [
          `TLSCertificateFile ${certificates.directory}/${certificate}.pem`,
          `TLSCertificateKeyFile ${certificates.directory}/${certificate}.key`,
        ];
  await writeFile(
    join(directory, "slapd.conf"),
    [
      ...["core", "cosine", "inetorgperson", "nis"].map((schema) => `include /etc/ldap/schema/${schema}.schema`),
      "modulepath /usr/lib/ldap",
      "moduleload back_mdb",
      "moduleload memberof",
      `pidfile ${directory}/pid`,
      `argsfile ${directory}/args`,
      ...tls,
      "database mdb",
      `suffix "${suffix}"`,
      `directory ${directory}/data`,
      "index objectClass,uid,member,memberOf eq",
      "overlay memberof",
      "access to attrs=userPassword by anonymous auth by * none",
      ...(options.access ?? [`access to * by dn.exact="${service.dn}" read by users read by anonymous none`]),
      ...(options.settings ?? []),
      "",
    ].join("\n"),
  );
  await writeFile(join(directory, "entries.ldif"), `${usualEntries}\n${options.entries ?? ""}`);
  const config = ["-f", join(directory, "slapd.conf")];
  await execute("/usr/sbin/slapadd", [...config, "-l", join(directory, "entries.ldif"), "-q"]);
  const urls = [`ldap://127.0.0.1:${port}/`, ...(certificate === undefined ? [] : [`ldaps://127.0.0.1:${tlsPort}/`])];
  const child = await startChild(["/usr/sbin/slapd", ...config, "-h", urls.join(" "), "-d", "stats"]);
  const stop = async () => {
    child.signal("SIGCONT");
    await child.end("SIGTERM", 5_000);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await until("slapd serves", () => {
      if (child.exited()) throw new Error(`slapd ended: ${child.output()}`);
      return answers(certificate === undefined ? port : tlsPort);
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port,
    tlsPort,
    child,
    log: () => child.output(),
    stop,
  };
}

const person = (uid: string, dn: string, password: string | undefined, more = "") => `
dn: ${dn}
objectClass: inetOrgPerson
uid: ${uid}
cn: ${uid}
sn: ${uid}
${password === undefined ? "" : `userPassword: ${password}\n`}${more}`;

const usualEntries = `
dn: ${suffix}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ${people}
objectClass: organizationalUnit
ou: people

dn: ou=groups,${suffix}
objectClass: organizationalUnit
ou: groups

dn: ${service.dn}
objectClass: simpleSecurityObject
objectClass: organizationalRole
cn: vpn
userPassword: ${service.password}
${person("alice", `uid=alice,${people}`, "wonder land", `mail: alice@example.org\nemployeeType: staff\nmemberOf: cn=engineers,ou=groups,${suffix}\n`)}
${person("Bob", `uid=Bob,${people}`, "builder")}
${person("carol", `uid=carol,${people}`, undefined)}
${person("twin", `cn=twin one,${people}`, "same", "cn: twin one\n")}
${person("twin", `cn=twin two,${people}`, "same", "cn: twin two\n")}
${person("o'neill (r&d)*\\", `cn=oneill,${people}`, "star", "cn: oneill\n")}
${person("EXTERNAL", `uid=EXTERNAL,${people}`, "sasl")}
dn: cn=engineers,ou=groups,${suffix}
objectClass: groupOfNames
cn: engineers
member: uid=alice,${people}

dn: cn=posix,ou=groups,${suffix}
objectClass: posixGroup
cn: posix
gidNumber: 5000
memberUid: Bob
`;

export const readCa = (certificates: Certificates) => readFile(certificates.ca, "utf8");
