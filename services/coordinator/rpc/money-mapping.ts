/**
 * Amounts of money ↔ books.proto, and what such an amount must be.
 */
import { type Violations, violation } from "../../domain/field-rules.ts";
import { isCurrency, joinNanos, nanosPerUnit, splitNanos } from "../../domain/money.ts";
import { Money } from "../../gen/proto/vapfarm/v1/books.ts";

/** An amount in the farm's currency. */
export function moneyToProto(currency: string, nanos: bigint): Money {
  return Money.create({ currencyCode: currency, ...splitNanos(nanos) });
}

/** What a request says, with what is wrong with it; the amount stands for nothing then. */
export type ReadMoney = { readonly currency: string; readonly nanos: bigint; readonly violations: Violations };

/** An amount that is not negative and at most so many units. */
export function readMoney(field: string, money: Money | undefined, maxUnits: bigint): ReadMoney {
  if (money === undefined) {
    return { currency: "", nanos: 0n, violations: [violation(field, "is missing", "give an amount and its currency")] };
  }
  const { currencyCode: currency } = money;
  const nanos = joinNanos(money);
  const violations = [
    ...(isCurrency(currency) ? [] : [violation(`${field}.currency_code`, "is no ISO 4217 code", 'give one such as "EUR"')]),
    ...(nanos === undefined
      ? [violation(`${field}.nanos`, "is no part of a unit with the sign of `units`", "give billionths of a unit")]
      : []),
    ...(nanos !== undefined && (nanos < 0n || nanos > maxUnits * nanosPerUnit)
      ? [violation(`${field}.units`, `is outside 0 .. ${maxUnits}`, "choose an amount in that range")]
      : []),
  ];
  return { currency, nanos: nanos ?? 0n, violations };
}

/** The farm counts in one currency. */
export function otherCurrency(field: string, currency: string): Violations {
  return [violation(`${field}.currency_code`, `the farm's currency is ${currency}`, `give the amount in ${currency}`)];
}
