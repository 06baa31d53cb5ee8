/**
 * What Grafana makes of a query before it sends it: variables in the formats that the dashboards use, and the macros of its sources.
 *
 * After Grafana's documentation: a plain variable of a Prometheus query with several values is a regular expression, `:regex` escapes,
 * `:sqlstring` quotes each value and doubles quotes; `$__rate_interval` is the larger of step + scrape and four scrapes; `$__timeFilter` and
 * `$__timeGroupAlias` are those of the Postgres source.
 */
export type Values = Readonly<Record<string, readonly string[]>>;
export type Window = { readonly from: Date; readonly to: Date; readonly stepS: number; readonly scrapeS: number };

const formats: Readonly<Record<string, (values: readonly string[]) => string>> = {
  regex: (values) => (values.length === 1 ? escapeRegex(values[0] ?? "") : `(${values.map(escapeRegex).join("|")})`),
  sqlstring: (values) => values.map((value) => `'${value.replaceAll("'", "''")}'`).join(","),
  plain: (values) => (values.length === 1 ? (values[0] ?? "") : `(${values.join("|")})`),
};

function escapeRegex(value: string): string {
  return value.replaceAll(/[\\^$*+?.()|[\]{}/]/g, "\\$&");
}

/** Throws for a variable that the dashboard has no value of. */
function withVariables(text: string, values: Values): string {
  const write = (...[, braced, format = "plain", bare]: readonly (string | undefined)[]): string => {
    const value = values[braced ?? bare ?? ""];
    const written = formats[format];
    if (value === undefined || value.length === 0 || written === undefined) {
      throw new TypeError(`no value of ${braced ?? bare ?? "?"} as ${format} in ${text}`);
    }
    return written(value);
  };
  return text.replaceAll(/\$\{([a-z]+)(?::([a-z]+))?\}|\$([a-z]+)/g, write);
}

/** A query to Prometheus as it leaves Grafana. */
export function promQuery(expr: string, values: Values, { stepS, scrapeS }: Window): string {
  const rateS = Math.max(stepS + scrapeS, 4 * scrapeS);
  return withVariables(expr.replaceAll("$__rate_interval", `${rateS}s`), values);
}

/** A query to Postgres as it leaves Grafana. */
export function sqlQuery(sql: string, values: Values, { from, to }: Window): string {
  const filtered = sql
    .replaceAll(/\$__timeFilter\(([^)]+)\)/g, (_, column: string) => `${column} BETWEEN '${from.toISOString()}' AND '${to.toISOString()}'`)
    .replaceAll(
      /\$__timeGroupAlias\(([^,]+), '(\d+)h'\)/g,
      (_, column: string, hours: string) =>
        `floor(extract(epoch from ${column})/${Number(hours) * 3600})*${Number(hours) * 3600} AS "time"`,
    );
  return withVariables(filtered, values);
}
