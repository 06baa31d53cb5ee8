/**
 * The wire's amounts of money and of device time as text for people, the same in the CLI and on the pages.
 */
import { joinNanos, moneyText } from "../domain/money.ts";
import type { Budget, Money } from "../gen/proto/vapfarm/v1/books.ts";

/** "EUR 12.50"; empty where the farm has no currency. */
export function costText(money: Money | undefined): string {
  const nanos = money === undefined ? undefined : joinNanos(money);
  return money === undefined || nanos === undefined || money.currencyCode === "" ? "" : moneyText(money.currencyCode, nanos);
}

/** A budget's limit, or what is spent of it: "EUR 12.50" or "90 GPU-seconds". */
export function amountText(amount: Budget["limit"] | Budget["spent"]): string {
  switch (amount?.$case) {
    case undefined:
      return "";
    case "money":
    case "spentMoney":
      return costText(amount.value);
    case "gpuSeconds":
    case "spentGpuSeconds":
      return `${Number(amount.value.toFixed(3))} GPU-seconds`;
  }
}
