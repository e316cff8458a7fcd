/** Something in a hook's program that will not work (`fault`) or hardly as it was meant (`warning`). */
export type Finding = {
  severity: "fault" | "warning";
  /** From 1; null where it is about the file. */
  line: number | null;
  /** From 1, where it is known. */
  column?: number;
  message: string;
};
