import type { AgentFailure } from "../failure.ts";

/** What is known of a tunnel that is up. */
export type TunnelFacts = {
  ipFour: string | undefined;
  ipSix: string | undefined;
  /** Of a server that has scripts for this connection (OpenVPN pushes it; WireGuard's is asked for). */
  ticket: string | undefined;
};

/** What a tunnel tells while it lives, in order: `up` and `down` take turns. */
export type TunnelEvents = {
  up(facts: TunnelFacts): void;
  /** Lost, ended by the server, or about to be made again. */
  down(reason: string): void;
  /** One line for the person. */
  progress(text: string): void;
};

/** One run of a tunnel, over all its reconnects. */
export type Tunnel = {
  /** Resolves when it is gone for good: undefined where it was stopped by us, else why. */
  ended: Promise<AgentFailure | undefined>;
  /** Ends it, telling the server; resolves when it is gone. */
  stop(): Promise<void>;
};

/** Where user names, passwords and answers come from: a person at a terminal, or lines of standard input. */
export type Answers = {
  user(): Promise<string>;
  password(prompt: string): Promise<string>;
  answer(question: { text: string; echo: boolean }): Promise<string>;
  /** Whether a refused password may be typed once more. */
  mayAskAgain: boolean;
};
