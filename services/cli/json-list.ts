/**
 * Long lists as one JSON document that is written while it is read: `{"jobs":[`, an item a line, `]}`.
 */
import type { Output } from "./output.ts";

/** Waits for the reader of the pipe, so a list of any length takes no memory. */
export async function printJsonList(output: Output, name: string, items: AsyncIterable<unknown>): Promise<void> {
  let separator = `{"${name}":[\n`;
  for await (const item of items) {
    await output.write(`${separator}${JSON.stringify(item)}`);
    separator = ",\n";
  }
  await output.write(separator.startsWith("{") ? `{"${name}":[]}\n` : "\n]}\n");
}

/** An iterable through a function. */
export async function* mapEach<T, U>(items: AsyncIterable<T>, map: (item: T) => U): AsyncGenerator<U> {
  for await (const item of items) yield map(item);
}

/** All of it. */
export async function collectAll<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
