/**
 * Renders of one request against the models and media that there are: what is right, and everything that is wrong.
 *
 * Order: the form of everything, uploads by hash in one query, then bytes and addresses of the renders that are right so far (resolved,
 * not stored), then the rules again with what they turned out to be. Nothing is stored here: whoever takes the outcome commits the media
 * of what it stores and releases the rest.
 */
import { violation, type Violations } from "../../domain/field-rules.ts";
import { isSha256 } from "../../domain/ids.ts";
import { originOf } from "../../domain/media-source.ts";
import type { MediaSource, RenderRequest } from "../../domain/render-request.ts";
import { renderViolations, type RuleFacts, type UploadFacts } from "../../domain/render-rules.ts";
import type { MediaStore } from "../store/store-contract.ts";
import type { FoundMedia, MediaAsk, MediaResolver, ResolvedMedia } from "./resolve-media.ts";
import type { Call } from "./method.ts";
import { type KnownMetrics, resolveScores } from "../../domain/score-rules.ts";
import type { MetricRepositories, ServedModel, ServedModels } from "./served-model.ts";

/** What checking works with. */
export type CheckDependencies = {
  readonly store: Pick<MediaStore, "findUploads">;
  readonly models: ServedModels;
  readonly metrics: MetricRepositories;
  readonly media: MediaResolver;
};

/** Renders and where they stand in the request; fields are named from there. */
export type RendersToCheck = {
  readonly renders: readonly RenderRequest[];
  readonly fieldOf: (index: number) => string;
  readonly now: Date;
  /** False where nothing is going to be stored: then no address is fetched. */
  readonly resolves: boolean;
};

/** What is right has a model, and its media are named by hash alone. */
export type RenderVerdict =
  | { readonly kind: "right"; readonly render: RenderRequest; readonly model: ServedModel; readonly media: readonly FoundMedia[] }
  | { readonly kind: "wrong"; readonly violations: Violations };

/** One verdict for each render, in order. */
export type CheckedRenders = {
  readonly verdicts: readonly RenderVerdict[];
  /** Removes what resolving left behind; to be called in any case, after what is stored was committed. */
  release(): Promise<void>;
};

type Facts = RuleFacts & { readonly metrics: KnownMetrics; readonly served: ReadonlyMap<string, ServedModel> };

/** Judges every render. */
export async function checkRenders(dependencies: CheckDependencies, asked: RendersToCheck, call: Call): Promise<CheckedRenders> {
  const served = await dependencies.models();
  const hashes = [...new Set(asked.renders.flatMap(sourcesOf).map(({ sha256 }) => sha256))].filter(isSha256);
  const uploads = hashes.length === 0 ? [] : await dependencies.store.findUploads(call.caller.tenant, hashes);
  const facts: Facts = {
    served,
    models: new Map([...served].map(([name, model]) => [name, model.facts])),
    metrics: new Map([...(await dependencies.metrics())].map(([name, { reference, metrics }]) => [name, { name: reference, metrics }])),
    uploads: new Map(uploads.map((upload) => [upload.sha256, upload])),
    now: asked.now,
  };
  const first = asked.renders.map((render, index) => judge(render, facts, asked.fieldOf(index)));
  if (!asked.resolves) return { verdicts: first, release: () => Promise.resolve() };
  return await resolveRight(dependencies.media, { asked, facts, first }, call);
}

function judge(render: RenderRequest, facts: Facts, field: string): RenderVerdict {
  const model = facts.served.get(render.model);
  const violations = [...renderViolations(render, facts, field), ...sizeRule(model, `${field}.model`)];
  if (violations.length > 0 || model === undefined) return { kind: "wrong", violations };
  return { kind: "right", render: resolveScores(render, facts.metrics), model, media: [] };
}

function sizeRule(model: ServedModel | undefined, field: string): Violations {
  if (model?.tooLarge === undefined) return [];
  return [violation(field, `can never run: ${model.tooLarge}`, "choose another model, or have its pool given larger workers")];
}

type Round = { readonly asked: RendersToCheck; readonly facts: Facts; readonly first: readonly RenderVerdict[] };

/** Turns bytes and addresses of the renders that are right so far into hashes, and judges those renders again. */
async function resolveRight(media: MediaResolver, round: Round, { caller, signal }: Call): Promise<CheckedRenders> {
  const { asked, facts, first } = round;
  const asks = first.flatMap((verdict, index) => (verdict.kind === "right" ? asksOf(verdict.render, asked.fieldOf(index)) : []));
  const outcomes = asks.length === 0 ? [] : await media.resolve(asks, { tenant: caller.tenant, signal });
  const byField = new Map(asks.flatMap(({ field }, index) => pairOf(field, outcomes[index])));
  const found = outcomes.filter((outcome) => "upload" in outcome);
  const uploads = new Map<string, UploadFacts>([...facts.uploads, ...found.map(({ upload }) => [upload.sha256, upload] as const)]);
  const verdicts = first.map((verdict, index) => {
    if (verdict.kind === "wrong") return verdict;
    return judgeResolved(verdict.render, { facts: { ...facts, uploads }, field: asked.fieldOf(index), byField });
  });
  return { verdicts, release: () => releaseAll(found) };
}

function pairOf(field: string, outcome: ResolvedMedia | undefined): readonly (readonly [string, ResolvedMedia])[] {
  return outcome === undefined ? [] : [[field, outcome]];
}

async function releaseAll(found: readonly FoundMedia[]): Promise<void> {
  for (const media of found) await media.discard();
}

type Second = { readonly facts: Facts; readonly field: string; readonly byField: ReadonlyMap<string, ResolvedMedia> };

function judgeResolved(render: RenderRequest, { facts, field, byField }: Second): RenderVerdict {
  const outcomes = mediaFieldsOf(render, field).flatMap(([at]) => byField.get(at) ?? []);
  const refused = outcomes.flatMap((outcome) => ("violation" in outcome ? [outcome.violation] : []));
  if (refused.length > 0) return { kind: "wrong", violations: refused };
  const named = (source: MediaSource, at: string): MediaSource => {
    const outcome = byField.get(at);
    if (outcome === undefined || !("upload" in outcome)) return source;
    const { sha256 } = outcome.upload;
    return source.uri === undefined || source.uri === "" ? { sha256 } : { sha256, sourceUri: source.uri };
  };
  const image = render.image === undefined ? undefined : named(render.image, `${field}.image`);
  const references = render.references.map((reference, index) => named(reference, `${field}.references[${index}]`));
  const target = render.target === undefined ? undefined : named(render.target, `${field}.target`);
  const verdict = judge({ ...render, image, references, target }, facts, field);
  return verdict.kind === "wrong" ? verdict : { ...verdict, media: outcomes.filter((outcome) => "upload" in outcome) };
}

function sourcesOf(render: RenderRequest): readonly MediaSource[] {
  return mediaFieldsOf(render, "").map(([, source]) => source);
}

function mediaFieldsOf({ image, references, target }: RenderRequest, field: string): readonly (readonly [string, MediaSource])[] {
  return [
    ...(image === undefined ? [] : [[`${field}.image`, image] as const]),
    ...references.map((reference, index) => [`${field}.references[${index}]`, reference] as const),
    ...(target === undefined ? [] : [[`${field}.target`, target] as const]),
  ];
}

function asksOf(render: RenderRequest, at: string): readonly MediaAsk[] {
  return mediaFieldsOf(render, at).flatMap(([field, source]): readonly MediaAsk[] => {
    const origin = originOf(source);
    return origin === undefined || origin.kind === "upload" ? [] : [{ ...origin, field }];
  });
}
