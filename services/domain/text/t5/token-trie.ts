/**
 * Splitting a text at given tokens, as Trie.split of transformers 4.57 does it (tokenization_utils.py): the match that is complete first wins, then
 * an earlier or longer one that is under way. A match that has just failed still takes part in that look-ahead, which is kept.
 */
export type TokenTrie = {
  /** Parts of `text` in order, tokens and what is between them; none is empty. */
  split(text: string): readonly string[];
};

type Node = { readonly children: Map<string, Node>; isToken: boolean };

/** A match under way: the code point it began at → how far it came. */
type Matches = Map<number, Node>;

type Cut = { readonly start: number; readonly end: number };

/** Builds the trie that cuts tokens out of a text before it is normalized, the longest that begins first. */
export function tokenTrie(tokens: Iterable<string>): TokenTrie {
  const root: Node = { children: new Map(), isToken: false };
  for (const token of tokens) if (token !== "") add(root, token);
  return { split: (text) => cutText(Array.from(text), root) };
}

function add(root: Node, token: string): void {
  let node = root;
  for (const character of token) {
    const child = node.children.get(character) ?? { children: new Map<string, Node>(), isToken: false };
    node.children.set(character, child);
    node = child;
  }
  node.isToken = true;
}

function cutText(text: readonly string[], root: Node): readonly string[] {
  const parts: string[] = [];
  let from = 0;
  const cut = (to: number): void => {
    if (to > from) parts.push(text.slice(from, to).join(""));
    from = Math.max(from, to);
  };
  for (const { start, end } of tokenCuts(text, root)) {
    cut(start);
    cut(end);
  }
  cut(text.length);
  return parts;
}

function tokenCuts(text: readonly string[], root: Node): readonly Cut[] {
  const cuts: Cut[] = [];
  let matches: Matches = new Map();
  for (let at = 0; at < text.length; at += 1) {
    const cut = advance(text, at, matches);
    if (cut !== undefined) {
      cuts.push(cut);
      matches = new Map();
      at = Math.max(at, cut.end - 1);
      if (cut.end > at) continue;
    }
    const first = root.children.get(text[at] ?? "");
    if (first !== undefined) matches.set(at, first);
  }
  const last = [...matches].find(([, node]) => node.isToken);
  return last === undefined ? cuts : [...cuts, { start: last[0], end: text.length }];
}

/** Takes the character at `at` into every match, until one proves complete: that is then cut out. */
function advance(text: readonly string[], at: number, matches: Matches): Cut | undefined {
  const failed: number[] = [];
  for (const [start, node] of matches) {
    if (node.isToken) return lookAhead(text, { at, start }, matches);
    const child = node.children.get(text[at] ?? "");
    if (child === undefined) failed.push(start);
    else matches.set(start, child);
  }
  for (const start of failed) matches.delete(start);
  return undefined;
}

/** The longest of the matches that began at `start` or before; those before have taken the character at `at` already. */
function lookAhead(text: readonly string[], { at, start }: { readonly at: number; readonly start: number }, matches: Matches): Cut {
  let best: Cut = { start, end: at };
  for (const [began, reached] of matches) {
    if (began > best.start) break;
    let end = began < best.start ? at + 1 : at;
    let node: Node | undefined = reached;
    best = { ...best, end };
    while (node !== undefined) {
      if (node.isToken) best = { start: began, end };
      node = end < text.length ? node.children.get(text[end] ?? "") : undefined;
      end += 1;
    }
  }
  return best;
}
