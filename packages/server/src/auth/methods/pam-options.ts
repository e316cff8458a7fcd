import { createSettingsReader, type Settings, type SettingsReading } from "./settings.ts";

export type PamOptions = {
  /** The file in /etc/pam.d that says how. */
  service: string;
  /** For a whole login, waiting for a worker included. */
  timeoutMs: number;
  /** How many logins PAM is asked about at once. */
  workers: number;
  maxWaiting: number;
};

/** Reads `auth.pam.0.*`. PAM needs no settings: without any, the service is `sallyport`. */
export function readPamSettings(settings: Settings): SettingsReading<PamOptions> {
  const reader = createSettingsReader(settings, "auth.pam.0.");
  reader.ignore("name", "enable");
  const options: PamOptions = {
    service: reader.text("service") ?? "sallyport",
    timeoutMs: reader.integer("timeout", { least: 1, most: 300 }, 30) * 1000,
    workers: reader.integer("workers", { least: 1, most: 32 }, 4),
    maxWaiting: reader.integer("max_waiting", { least: 1, most: 10_000 }, 100),
  };
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/.test(options.service)) {
    reader.fault("service", "the name of a file in /etc/pam.d, as in sallyport");
  }
  return reader.done(options);
}
