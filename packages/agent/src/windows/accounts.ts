import { setTimeout as sleep } from "node:timers/promises";
import { handleCalls } from "./handles.ts";
import { sidBytes, sidText, wellKnown } from "./security-identifier.ts";
import { inBackground, openedOnce, type SystemLibraries } from "./system-libraries.ts";

const TOKEN_QUERY = 8;
const tokenUser = 1;
const tokenElevation = 20;
const answerDeadlineMs = 10_000;
/** The kind of name that a person or a service has, not a group (SID_NAME_USE). */
const isUser = 1;

/** What Windows knows of accounts. */
export type Accounts = {
  /** This process's account, and whether it may do what administrators do. */
  own(): { sid: string; elevated: boolean };
  /** The account at the other end of a pipe's instance, at the time it opened it. @throws WindowsError: nobody knows */
  ofPipeClient(pipe: number): string;
  /** `alice` for an account of this machine, `CORP\alice` for another. Undefined: it has no name, or is a group's. */
  nameOf(sid: string): Promise<string | undefined>;
  /** The same, by a name as a person gives it. */
  named(name: string): Promise<string | undefined>;
};

export const windowsAccounts = openedOnce(open);

async function open({ kernel32, advapi32, lastError }: SystemLibraries): Promise<Accounts> {
  const handles = await handleCalls();
  const currentProcess = kernel32.func("intptr_t __stdcall GetCurrentProcess()");
  const currentThread = kernel32.func("intptr_t __stdcall GetCurrentThread()");
  const computerName = kernel32.func("int __stdcall GetComputerNameW(_Out_ void *name, _Inout_ uint32_t *length)");
  const openProcessToken = advapi32.func(
    "int __stdcall OpenProcessToken(intptr_t process, uint32_t access, _Out_ intptr_t *token)",
  );
  const openThreadToken = advapi32.func(
    "int __stdcall OpenThreadToken(intptr_t thread, uint32_t access, int asProcess, _Out_ intptr_t *token)",
  );
  const tokenInformation = advapi32.func(
    "int __stdcall GetTokenInformation(intptr_t token, int what, _Out_ void *value, uint32_t size, _Out_ uint32_t *length)",
  );
  const checkMembership = advapi32.func(
    "int __stdcall CheckTokenMembership(intptr_t token, const void *sid, _Out_ int *member)",
  );
  const impersonateClient = advapi32.func("int __stdcall ImpersonateNamedPipeClient(intptr_t pipe)");
  const revertToSelf = advapi32.func("int __stdcall RevertToSelf()");
  const lookupSid = advapi32.func(
    "int __stdcall LookupAccountSidW(void *system, const void *sid, _Out_ void *name, _Inout_ uint32_t *nameLength, _Out_ void *domain, _Inout_ uint32_t *domainLength, _Out_ int *use)",
  );
  const lookupName = advapi32.func(
    "int __stdcall LookupAccountNameW(void *system, str16 name, _Out_ void *sid, _Inout_ uint32_t *sidLength, _Out_ void *domain, _Inout_ uint32_t *domainLength, _Out_ int *use)",
  );

  const ask = (token: number, what: number): Buffer => {
    const value = Buffer.alloc(256);
    const length = [0];
    if (tokenInformation(token, what, value, value.length, length) === 0) throw lastError("GetTokenInformation");
    return value.subarray(0, length[0]);
  };
  /** TOKEN_USER: a pointer and attributes, and what the pointer leads to behind them. */
  const accountOf = (token: number): string => {
    const sid = sidText(ask(token, tokenUser).subarray(16));
    if (sid === undefined) throw new Error("a token without an account");
    return sid;
  };
  const withToken = <Result>(token: number, use: (token: number) => Result): Result => {
    try {
      return use(token);
    } finally {
      handles.close(token);
    }
  };

  const machine = (() => {
    const name = Buffer.alloc(64);
    const length = [32];
    if (computerName(name, length) === 0) throw lastError("GetComputerNameW");
    return textOf(name, length[0]);
  })();
  const inTurn = oneAfterTheOther(answerDeadlineMs);
  const nameOf = async (sid: string): Promise<string | undefined> => {
    const [name, domain] = [Buffer.alloc(514), Buffer.alloc(514)];
    const [nameLength, domainLength, use] = [[257], [257], [0]];
    const found = await inBackground(lookupSid, null, sidBytes(sid), name, nameLength, domain, domainLength, use);
    if (found === 0 || use[0] !== isUser) return undefined;
    return accountText(textOf(domain, domainLength[0]), textOf(name, nameLength[0]), machine);
  };
  const named = async (name: string): Promise<string | undefined> => {
    const [sid, domain, use] = [Buffer.alloc(128), Buffer.alloc(514), [0]];
    const found = await inBackground(lookupName, null, name, sid, [sid.length], domain, [257], use);
    const known = found === 0 || use[0] !== isUser ? undefined : sidText(sid);
    return known === undefined ? undefined : await nameOf(known);
  };

  return {
    own: () => {
      const [token, member] = [[0], [0]];
      // Of the token in use: an administrator's that is not elevated has the group for denying only.
      if (checkMembership(0, sidBytes(wellKnown.administrators), member) === 0) throw lastError("CheckTokenMembership");
      if (openProcessToken(currentProcess(), TOKEN_QUERY, token) === 0) throw lastError("OpenProcessToken");
      return withToken(token[0] ?? 0, (own) => ({
        sid: accountOf(own),
        elevated: member[0] !== 0 || ask(own, tokenElevation).readUInt32LE(0) !== 0,
      }));
    },
    ofPipeClient: (pipe) => {
      if (impersonateClient(pipe) === 0) throw lastError("ImpersonateNamedPipeClient");
      const token = [0];
      const opened = openThreadToken(currentThread(), TOKEN_QUERY, 1, token);
      const failure = opened === 0 ? lastError("OpenThreadToken") : undefined;
      // From here on this thread would act as somebody else.
      if (revertToSelf() === 0) process.abort();
      if (failure !== undefined) throw failure;
      return withToken(token[0] ?? 0, accountOf);
    },
    nameOf: (sid) => inTurn(() => nameOf(sid)),
    named: (name) => inTurn(() => named(name)),
  };
}

/**
 * Either may have to ask another machine, and Node has four threads to wait with: one of them is the most that these take.
 * Whoever has no answer by the deadline has none.
 */
function oneAfterTheOther(deadlineMs: number) {
  let last: Promise<unknown> = Promise.resolve();
  return <Answer>(ask: () => Promise<Answer>): Promise<Answer | undefined> => {
    const answer = last.then(ask);
    last = answer.catch(() => undefined);
    const deadline = new AbortController();
    const late = sleep(deadlineMs, undefined, { signal: deadline.signal }).catch(() => undefined);
    return Promise.race([answer, late]).finally(() => deadline.abort());
  };
}

/** Of UTF-16, `length` units. */
function textOf(buffer: Buffer, length = 0): string {
  return buffer.toString("utf16le", 0, length * 2);
}

/** An account's name as people and the policy write it. */
export function accountText(domain: string, name: string, machine: string): string {
  return domain === "" || domain.toLowerCase() === machine.toLowerCase() ? name : `${domain}\\${name}`;
}
