import type { ScriptEvent, ScriptPlatform, ScriptPrivilege } from "@sallyport/protocol";

/** The tables of scripts for users' machines, as every engine has them. */
export type ClientScriptTables = {
  client_scripts: ScopeColumns & { latest_version: number; live_version: number | null };
  client_script_versions: ScopeColumns & ClientScriptVersionColumns;
  client_script_variables: ScopeColumns & { name: string; value: string };
  client_script_tickets: ClientScriptTicketTable;
  client_script_reports: ClientScriptReportTable;
};

/** `owner_name` is empty for the default. */
export type ScopeColumns = {
  owner_kind: "group" | "default";
  owner_name: string;
  platform: ScriptPlatform;
  privilege: ScriptPrivilege;
  event: ScriptEvent;
};

type ClientScriptVersionColumns = {
  version: number;
  name: string;
  text: string;
  sha256: string;
  bytes: number;
  created_at: string;
  created_by: string;
};

type ClientScriptTicketTable = {
  digest: string;
  connection_id: string;
  platform: string | null;
  created_at: string;
  expires_at: string;
  used_at: string | null;
  report_digest: string | null;
};

/** `result` says in a word how it came out; `report` is the ScriptReport as JSON. */
type ClientScriptReportTable = {
  id: string;
  connection_id: string;
  received_at: string;
  result: "succeeded" | "failed" | "refused";
  report: string;
};
