/**
 * A hold in force → operator.proto.
 */
import { Hold } from "../../gen/proto/vapfarm/v1/operator.ts";
import type { HoldView } from "../store/store-contract.ts";
import { holdScopes } from "./wire-names.ts";

/** A hold, who placed it and when. */
export function holdToProto({ scope, name, reason, placedBy, placedAt, origin }: HoldView): Hold {
  return Hold.create({ scope: holdScopes[scope], name, reason, placedBy, placeTime: placedAt, byBudget: origin === "budget" });
}
