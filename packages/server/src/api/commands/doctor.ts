import { z } from "zod";
import { type CommandTable, command } from "../command.ts";

/** One thing a working server needs: whether it is so, and what to do where it is not. */
export type Finding = { id: string; state: "ok" | "warning" | "fault"; what: string; next: string | null };

/** What only the running daemon knows; `sallyport doctor` adds what anybody can see. */
export type Examination = {
  findings: Finding[];
  /** Servers of others that are attached, with their processes where those told them. */
  attached: { profileId: string; pid: number | null }[];
  /** CIDRs. */
  groupSubnets: string[];
};

export function doctorCommands(deps: { examine: () => Promise<Examination> }): CommandTable {
  return {
    "doctor-examine": command({
      summary: "Checks what only the running daemon knows of what a working server needs.",
      input: z.strictObject({}),
      run: async (): Promise<Examination> => await deps.examine(),
    }),
  };
}
