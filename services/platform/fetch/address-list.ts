/**
 * The addresses that an operator allows, and whether one from outside is among them: pure.
 *
 * Both sides are compared as parsed, normalised URLs (case, IDN, default port, numeric hosts, one trailing dot of the host), and what
 * servers are known to read in another way than this parser is refused, not interpreted: user information, dot segments, encoded
 * separators, control characters. An entry matches whole path segments only, since its prefix ends with a slash.
 */
import { z } from "zod";

export type AllowedAddress = {
  readonly protocol: "https:" | "http:" | "s3:";
  /** Host and, unless it is the default, port; of s3 the bucket. */
  readonly host: string;
  /** Ends with a slash. */
  readonly path: string;
  /** Whether it may lead into loopback and private networks. */
  readonly privateAddresses: boolean;
};

/** A normalised address, or why it is none. */
export type ParsedAddress = { readonly url: URL } | { readonly refusal: string };

const maxCharacters = 2_048;
const protocols: readonly string[] = ["https:", "http:", "s3:"];

/** Normalises an address from outside. */
export function parseAddress(text: string): ParsedAddress {
  if (text.length > maxCharacters) return { refusal: `is longer than ${maxCharacters} characters` };
  // eslint-disable-next-line no-control-regex -- what a URL parser drops silently
  if (/[\u0000-\u0020\u007f\\]/.test(text) || !text.isWellFormed()) return { refusal: "has spaces, backslashes or control characters" };
  const url = URL.parse(text);
  if (url === null) return { refusal: "is no address" };
  if (!protocols.includes(url.protocol)) return { refusal: "begins with none of https:// and s3://" };
  if (!text.slice(url.protocol.length).startsWith("//")) return { refusal: `does not begin with ${url.protocol}//` };
  const refusal = hostRefusal(url) ?? pathRefusal(text);
  if (refusal !== undefined) return { refusal };
  if (url.hostname.endsWith(".")) url.hostname = url.hostname.slice(0, -1);
  url.hash = "";
  return { url };
}

function hostRefusal({ username, password, hostname, protocol, port }: URL): string | undefined {
  if (username !== "" || password !== "") return "has user information";
  if (hostname === "" || hostname === "." || hostname.includes("..")) return "has no valid host";
  if (protocol !== "s3:") return undefined;
  // Of a scheme that it does not know the parser leaves the host as it is.
  return /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(hostname) && port === "" ? undefined : "has no valid bucket";
}

/** Looks at the path as it was sent: the parser has resolved dot segments by the time that there is a URL. */
function pathRefusal(text: string): string | undefined {
  const path = text.replace(/[?#].*$/s, "").replace(/^[^:]*:\/\/[^/]*/, "");
  const decoded = decodeFully(path);
  if (decoded === undefined) return "has a path with broken percent-encoding";
  const slashes = (value: string): number => value.split("/").length;
  // eslint-disable-next-line no-control-regex -- what no path needs
  if (slashes(decoded) !== slashes(path) || /[\u0000-\u001f\u007f\\]/.test(decoded)) return "has encoded separators in its path";
  const isDots = (segment: string): boolean => /^\.{1,2}(;.*)?$/.test(segment);
  return decoded.split("/").some(isDots) ? "has . or .. in its path" : undefined;
}

/** What any number of decodings makes of it; undefined when it cannot be decoded. */
function decodeFully(path: string): string | undefined {
  let decoded = path;
  for (;;) {
    try {
      const next = decodeURIComponent(decoded);
      if (next === decoded) return decoded;
      decoded = next;
    } catch {
      // A percent sign that is left over from the first decoding is a plain character.
      return decoded === path ? undefined : decoded;
    }
  }
}

/** The entry that allows an address. */
export function findAllowed(allowed: readonly AllowedAddress[], url: URL): AllowedAddress | undefined {
  return allowed.find(({ protocol, host, path }) => url.protocol === protocol && url.host === host && url.pathname.startsWith(path));
}

/** Reads an entry's prefix; a string tells what is wrong with it. */
function parsePrefix(prefix: string, privateAddresses: boolean): AllowedAddress | string {
  const parsed = parseAddress(prefix);
  if ("refusal" in parsed) return parsed.refusal;
  const { protocol, host, pathname, search } = parsed.url;
  if (!pathname.endsWith("/") || search !== "" || prefix.includes("#")) return "must end with a slash";
  if (protocol === "http:" && !privateAddresses) return "must be https:// unless privateAddresses is true";
  return { protocol: protocol as AllowedAddress["protocol"], host, path: pathname, privateAddresses };
}

/** Schema of a setting `[{"prefix":"https://host/path/","privateAddresses":false}]` for addresses of these protocols. */
export function allowedAddresses(accepted: readonly AllowedAddress["protocol"][]) {
  const entry = z.strictObject({ prefix: z.string(), privateAddresses: z.boolean().default(false) });
  return z.array(
    entry.transform(({ prefix, privateAddresses }, context): AllowedAddress => {
      const parsed = parsePrefix(prefix, privateAddresses);
      if (typeof parsed !== "string" && accepted.includes(parsed.protocol)) return parsed;
      const message = typeof parsed === "string" ? `"${prefix}" ${parsed}` : `"${prefix}" must begin with ${accepted.join("// or ")}//`;
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    }),
  );
}
