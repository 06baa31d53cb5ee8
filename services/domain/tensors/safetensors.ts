/**
 * The safetensors file format: an 8-byte little-endian header length, a JSON header, the tensors' bytes.
 *
 * Decoding trusts nothing: the header must be an object of known dtypes whose byte ranges fit their shapes and tile the
 * data exactly, without gap or overlap. Encoding is deterministic, because an artifact is named by its bytes: tensors lie by
 * element size (largest first, so that each is aligned) and then by name. Both sides assume a little-endian machine, as
 * every platform that the farm runs on is.
 */
import { FarmError } from "../errors.ts";
import { elementCount, float32, int64, uint8 } from "./tensor.ts";
import type { Tensor, TensorDtype } from "./tensor.ts";

export type SafetensorsFile = {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
};

type FileDtype = "F32" | "I64" | "U8";
type Entry = {
  readonly name: string;
  readonly dtype: FileDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
};
type NamedTensor = { readonly name: string; readonly tensor: Tensor };

const headerLengthBytes = 8;
const maxHeaderBytes = 100_000_000;
const metadataKey = "__metadata__";
const elementBytes: Readonly<Record<FileDtype, number>> = { F32: 4, I64: 8, U8: 1 };
const fileDtypes: Readonly<Record<TensorDtype, FileDtype>> = { float32: "F32", int64: "I64", uint8: "U8" };

/**
 * Reads a whole file. Tensors are views of the file's bytes where alignment allows, copies where not.
 * Damage is ARTIFACT_CORRUPT; a dtype that no stage uses is STAGE_INPUT_INVALID.
 */
export function decodeSafetensors(file: Uint8Array): SafetensorsFile {
  // A plain view: a subclass (Node's Buffer) would shine through in the tensors, and its slice() does not copy.
  const bytes = new Uint8Array(file.buffer, file.byteOffset, file.byteLength);
  const headerBytes = readHeaderLength(bytes);
  const dataStart = headerLengthBytes + headerBytes;
  const header = parseHeader(bytes.subarray(headerLengthBytes, dataStart));
  const entries = Object.entries(header)
    .filter(([name]) => name !== metadataKey)
    .map(([name, value]) => readEntry(name, value));
  requireTiling(entries, bytes.byteLength - dataStart);
  const tensors = new Map(entries.map((entry) => [entry.name, readTensor(bytes, dataStart, entry)]));
  return { tensors, metadata: readMetadata(header[metadataKey]) };
}

/** Writes named tensors (a map or an object) and metadata as one file; equal input gives equal bytes. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const ordered = namedTensors(tensors).toSorted(byElementSizeThenName);
  const header = encodeHeader(ordered, metadata);
  const dataBytes = ordered.reduce((total, { tensor }) => total + tensor.data.byteLength, 0);
  const file = new Uint8Array(headerLengthBytes + header.byteLength + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.byteLength), true);
  file.set(header, headerLengthBytes);
  let offset = headerLengthBytes + header.byteLength;
  for (const { tensor } of ordered) {
    file.set(new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength), offset);
    offset += tensor.data.byteLength;
  }
  return file;
}

function namedTensors(tensors: ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>): readonly NamedTensor[] {
  const pairs: readonly (readonly [string, Tensor])[] = isTensorMap(tensors) ? [...tensors] : Object.entries(tensors);
  return pairs.map(([name, tensor]) => ({ name, tensor }));
}

function isTensorMap(tensors: ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>): tensors is ReadonlyMap<string, Tensor> {
  return tensors instanceof Map;
}

function readHeaderLength(bytes: Uint8Array): number {
  if (bytes.byteLength < headerLengthBytes) throw corrupt("the file ends before its header length");
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) throw corrupt("the header is longer than allowed");
  if (headerLengthBytes + Number(length) > bytes.byteLength) throw corrupt("the file ends before its header does");
  return Number(length);
}

function parseHeader(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  if (bytes[0] !== "{".charCodeAt(0)) throw corrupt("the header is no JSON object");
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw corrupt("the header is no JSON object", cause);
  }
}

function readMetadata(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (!isRecord(value)) throw corrupt("the metadata is no object");
  const entries = Object.entries(value).map(([key, text]): [string, string] => {
    if (typeof text !== "string") throw corrupt(`metadata ${key} is no string`);
    return [key, text];
  });
  return Object.fromEntries(entries);
}

function readEntry(name: string, value: unknown): Entry {
  if (!isRecord(value)) throw corrupt(`the header's row of ${name} is no object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string") throw corrupt(`tensor ${name} has no dtype`);
  if (!isFileDtype(dtype)) throw new FarmError("STAGE_INPUT_INVALID", { message: `tensor ${name} has the unsupported dtype ${dtype}` });
  if (!isCounts(shape)) throw corrupt(`tensor ${name} has no valid shape`);
  if (!isCounts(offsets) || offsets.length !== 2) throw corrupt(`tensor ${name} has no valid offsets`);
  const [begin = 0, end = 0] = offsets;
  if (end - begin !== countOrCorrupt(name, shape) * elementBytes[dtype])
    throw corrupt(`tensor ${name} has other bytes than its shape needs`);
  return { name, dtype, shape, begin, end };
}

function countOrCorrupt(name: string, shape: readonly number[]): number {
  try {
    return elementCount(shape);
  } catch (cause) {
    throw corrupt(`tensor ${name} has no valid shape`, cause);
  }
}

/** Byte ranges must follow each other from 0 to the end: no gap hides bytes, no overlap shares them. */
function requireTiling(entries: readonly Entry[], dataBytes: number): void {
  let expected = 0;
  for (const { name, begin, end } of entries.toSorted((left, right) => left.begin - right.begin || left.end - right.end)) {
    if (begin !== expected) throw corrupt(`the bytes of tensor ${name} overlap others or leave a gap`);
    expected = end;
  }
  if (expected !== dataBytes) throw corrupt("the tensors do not cover the file's data exactly");
}

function readTensor(bytes: Uint8Array, dataStart: number, entry: Entry): Tensor {
  const slice = bytes.subarray(dataStart + entry.begin, dataStart + entry.end);
  const view = slice.byteOffset % elementBytes[entry.dtype] === 0 ? slice : slice.slice();
  const count = view.byteLength / elementBytes[entry.dtype];
  switch (entry.dtype) {
    case "F32":
      return float32(entry.shape, new Float32Array(view.buffer, view.byteOffset, count));
    case "I64":
      return int64(entry.shape, new BigInt64Array(view.buffer, view.byteOffset, count));
    case "U8":
      return uint8(entry.shape, view);
  }
}

function byElementSizeThenName(left: NamedTensor, right: NamedTensor): number {
  const sizes = elementBytes[fileDtypes[right.tensor.dtype]] - elementBytes[fileDtypes[left.tensor.dtype]];
  return sizes === 0 ? byText(left.name, right.name) : sizes;
}

/** Order of code units: the same on every machine, unlike a locale's. */
function byText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function encodeHeader(ordered: readonly NamedTensor[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const rows: [string, unknown][] = [];
  const notes = Object.entries(metadata).toSorted((left, right) => byText(left[0], right[0]));
  if (notes.length > 0) rows.push([metadataKey, Object.fromEntries(notes)]);
  let offset = 0;
  for (const { name, tensor } of ordered) {
    if (name === metadataKey) throw new FarmError("STAGE_INPUT_INVALID", { message: `${metadataKey} is no name for a tensor` });
    const end = offset + tensor.data.byteLength;
    rows.push([name, { dtype: fileDtypes[tensor.dtype], shape: tensor.shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(rows)));
  const padded = new Uint8Array(Math.ceil(text.byteLength / 8) * 8).fill(" ".charCodeAt(0));
  padded.set(text);
  return padded;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isFileDtype(text: string): text is FileDtype {
  return Object.hasOwn(elementBytes, text);
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && (item as number) >= 0);
}

function corrupt(reason: string, cause?: unknown): FarmError {
  return new FarmError("ARTIFACT_CORRUPT", { message: `safetensors: ${reason}`, cause });
}
