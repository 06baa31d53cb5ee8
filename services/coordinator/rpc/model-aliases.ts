/**
 * SetModelAlias and ListModelAliases: names that move between versions, and how they moved. Moving one back is the roll-back.
 */
import { FarmError } from "../../domain/errors.ts";
import { refuseAny, violation } from "../../domain/field-rules.ts";
import { isModelAlias, isModelName } from "../../domain/model-reference.ts";
import type * as wire from "../../gen/proto/vapfarm/v1/models.ts";
import type { ModelStore } from "../store/store-contract.ts";
import type { Call } from "./method.ts";
import { aliasToProto, moveToProto, optionalNameRules, versionNameRules } from "./model-version-mapping.ts";

/** What they work with. */
export type AliasDependencies = { readonly store: Pick<ModelStore, "moveAlias" | "listAliases" | "aliasMoves"> };

const mostMoves = 200;

/** The handler of SetModelAlias. */
export function createSetModelAlias({ store }: AliasDependencies) {
  return async ({ name, alias, version }: wire.SetModelAliasRequest, { caller }: Call): Promise<wire.SetModelAliasResponse> => {
    refuseAny([
      ...(version === "" ? [] : versionNameRules("", { name, version })),
      ...(isModelName(name) ? [] : [violation("name", "is no name of a model", "name the model")]),
      ...(isModelAlias(alias)
        ? []
        : [violation("alias", "is no alias", "use 1 to 40 letters, digits, '.', '_' or '-', the first no sign")]),
    ]);
    const isMoved = await store.moveAlias({ name, alias, version: version === "" ? undefined : version }, caller.tenant);
    if (!isMoved) throw unknown(`${name}${version === "" ? `@${alias}` : `:${version}`}`);
    const moved = (await store.listAliases(name)).find((each) => each.alias === alias);
    return { alias: version === "" || moved === undefined ? undefined : aliasToProto(moved) };
  };
}

function unknown(reference: string): FarmError {
  return new FarmError("MODEL_VERSION_UNKNOWN", { message: `the farm has no ${reference} that is ready` });
}

/** The handler of ListModelAliases. */
export function createListModelAliases({ store }: AliasDependencies) {
  return async ({ name }: wire.ListModelAliasesRequest): Promise<wire.ListModelAliasesResponse> => {
    refuseAny(optionalNameRules(name));
    const of = name === "" ? undefined : name;
    const [aliases, moves] = await Promise.all([store.listAliases(of), store.aliasMoves(of, mostMoves)]);
    return { aliases: aliases.map(aliasToProto), moves: moves.map(moveToProto) };
  };
}
