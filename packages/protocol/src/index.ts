export {
  type AgentRefusal,
  agentPaths,
  type BundleRequest,
  isTicket,
  type OutputAnswer,
  type OutputRequest,
  readTicketEcho,
  type ScriptReport,
  type TicketAnswer,
  type TicketRequest,
  ticketEcho,
} from "./agent-api.ts";
export { type AgentConfig, agentConfigLines, readAgentConfig } from "./agent-config.ts";
export {
  type Bundle,
  type BundleFault,
  type ClientScript,
  isReservedVariable,
  isScriptName,
  isVariableName,
  mostBundleBytes,
  mostOutputBytes,
  mostReports,
  mostScriptBytes,
  type ScriptEvent,
  type ScriptPlatform,
  type ScriptPrivilege,
  type SignedBundle,
  scriptEvents,
  scriptPlatforms,
  scriptPrivileges,
  sha256,
  signBundle,
  verifyBundle,
} from "./client-scripts.ts";
export { type ConnectionEvent, hookEnvironment } from "./connection-event.ts";
export {
  type AppQuery,
  appErrors,
  appVerifyLines,
  compileAppRegex,
  parseAppVerify,
  readAppVerify,
} from "./host-check.ts";
export {
  announceKey,
  keyIdOf,
  newSigningKey,
  readSigningKey,
  type Sealed,
  type SigningKey,
  type TrustedKeys,
} from "./signed-envelope.ts";
