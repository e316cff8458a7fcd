import { describe, expect, test } from "vitest";
import { isServicesOwner, rights } from "../../src/service/pipe-endpoint.ts";
import { accountText } from "../../src/windows/accounts.ts";
import { type Forbidden, whoElse } from "../../src/windows/judge-descriptor.ts";
import { clientRights } from "../../src/windows/named-pipe.ts";
import { privilegedAccounts } from "../../src/windows/privileged-accounts.ts";
import { sidBytes, sidText } from "../../src/windows/security-identifier.ts";

const alice = "S-1-5-21-1-2-3-1001";
const installer = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
const [nobody, belongs, all, unclear] = [undefined, /^it belongs to/, /^everybody may do everything/, /not understood/];
const users = /^this machine's users may/;

// As icacls and Get-Acl show them on Windows 11, where they are not made up.
const programData =
  "O:SYG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;DCLCRPCR;;;BU)";
const drive = `O:${installer}G:${installer}D:PAI(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;BU)(A;OICIIO;SDGXGWGR;;;AU)(A;;LC;;;AU)`;
const programFiles = `O:${installer}G:${installer}D:PAI(A;;FA;;;${installer})(A;CIIO;GA;;;${installer})(A;;0x1301bf;;;SY)(A;OICIIO;GA;;;SY)(A;;0x1301bf;;;BA)(A;OICIIO;GA;;;BA)(A;;0x1200a9;;;BU)(A;OICIIO;GXGR;;;BU)(A;OICIIO;GA;;;CO)(A;;0x1200a9;;;AC)(A;OICIIO;GXGR;;;AC)`;

describe("what only administrators and the system may write is believed", () => {
  test.each<[sddl: string, forbidden: Forbidden, verdict: RegExp | undefined]>([
    ["O:BAD:P(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)", "reach", nobody],
    ["O:SYG:SYD:PAI(A;;FA;;;SY)(A;;FA;;;BA)(A;;0x1200a9;;;BU)", "change", nobody],
    ["O:SYD:(A;;FA;;;SY)(A;;FR;;;WD)", "change", nobody],
    ["O:SYD:(A;;FA;;;SY)(A;;FR;;;WD)", "reach", /^everybody may reach it/],
    // Somebody's who is an administrator at times: without being one they could change its rights.
    [`O:${alice}D:P(A;;FA;;;SY)(A;;FA;;;BA)`, "change", belongs],
    [`O:BAD:P(A;;FA;;;SY)(A;;FW;;;${alice})`, "change", /^S-1-5-21-1-2-3-1001 may write/],
    ...["FA", "GA", "GW", "FW", "WD", "WO", "SD", "DC", "0x2", "0x4", "0x40", "0x100", "0x40000000", "0x2000000"].map(
      (letters) => [`O:BAD:P(A;;${letters};;;BU)`, "change", users] as [string, Forbidden, RegExp],
    ),
    ["O:BAD:P(A;;RCCC;;;BU)", "change", nobody],
    ["O:BAD:P(A;OICIIO;FA;;;BU)", "change", users],
    ["O:BAD:P(A;OICIIO;FA;;;CO)(A;;FA;;;OW)", "change", nobody],
    ["O:BAD:P(A;;FA;;;S-1-15-2-1)(A;;FA;;;AC)", "reach", nobody],
    // What is denied is not looked at, and helps nobody.
    ["O:BAD:P(D;;FA;;;WD)(A;;FA;;;WD)", "change", /^everybody may write/],
    ["O:BAD:P(D;;FA;;;WD)", "reach", nobody],
    // No list at all, and an empty one.
    ["O:BAD:NO_ACCESS_CONTROL", "change", all],
    ["O:BA", "change", /^it has no owner, or no list/],
    ["D:P(A;;FA;;;BA)", "change", /^it has no owner/],
    ["O:BAD:P", "reach", nobody],
    ['O:BAD:P(XA;;FA;;;WD;(@User.Title=="PM"))', "change", /^it has no owner|not understood/],
    ["O:BAD:P(OA;;FA;bf967aba-0de6-11d0-a285-00aa003049e2;;WD)", "change", unclear],
    ["O:BAD:P(A;;QQ;;;WD)", "change", unclear],
    ["O:BAD:P(A;;FA;;;WD)garbage", "change", /^it has no owner/],
    ["", "change", /^it has no owner/],
  ])("%s against those who would %s", (sddl, forbidden, verdict) => {
    expect(whoElse(sddl, privilegedAccounts, forbidden)).toEqual(verdict && expect.stringMatching(verdict));
  });
});

describe("a directory on the way", () => {
  test.each<[name: string, sddl: string, forbidden: Forbidden, verdict: RegExp | undefined]>([
    // Everybody may add to it, and nobody take away what others have there.
    ["ProgramData", programData, "replace", nobody],
    ["ProgramData", programData, "change", users],
    ["C:\\", drive, "replace", nobody],
    ["C:\\", drive, "change", /^whoever signed in may write/],
    ["Program Files", programFiles, "replace", nobody],
    ["Program Files", programFiles, "change", nobody],
    ["one that users may empty", "O:SYD:(A;;0x1301ff;;;AU)", "replace", /^whoever signed in may replace/],
    ["one of alice's", `O:${alice}D:(A;;FA;;;${alice})`, "replace", belongs],
  ])("%s (%s) against those who would %s", (_, sddl, forbidden, verdict) => {
    const fault = whoElse(sddl, [...privilegedAccounts, installer], forbidden);
    expect(fault).toEqual(verdict && expect.stringMatching(verdict));
  });

  test("of an account's own profile is that account's too", () => {
    const own = `O:${alice}D:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;FA;;;${alice})`;
    expect(whoElse(own, [alice, ...privilegedAccounts], "reach")).toBeUndefined();
    expect(whoElse(own, ["S-1-5-21-1-2-3-1002", ...privilegedAccounts], "reach")).toMatch(belongs);
  });

  test("of the machine's first administrator has another name in its text than its account", () => {
    const own = "O:LAD:(A;;FA;;;LA)";
    expect(whoElse(own, ["S-1-5-21-1-2-3-500"], "reach")).toBeUndefined();
    expect(whoElse(own, [alice], "reach")).toMatch(belongs);
  });
});

describe("the service's pipe", () => {
  test("lets users read and write, and not make one beside it, which is what writing to a file's end is", () => {
    const FILE_CREATE_PIPE_INSTANCE = 4;
    const [DELETE, WRITE_DAC, WRITE_OWNER] = [0x10000, 0x40000, 0x80000];
    expect(clientRights & (FILE_CREATE_PIPE_INSTANCE | DELETE | WRITE_DAC | WRITE_OWNER)).toBe(0);
    expect(clientRights & 3).toBe(3);
    expect(rights).toBe("O:BAD:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;0x12019b;;;AU)");
    expect(whoElse(rights, privilegedAccounts, "replace")).toBeUndefined();
  });

  test.each([
    ["O:SY", true],
    ["O:BA", true],
    ["O:BU", false],
    [`O:${alice}`, false],
    ["O:LA", false],
    ["", false],
    ["O:SYD:", false],
  ])("is the service's where its owner is %s: %s", (owner, is) => {
    expect(isServicesOwner(owner)).toBe(is);
  });
});

test.each([
  ["S-1-5-18", "010100000000000512000000"],
  ["S-1-5-32-544", "01020000000000052000000020020000"],
  ["S-1-5-21-0-0-0-1000", "010500000000000515000000000000000000000000000000e8030000"],
])("the account %s in memory", (text, hex) => {
  expect(sidBytes(text).toString("hex")).toBe(hex);
  expect(sidText(Buffer.concat([Buffer.from(hex, "hex"), Buffer.alloc(8)]))).toBe(text);
  expect(sidText(Buffer.from(hex, "hex").subarray(0, -1))).toBeUndefined();
});

test.each([
  ["PC-7", "alice", "alice"],
  ["pc-7", "alice", "alice"],
  ["CORP", "alice", "CORP\\alice"],
  ["NT AUTHORITY", "LOCAL SERVICE", "NT AUTHORITY\\LOCAL SERVICE"],
])("an account of %s called %s is %s to the machine PC-7", (domain, name, text) => {
  expect(accountText(domain, name, "PC-7")).toBe(text);
});
