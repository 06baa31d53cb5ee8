/**
 * Keys as UTF-8 in a trie, for all keys that begin at a place in a text: as long as the text agrees with one, a byte at a time.
 *
 * Its edges are one open hash table from (node, byte) to node, because a vocabulary has 256,000 pieces and two million bytes: that is built in
 * half a second, where a Map takes one and a half and objects for nodes several times the memory.
 */
import { FarmError } from "../../errors.ts";

export type PieceTrie = {
  /** The node after `byte`, or −1. Node 0 is the root. */
  next(node: number, byte: number): number;
  /** The value of the key that ends in `node`, or −1. */
  valueAt(node: number): number;
};

/** An edge is 256 times its node plus its byte, and must be a uint32. */
const MOST_NODES = 2 ** 24 - 1;
const HASH_FACTOR = 0x9e3779b1;

/** Values are at least 0. */
export function pieceTrie(entries: readonly (readonly [key: string, value: number])[]): PieceTrie {
  const encode = keyEncoder(entries.reduce((longest, [key]) => Math.max(longest, key.length), 0));
  const edges = edgeTable(entries.reduce((bytes, [key]) => bytes + encode(key).length, 0));
  const values = [-1];
  for (const [key, value] of entries) {
    let node = 0;
    for (const byte of encode(key)) {
      const slot = edges.slotOf(node, byte);
      if (edges.nodes[slot] === 0) edges.put(slot, { node, byte }, values.push(-1) - 1);
      node = edges.nodes[slot] ?? 0;
    }
    values[node] = value;
  }
  const after = (node: number, byte: number): number => edges.nodes[edges.slotOf(node, byte)] ?? 0;
  return { next: (node, byte) => after(node, byte) || -1, valueAt: (node) => values[node] ?? -1 };
}

/** UTF-8 of keys of at most `longest` code units, each in the place of the one before. */
function keyEncoder(longest: number): (key: string) => Uint8Array {
  const encoder = new TextEncoder();
  const buffer = new Uint8Array(3 * longest);
  return (key) => buffer.subarray(0, encoder.encodeInto(key, buffer).written);
}

type EdgeTable = {
  /** By slot: the node that the edge leads to, or 0. */
  readonly nodes: Uint32Array;
  /** Where the edge is, or would be. */
  slotOf(node: number, byte: number): number;
  put(slot: number, edge: { readonly node: number; readonly byte: number }, to: number): void;
};

function edgeTable(mostEdges: number): EdgeTable {
  if (mostEdges >= MOST_NODES) throw new FarmError("MODEL_INVALID", { message: `the tokenizer's pieces have ${mostEdges} bytes` });
  const bits = Math.ceil(Math.log2(2 * (mostEdges + 1)));
  const mask = 2 ** bits - 1;
  const names = new Uint32Array(2 ** bits);
  const nodes = new Uint32Array(2 ** bits);
  const slotOf = (node: number, byte: number): number => {
    const name = node * 256 + byte;
    let slot = Math.imul(name, HASH_FACTOR) >>> (32 - bits);
    while (nodes[slot] !== 0 && names[slot] !== name) slot = (slot + 1) & mask;
    return slot;
  };
  return {
    nodes,
    slotOf,
    put: (slot, { node, byte }, to) => {
      names[slot] = node * 256 + byte;
      nodes[slot] = to;
    },
  };
}

/** Bytes of the longest key that begins at `from`; 0 if none does. */
export function longestKey(trie: PieceTrie, bytes: Uint8Array, from: number): number {
  let longest = 0;
  let node = 0;
  for (let at = from; at < bytes.length; at += 1) {
    node = trie.next(node, bytes[at] ?? 0);
    if (node < 0) break;
    if (trie.valueAt(node) >= 0) longest = at + 1 - from;
  }
  return longest;
}
