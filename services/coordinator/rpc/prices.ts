/**
 * SetPrice and ListPrices: what an hour of device time costs in each pool, from a time on.
 */
import { nameRule, refusalOf, refuseAny, timeRule, violation, type Violations } from "../../domain/field-rules.ts";
import { Price, type ListPricesResponse, type SetPriceRequest, type SetPriceResponse } from "../../gen/proto/vapfarm/v1/books.ts";
import type { BooksStore, PriceView } from "../store/store-contract.ts";
import type { Call } from "./method.ts";
import { moneyToProto, otherCurrency, readMoney } from "./money-mapping.ts";

/** What prices work with. */
export type PriceDependencies = {
  readonly store: Pick<BooksStore, "setPrice" | "listPrices">;
  /** Names of the farm's pools. */
  readonly pools: readonly string[];
};

const maxUnitsPerHour = 1_000_000n;

/** The handler of SetPrice. */
export function createSetPrice({ store, pools }: PriceDependencies) {
  return async ({ pool, perHour, startTime }: SetPriceRequest, { caller }: Call): Promise<SetPriceResponse> => {
    const { currency, nanos, violations } = readMoney("per_hour", perHour, maxUnitsPerHour);
    refuseAny([...poolRule(pool, pools), ...violations, ...timeRule("start_time", startTime)]);
    const outcome = await store.setPrice({ pool, nanosPerHour: nanos, currency, validFrom: startTime }, caller.tenant);
    if (outcome.kind === "currency") throw refusalOf(otherCurrency("per_hour", outcome.currency));
    if (outcome.kind === "past") throw refusalOf([violation("start_time", "is over", "choose a time to come, or leave it out")]);
    const prices = await store.listPrices();
    const price = prices.find((each) => each.pool === pool && each.validFrom.getTime() === outcome.validFrom.getTime());
    return { price: price === undefined ? undefined : priceToProto(price) };
  };
}

/** The handler of ListPrices. */
export function createListPrices({ store }: Pick<PriceDependencies, "store">) {
  return async (): Promise<ListPricesResponse> => ({ prices: (await store.listPrices()).map(priceToProto) });
}

function poolRule(pool: string, pools: readonly string[]): Violations {
  if (pool === "") return [violation("pool", "is missing", "name the pool")];
  const form = nameRule("pool", pool);
  if (form.length > 0 || pools.includes(pool)) return form;
  return [violation("pool", `the farm has no pool ${pool}`, `choose one of: ${pools.join(", ")}`)];
}

function priceToProto({ pool, nanosPerHour, currency, validFrom, setBy, setAt }: PriceView): Price {
  return Price.create({ pool, perHour: moneyToProto(currency, nanosPerHour), startTime: validFrom, setBy, setTime: setAt });
}
