/**
 * A case of an alert for promtool: what was scraped each minute, when it is looked at, and what fires then.
 */

/** Series → values in promtool's notation: `0x10` is ten more samples of 0, `0+1x10` grows by one each minute. */
export type Series = Readonly<Record<string, string>>;

export type AlertCase = {
  readonly alert: string;
  /** How often the rules are judged, where hours go by; else each minute. */
  readonly pace?: string;
  readonly fires: {
    readonly series: Series;
    readonly at: string;
    /** Beside alertname and severity. */
    readonly labels: Readonly<Record<string, string>>;
    /** As a person reads it, values filled in. */
    readonly summary: string;
  };
  /** What looks like it and is none. */
  readonly quiet: Quiet;
};

export type Quiet = { readonly why: string; readonly series: Series; readonly at: string };

/** Further cases of an alert, of which some must be quiet and some tell of a series of other labels. */
export type FurtherCase = { readonly alert: string; readonly pace?: string } & (
  { readonly fires: AlertCase["fires"] } | { readonly quiet: Quiet }
);
