/**
 * A local OTLP/HTTP receiver: takes the protobuf of real exporters and keeps the spans; or answers nothing, or fails, as a test asks.
 *
 * Field numbers are those of opentelemetry/proto/{collector/trace/v1/trace_service,trace/v1/trace,common/v1/common}.proto.
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";

export type AttributeValue = string | number | boolean;

export type ReceivedSpan = {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: number;
  readonly startNanos: bigint;
  readonly endNanos: bigint;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly events: readonly { readonly name: string; readonly attributes: Readonly<Record<string, AttributeValue>> }[];
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** Empty unless it failed. */
  readonly error: string;
  readonly service: string;
};

export type OtlpReceiver = {
  /** What VAPFARM_OTLP_ENDPOINT is set to. */
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** Connections that were ever made. */
  connections(): number;
  /** Paths that were posted to. */
  readonly paths: ReadonlySet<string>;
  behave(how: "take" | "fail" | "hang"): void;
  stop(): Promise<void>;
};

/** Starts it on a free loopback port. */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const paths = new Set<string>();
  let connections = 0;
  let how: "take" | "fail" | "hang" = "take";
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await buffer(request);
    paths.add(request.url ?? "");
    if (how === "hang") return;
    if (how === "take") spans.push(...decodeRequest(request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body));
    response.writeHead(how === "take" ? 200 : 500, { "content-type": "application/x-protobuf" }).end();
  };
  const server = createServer((request, response) => void answer(request, response).catch(() => response.writeHead(400).end()));
  server.on("connection", () => (connections += 1));
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    paths,
    connections: () => connections,
    behave: (now) => (how = now),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

type Fields = ReadonlyMap<number, readonly (Uint8Array | bigint)[]>;

/** All fields of a message: length-delimited ones as bytes, numbers as bigint (doubles by their bits). */
function fieldsOf(bytes: Uint8Array): Fields {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, (Uint8Array | bigint)[]>();
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const values = fields.get(number) ?? [];
    fields.set(number, values);
    if (type === WireType.LengthDelimited) values.push(reader.bytes());
    else if (type === WireType.Varint) values.push(BigInt(reader.uint64()));
    else if (type === WireType.Bit64) values.push(BigInt(reader.fixed64()));
    else if (type === WireType.Bit32) values.push(BigInt(reader.fixed32()));
    else throw new TypeError(`wire type ${type} is none of OTLP's`);
  }
  return fields;
}

function messages(fields: Fields, number: number): readonly Fields[] {
  return (fields.get(number) ?? []).map((value) => fieldsOf(value as Uint8Array));
}

function bytesAt(fields: Fields, number: number): Uint8Array {
  return (fields.get(number)?.[0] as Uint8Array | undefined) ?? new Uint8Array();
}

function numberAt(fields: Fields, number: number): bigint {
  return (fields.get(number)?.[0] as bigint | undefined) ?? 0n;
}

const hexAt = (fields: Fields, number: number): string => Buffer.from(bytesAt(fields, number)).toString("hex");
const textAt = (fields: Fields, number: number): string => Buffer.from(bytesAt(fields, number)).toString("utf8");

function decodeRequest(body: Uint8Array): readonly ReceivedSpan[] {
  return messages(fieldsOf(body), 1).flatMap((ofResource) => {
    const service = String(messages(ofResource, 1).map((resource) => attributesOf(resource, 1))[0]?.["service.name"] ?? "");
    return messages(ofResource, 2).flatMap((ofScope) => messages(ofScope, 2).map((span) => spanOf(span, service)));
  });
}

function spanOf(span: Fields, service: string): ReceivedSpan {
  const [status] = messages(span, 15);
  return {
    traceId: hexAt(span, 1),
    spanId: hexAt(span, 2),
    parentSpanId: hexAt(span, 4),
    name: textAt(span, 5),
    kind: Number(numberAt(span, 6)),
    startNanos: numberAt(span, 7),
    endNanos: numberAt(span, 8),
    attributes: attributesOf(span, 9),
    events: messages(span, 11).map((event) => ({ name: textAt(event, 2), attributes: attributesOf(event, 3) })),
    links: messages(span, 13).map((link) => ({ traceId: hexAt(link, 1), spanId: hexAt(link, 2) })),
    error: status !== undefined && numberAt(status, 3) === 2n ? textAt(status, 2) : "",
    service,
  };
}

function attributesOf(fields: Fields, number: number): Readonly<Record<string, AttributeValue>> {
  return Object.fromEntries(
    messages(fields, number).map((pair) => {
      const [value] = messages(pair, 2);
      return [textAt(pair, 1), value === undefined ? "" : valueOf(value)];
    }),
  );
}

function valueOf(value: Fields): AttributeValue {
  if (value.has(1)) return textAt(value, 1);
  if (value.has(2)) return numberAt(value, 2) === 1n;
  if (value.has(3)) return Number(BigInt.asIntN(64, numberAt(value, 3)));
  if (value.has(4)) return new Float64Array(BigUint64Array.of(numberAt(value, 4)).buffer)[0] ?? Number.NaN;
  throw new TypeError("an attribute is of a kind that the farm does not use");
}
