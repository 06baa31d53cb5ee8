/**
 * Calls out of the lines of one client's journal.
 */
import type { ClientCall, ClientLine } from "./journal-entries.ts";

type Growing = { -readonly [Key in keyof ClientCall]: ClientCall[Key] extends readonly (infer E)[] ? E[] : ClientCall[Key] };

/** In the order in which they were asked. */
export function callsOf(client: string, lines: readonly ClientLine[]): readonly ClientCall[] {
  const calls = new Map<string, Growing>();
  for (const line of lines) {
    if (line.kind === "asked") calls.set(line.id, begun(client, line));
    else apply(calls.get(line.id), line);
  }
  return [...calls.values()];
}

function begun(client: string, { call, request, atMs }: Extract<ClientLine, { kind: "asked" }>): Growing {
  const open = { answer: undefined, answeredAtMs: undefined, heard: [], isOver: false, bytesSha256: undefined, refusedWith: undefined };
  return { client, call, request, askedAtMs: atMs, ...open };
}

function apply(call: Growing | undefined, line: Exclude<ClientLine, { kind: "asked" }>): void {
  if (call === undefined) return;
  switch (line.kind) {
    case "told":
      call.answer = line.answer;
      call.answeredAtMs = line.atMs;
      return;
    case "heard":
      call.heard.push({ atMs: line.atMs, message: line.message });
      return;
    case "over":
      call.isOver = true;
      call.bytesSha256 = line.bytesSha256;
      return;
    case "refused":
      call.refusedWith = line.code;
  }
}
