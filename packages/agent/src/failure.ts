/** Why the agent ended, and its exit status. docs/agent.md has the same table for people. */
export const exitStatuses = {
  failed: 1,
  usage: 2,
  "wrong-credentials": 3,
  refused: 4,
  unreachable: 5,
  "faulty-file": 6,
  "program-missing": 7,
  "not-permitted": 8,
  interrupted: 130,
} as const;

export type FailureKind = keyof typeof exitStatuses;

/** Something to tell the person: one sentence of what happened, one of what to do next. Never holds a secret. */
export class AgentFailure extends Error {
  readonly kind: FailureKind;
  readonly next: string | undefined;

  constructor(kind: FailureKind, message: string, next?: string) {
    super(message);
    this.name = "AgentFailure";
    this.kind = kind;
    this.next = next;
  }
}

/** What any thrown thing comes to. */
export function failureOf(error: unknown): AgentFailure {
  if (error instanceof AgentFailure) return error;
  return new AgentFailure("failed", error instanceof Error ? error.message : String(error));
}
