/**
 * Lists of the farm: a table, or one JSON document that is written while it is read: `{"jobs":[`, an item a line, `]}`.
 */
import { intervalOf, type JsonOption, type WatchOptions } from "./command-line.ts";
import type { CliContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { showView } from "./live-view.ts";
import type { Output } from "./output.ts";
import type { Codec } from "./proto-json.ts";

/** What a command lists. */
export type Listing<T> = {
  /** Of the list in its JSON, as the proto has it. */
  readonly name: string;
  readonly codec: Codec<T>;
  /** Read anew for each look. */
  readonly items: () => AsyncIterable<T>;
  readonly table: (items: readonly T[]) => string;
};

type ListCall = { readonly context: CliContext; readonly options: JsonOption & Partial<WatchOptions> };

/** Shows a list as its options ask: once or again and again, for people or for scripts. */
export async function showList<T>({ context, options }: ListCall, { name, codec, items, table }: Listing<T>): Promise<ExitCode> {
  const asJson = (): AsyncIterable<unknown> => mapEach(items(), (item) => context.toJson(codec, item));
  if (options.json === true && options.watch !== true) {
    await printJsonList(context.output, name, asJson());
    return exitCodes.ok;
  }
  return showView(context, options.watch === true, {
    intervalMs: intervalOf(options),
    asJson: options.json === true,
    text: async () => table(await collectAll(items())),
    json: async () => ({ [name]: await collectAll(asJson()) }),
  });
}

/** Waits for the reader of the pipe, so a list of any length takes no memory. */
export async function printJsonList(output: Output, name: string, items: AsyncIterable<unknown>): Promise<void> {
  let separator = `{"${name}":[\n`;
  for await (const item of items) {
    await output.write(`${separator}${JSON.stringify(item)}`);
    separator = ",\n";
  }
  await output.write(separator.startsWith("{") ? `{"${name}":[]}\n` : "\n]}\n");
}

/** The items of an answer that has all of them. */
export async function* eachOf<T>(answer: Promise<readonly T[]>): AsyncGenerator<T> {
  yield* await answer;
}

async function* mapEach<T, U>(items: AsyncIterable<T>, map: (item: T) => U): AsyncGenerator<U> {
  for await (const item of items) yield map(item);
}

async function collectAll<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
