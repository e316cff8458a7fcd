import type { AddressRange } from "../../core/address-range.ts";
import type { ManagementPlace } from "./attached.ts";

/** What one line of a server's configuration, or a missing one, means for Sallyport. */
export type Judgement = {
  /** Names the subject, such as `topology`. */
  id: string;
  /** From 1; null where a line is missing. */
  line: number | null;
  state: "ok" | "warning" | "fault";
  what: string;
  next: string | null;
};

export type JudgedProfile = {
  management: ManagementPlace;
  passwordFile: string | null;
  certificates: "any" | "ours";
  ranges: { ipv4: AddressRange | null; ipv6: AddressRange | null };
  /** Groups' subnets, whose addresses are given out too. */
  groupSubnets: readonly AddressRange[];
};
