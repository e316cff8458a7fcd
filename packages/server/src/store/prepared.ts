import type { Compilable, CompiledQuery, Kysely, QueryResult } from "kysely";
import type { Tables } from "./schema.ts";

type Value = string | number | null;

/**
 * A query that every connect asks, built once for each engine: to build one takes longer than SQLite takes to answer it.
 * `build` gets stand-ins instead of the values, which it hands on: it neither looks at them nor computes with them.
 */
export function prepared<Values extends { readonly [Name in keyof Values]: Value }, Row>(
  build: (query: Kysely<Tables>, values: Values) => Compilable<Row>,
): (query: Kysely<Tables>, values: Values) => Promise<QueryResult<Row>> {
  const built = new WeakMap<object, CompiledQuery<Row>>();
  return (query, values) => {
    const { adapter } = query.getExecutor();
    const compiled = built.get(adapter) ?? build(query, standInsFor(values)).compile();
    built.set(adapter, compiled);
    const filledIn = (one: unknown) => (one instanceof StandIn ? values[one.name as keyof Values] : one);
    return query.executeQuery({ ...compiled, parameters: compiled.parameters.map(filledIn) });
  };
}

class StandIn {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

function standInsFor<Values extends object>(values: Values): Values {
  return Object.fromEntries(Object.keys(values).map((name) => [name, new StandIn(name)])) as Values;
}
