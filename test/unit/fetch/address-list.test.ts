import { describe, expect, it } from "vitest";
import { allowedAddresses, findAllowed, parseAddress } from "../../../services/platform/fetch/address-list.ts";
import { hostRefusalOf } from "../../../services/platform/fetch/guarded-request.ts";

const schema = allowedAddresses(["https:", "s3:"]);
const allowed = schema.parse([
  { prefix: "https://media.example.com/clips/" },
  { prefix: "https://other.example.com:8443/" },
  { prefix: "https://münchen.example/" },
  { prefix: "s3://bucket/inputs/" },
]);

/** What an address comes to: allowed, not on the list, or why it is none. */
function verdictOn(address: string): string {
  const parsed = parseAddress(address);
  if ("refusal" in parsed) return parsed.refusal;
  return findAllowed(allowed, parsed.url) === undefined ? "not allowed" : "allowed";
}

describe("the list of allowed addresses", () => {
  it.each([
    "https://media.example.com/clips/a.mp4",
    "https://MEDIA.example.COM/clips/a.mp4",
    "HTTPS://media.example.com:443/clips/deep/er/a%20b.mp4",
    "https://media.example.com./clips/a.mp4",
    "https://media.example.com/clips/a.mp4?signature=%2Fx..%2F&b=../..",
    "https://media.example.com/clips/a.mp4#../..",
    "https://media.example.com/clips/a..b/...c",
    "https://other.example.com:8443/anything",
    "https://xn--mnchen-3ya.example/a",
    "https://münchen.example/a",
    "s3://bucket/inputs/a.mp4",
  ])("allows %s", (address) => {
    expect(verdictOn(address)).toBe("allowed");
  });

  it.each([
    "https://media.example.com/clips",
    "https://media.example.com/clipsother/a",
    "https://media.example.com/other/a",
    "https://media.example.com/CLIPS/a",
    "https://media.example.com:8443/clips/a",
    "https://media.example.com.evil.example/clips/a",
    "https://evil.example/media.example.com/clips/a",
    "https://evil.example/?https://media.example.com/clips/",
    "https://evil.example#@media.example.com/clips/",
    "https://other.example.com/a",
    "http://media.example.com/clips/a",
    "s3://bucket/other/a",
    "s3://bucket2/inputs/a",
    "https://127.0.0.1/clips/a",
    "https://2130706433/clips/a",
  ])("does not allow %s", (address) => {
    expect(verdictOn(address)).toBe("not allowed");
  });

  it.each([
    ["", /no address/],
    ["clips/a.mp4", /no address/],
    ["file:///etc/passwd", /none of/],
    ["ftp://media.example.com/clips/a", /none of/],
    ["data:text/plain,x", /none of/],
    ["https:/media.example.com/clips/a", /does not begin/],
    ["https:media.example.com/clips/a", /does not begin/],
    ["https://user@media.example.com/clips/a", /user information/],
    ["https://media.example.com:x@evil.example/clips/a", /user information|no address/],
    ["https://media.example.com/clips/../secret", /\. or \.\./],
    ["https://media.example.com/clips/./a", /\. or \.\./],
    ["https://media.example.com/clips/%2e%2e/secret", /\. or \.\./],
    ["https://media.example.com/clips/.%2E/secret", /\. or \.\./],
    ["https://media.example.com/clips/..;/secret", /\. or \.\./],
    ["https://media.example.com/clips/%252e%252e/secret", /\. or \.\./],
    ["https://media.example.com/clips/..%2fsecret", /encoded separators/],
    ["https://media.example.com/clips/..%252fsecret", /encoded separators/],
    ["https://media.example.com/clips/..%5csecret", /encoded separators/],
    ["https://media.example.com/clips/a%00b", /encoded separators/],
    ["https://media.example.com/clips/%ff", /percent-encoding/],
    ["https://media.example.com\\@evil.example/clips/", /backslashes/],
    ["https://media.example.com/clips/\t../a", /control/],
    [" https://media.example.com/clips/a", /spaces/],
    ["https://media.example.com/clips/a\n", /control/],
    ["https://media.example.com/clips/\ud800", /control/],
    ["https://media.example.com../clips/a", /host|no address/],
    ["https://media..example.com/clips/a", /host|no address/],
    ["https:///clips/a", /does not begin|no address|not allowed/],
    ["s3://Bucket/inputs/a", /bucket/],
    ["s3://bucket:80/inputs/a", /bucket/],
    ["s3:///inputs/a", /host|bucket/],
    ["s3://bucket/inputs/../a", /\. or \.\./],
    [`https://media.example.com/clips/${"a".repeat(2_048)}`, /longer/],
  ])("refuses %j", (address, reason) => {
    expect(verdictOn(address)).toMatch(reason);
  });

  it.each([
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[fd00:ec2::254]/",
    "https://[64:ff9b::7f00:1]/",
    "https://169.254.169.254/latest/",
    "https://metadata.google.internal/",
    "https://METADATA.google.internal./",
    "https://127.0.0.1./",
  ])("refuses the special host of %s unless its entry allows it", (address) => {
    const parsed = parseAddress(address);
    if ("refusal" in parsed) throw new TypeError(parsed.refusal);
    expect(hostRefusalOf(parsed.url, false)).toMatch(/^leads to/);
    expect(hostRefusalOf(parsed.url, true)).toBeUndefined();
  });

  it.each([
    [[{ prefix: "https://media.example.com" }, { prefix: "https://media.example.com/clips" }], /must end with a slash/],
    [[{ prefix: "https://media.example.com/?a=/" }], /must end with a slash/],
    [[{ prefix: "http://media.example.com/" }], /must be https/],
    [[{ prefix: "http://media.example.com/", privateAddresses: true }], /must begin with https/],
    [[{ prefix: "https://media.example.com/", private: true }], /private/],
    [[{ prefix: "https://user:word@media.example.com/" }], /user information/],
    [[{ prefix: "gs://bucket/" }], /none of/],
  ])("is not made of %j", (entries, reason) => {
    const result = schema.safeParse(entries);
    expect(JSON.stringify(result.error?.issues ?? "accepted")).toMatch(reason);
  });
});
