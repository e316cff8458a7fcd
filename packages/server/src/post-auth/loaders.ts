import { SallyportError } from "../core/errors.ts";
import type { LoadScript } from "../runner/runner.ts";
import type { ScriptVersion } from "../store/store.ts";

export type Language = ScriptVersion["language"];

/** The runners that compose put in, by language. */
export type Loaders = Partial<Record<Language, LoadScript>>;

export function loaderFor(loaders: Loaders, language: Language): LoadScript {
  const load = loaders[language];
  if (load === undefined)
    throw new SallyportError("script-invalid", `${language} scripts cannot be run by this server`);
  return load;
}
