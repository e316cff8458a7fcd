/** What the daemon tells its host at the start. */
export type Orders = {
  name: string;
  text: string;
  /** What it is to be: `definePostAuth` unless told. */
  entry?: "definePostAuth" | "defineHook";
  /** What an administrator set; undefined where nobody has looked yet. */
  settings?: unknown;
  maxOutputBytes: number;
  maxResultBytes: number;
};
