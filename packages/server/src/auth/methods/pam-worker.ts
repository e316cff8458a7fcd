/**
 * A process that asks PAM, one login at a time. PAM blocks, and its modules may crash or hang: never in the daemon.
 * Started by pam-workers.ts, which sends a `PamQuestion` and gets a `PamAnswer`.
 */
import koffi from "koffi";
import type { PamAnswer, PamQuestion } from "./pam-answers.ts";

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
const PAM_SUCCESS = 0;
const PAM_BUF_ERR = 5;
const PAM_CONV_ERR = 19;
const PAM_PROMPT_ECHO_OFF = 1;
const PAM_PROMPT_ECHO_ON = 2;
const PAM_USER = 2;
const PAM_RHOST = 4;
const PAM_FAIL_DELAY = 10;
const mostMessages = 32;

const libc = koffi.load("libc.so.6");
const libpam = koffi.load("libpam.so.0");

const message = koffi.struct("pam_message", { msg_style: "int", msg: "const char *" });
const response = koffi.struct("pam_response", { resp: "void *", resp_retcode: "int" });
const converse = koffi.proto("int pam_converse(int count, void *messages, void *responses, void *data)");
const delay = koffi.proto("void pam_delay(int status, unsigned int usec, void *data)");
koffi.struct("pam_conv", { conv: koffi.pointer(converse), appdata_ptr: "void *" });

const prctl = libc.func("int prctl(int option, unsigned long value)");
const calloc = libc.func("void *calloc(size_t count, size_t size)");
const strdup = libc.func("void *strdup(const char *text)");
const pamStart = libpam.func(
  "int pam_start(const char *service, const char *user, const pam_conv *conv, _Out_ void **handle)",
);
const pamEnd = libpam.func("int pam_end(void *handle, int status)");
const pamSetText = libpam.func("pam_set_item", "int", ["void *", "int", "const char *"]);
const pamSetPointer = libpam.func("pam_set_item", "int", ["void *", "int", "void *"]);
const pamGetText = libpam.func("pam_get_item", "int", ["void *", "int", koffi.out("const char **")]);
const pamAuthenticate = libpam.func("int pam_authenticate(void *handle, int flags)");
const pamAccount = libpam.func("int pam_acct_mgmt(void *handle, int flags)");
const pamStrerror = libpam.func("const char *pam_strerror(void *handle, int code)");

/** The login under way, for the modules' questions. The password is given once: a second question wants another. */
let current: { password: string | undefined; messages: string[]; unanswered: string | null } | undefined;

const answerModules = koffi.register((count: number, messages: bigint, responses: bigint): number => {
  try {
    const answers: bigint | null = calloc(count, koffi.sizeof(response));
    if (answers === null || current === undefined) return PAM_BUF_ERR;
    for (let i = 0; i < count; i++) {
      const at: bigint = koffi.decode(messages, i * koffi.sizeof("void *"), "void *");
      const { msg_style, msg }: { msg_style: number; msg: string | null } = koffi.decode(at, message);
      if (msg_style !== PAM_PROMPT_ECHO_OFF && msg_style !== PAM_PROMPT_ECHO_ON) {
        if (current.messages.length < mostMessages) current.messages.push(plain(msg ?? ""));
        continue;
      }
      if (msg_style === PAM_PROMPT_ECHO_ON || current.password === undefined) {
        current.unanswered = plain(msg ?? "");
        return PAM_CONV_ERR;
      }
      // PAM frees it.
      koffi.encode(answers, i * koffi.sizeof(response), response, { resp: strdup(current.password), resp_retcode: 0 });
      current.password = undefined;
    }
    koffi.encode(responses, "void *", answers);
    return PAM_SUCCESS;
  } catch {
    return PAM_CONV_ERR;
  }
}, koffi.pointer(converse));

/** Failed logins are slowed down by the lock-out, not by keeping a worker asleep. */
const noDelay = koffi.register(() => undefined, koffi.pointer(delay));

function judge(question: PamQuestion): PamAnswer {
  const said = { password: question.password, messages: [] as string[], unanswered: null as string | null };
  current = said;
  const handles: [bigint | null] = [null];
  let phase: PamAnswer["phase"] = "start";
  let code: number = pamStart(question.service, question.username, { conv: answerModules, appdata_ptr: null }, handles);
  const [handle] = handles;
  if (code === PAM_SUCCESS) {
    if (question.clientAddress !== null) code = pamSetText(handle, PAM_RHOST, question.clientAddress);
    code ||= pamSetPointer(handle, PAM_FAIL_DELAY, noDelay);
  }
  if (code === PAM_SUCCESS) {
    phase = "authenticate";
    code = pamAuthenticate(handle, 0);
  }
  if (code === PAM_SUCCESS) {
    phase = "account";
    code = pamAccount(handle, 0);
  }
  const name: [string | null] = [null];
  if (handle !== null) pamGetText(handle, PAM_USER, name);
  const text: string = pamStrerror(handle, code) ?? "an unknown error";
  if (handle !== null) pamEnd(handle, code);
  current = undefined;
  return { code, phase, text, username: name[0], messages: said.messages, unanswered: said.unanswered };
}

/** On one line, bounded. */
function plain(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, " ")
    .trim()
    .slice(0, 300)
    .toWellFormed();
}

// A daemon that is killed takes its workers along, even one that hangs in a module.
prctl(PR_SET_PDEATHSIG, SIGKILL);
process.on("disconnect", () => process.exit());
process.on("message", (question: PamQuestion) => process.send?.(judge(question)));
