import type { ConnectSurroundings } from "../connect/connect.ts";

/** What a command finds around it: the machine, the account and where it speaks. */
export type Surroundings = ConnectSurroundings & { print: (text: string) => void };
