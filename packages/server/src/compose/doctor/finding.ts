import type { Finding } from "../../api/commands/doctor.ts";

export type { Finding };

export const ok = (id: string, what: string): Finding => ({ id, state: "ok", what, next: null });
export const warning = (id: string, what: string, next: string): Finding => ({ id, state: "warning", what, next });
export const fault = (id: string, what: string, next: string): Finding => ({ id, state: "fault", what, next });
