/**
 * What a person pressed: bytes of a terminal in raw mode → what they mean to the live view.
 */

/** What a key asks for. */
export type Key = "quit" | "pause" | "up" | "down" | "page-up" | "page-down" | "first" | "last";

const keys: Readonly<Record<string, Key>> = {
  q: "quit",
  Q: "quit",
  "\u0003": "quit",
  p: "pause",
  " ": "pause",
  k: "up",
  "\u001B[A": "up",
  "\u001BOA": "up",
  j: "down",
  "\u001B[B": "down",
  "\u001BOB": "down",
  "\u001B[5~": "page-up",
  "\u001B[6~": "page-down",
  "\u001B[H": "first",
  "\u001B[1~": "first",
  g: "first",
  "\u001B[F": "last",
  "\u001B[4~": "last",
  G: "last",
};

/** The keys in what arrived, in order; what means nothing is left out. */
export function keysOf(text: string): readonly Key[] {
  // An escape sequence is one key; a lone escape and everything else are one character each.
  const parts = text.match(/\u001B(?:\[[0-9;]*[A-Za-z~]|O[A-Z])|[\s\S]/gu) ?? []; // eslint-disable-line no-control-regex
  return parts.flatMap((part) => {
    const key = keys[part];
    return key === undefined ? [] : [key];
  });
}

/** Where the view stands after a scrolling key. */
export function scrolled(key: Key, at: { readonly scroll: number; readonly page: number; readonly scrollMost: number }): number {
  const { scroll, page, scrollMost } = at;
  const moves: Readonly<Partial<Record<Key, number>>> = {
    up: scroll - 1,
    down: scroll + 1,
    "page-up": scroll - page,
    "page-down": scroll + page,
    first: 0,
    last: scrollMost,
  };
  return Math.min(Math.max(0, moves[key] ?? scroll), scrollMost);
}
