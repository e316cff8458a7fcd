export type ScriptVersion = {
  script: string;
  /** From 1, counting up; never used again. */
  version: number;
  language: "python" | "typescript";
  text: string;
  sha256: string;
  /** YAML or JSON text of its cases, where it was stored with some. */
  cases: string | null;
  createdAt: string;
  createdBy: string;
};

export type ScriptSummary = { id: string; activeVersion: number | null; latestVersion: number; position: number };

/** Post-auth scripts: named, versions immutable, at most one version of each active, run in order of `position`. */
export interface ScriptStore {
  /** Makes the script where there is none; the new version is not active. */
  addVersion(version: Omit<ScriptVersion, "version">): Promise<ScriptVersion>;
  version(script: string, version: number): Promise<ScriptVersion | undefined>;
  versions(script: string): Promise<ScriptVersion[]>;
  list(): Promise<ScriptSummary[]>;
  /** Null deactivates. False where there is no such version. */
  activate(script: string, version: number | null, at: string): Promise<boolean>;
  /** Active versions in order. */
  active(): Promise<ScriptVersion[]>;
  /** Versions made active before, newest first: rollback takes the one before the present. */
  activations(script: string): Promise<{ version: number | null; at: string }[]>;
  /** Every name must be known; scripts left out follow in their old order. */
  reorder(names: readonly string[]): Promise<boolean>;
  remove(script: string): Promise<boolean>;
}
