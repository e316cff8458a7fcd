/** How the driver stands to one server, for `doctor`. */
export type ListenerStatus = {
  profileId: string;
  listener: string;
  /** False for a server that somebody else runs. */
  ours: boolean;
  /** Undefined while it is not attached. */
  server: { pid: number | undefined; version: string | undefined } | undefined;
  /** Why it is not attached, where that is known. */
  failure: string | undefined;
};
