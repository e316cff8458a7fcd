export { type ConnectionEvent, hookEnvironment } from "./connection-event.ts";
