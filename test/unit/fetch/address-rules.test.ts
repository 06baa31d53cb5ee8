import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { specialRangeOf } from "../../../services/platform/fetch/address-rules.ts";

const publicAddresses = [
  "1.1.1.1",
  "8.8.8.8",
  "172.15.255.255",
  "172.32.0.1",
  "192.167.1.1",
  "100.63.255.255",
  "100.128.0.1",
  "169.253.1.1",
];
const publicAddresses6 = ["2606:4700:4700::1111", "2a00:1450:4001:82b::200e", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "64:ff9b::808:808"];

describe("the range of an address", () => {
  it.each([...publicAddresses, ...publicAddresses6])("finds %s public", (address) => {
    expect(specialRangeOf(address)).toBeUndefined();
  });

  it.each([
    ["0.0.0.0", "unspecified"],
    ["0.1.2.3", "unspecified"],
    ["127.0.0.1", "loopback"],
    ["127.255.255.254", "loopback"],
    ["10.0.0.1", "private"],
    ["172.16.0.1", "private"],
    ["172.31.255.255", "private"],
    ["192.168.1.1", "private"],
    ["169.254.169.254", "linkLocal"],
    ["100.64.0.1", "carrierGradeNat"],
    ["100.127.255.255", "carrierGradeNat"],
    ["224.0.0.1", "multicast"],
    ["239.255.255.255", "multicast"],
    ["255.255.255.255", "broadcast"],
    ["240.0.0.1", "reserved"],
    ["192.0.0.1", "reserved"],
    ["192.0.2.1", "reserved"],
    ["198.18.0.1", "reserved"],
    ["198.51.100.1", "reserved"],
    ["203.0.113.1", "reserved"],
    ["192.88.99.1", "reserved"],
    ["::", "unspecified"],
    ["::1", "loopback"],
    ["::ffff:127.0.0.1", "loopback"],
    ["::ffff:7f00:1", "loopback"],
    ["::ffff:a9fe:a9fe", "linkLocal"],
    ["64:ff9b::127.0.0.1", "loopback"],
    ["64:ff9b::a9fe:a9fe", "linkLocal"],
    ["64:ff9b::10.0.0.1", "private"],
    ["64:ff9b:1::8.8.8.8", "rfc6052"],
    ["fe80::1", "linkLocal"],
    ["fe80::1%eth0", "linkLocal"],
    ["fc00::1", "uniqueLocal"],
    ["fd00:ec2::254", "uniqueLocal"],
    ["fec0::1", "deprecatedSiteLocal"],
    ["ff02::1", "multicast"],
    ["2001:db8::1", "reserved"],
    ["2002:7f00:1::", "6to4"],
    ["2001:0:7f00:1::", "teredo"],
    ["::127.0.0.1", "loopback"],
    ["::7f00:1", "reserved"],
    ["::ffff:0:127.0.0.1", "rfc6145"],
    ["100::1", "discard"],
    ["5f00::1", "segmentRouting"],
    ["4000::1", "reserved"],
    ["e000::1", "reserved"],
  ])("finds %s %s", (address, range) => {
    expect(specialRangeOf(address)).toBe(range);
  });

  it.each(["", "localhost", "1.2.3.4.5", "1::2::3", "256.1.1.1"])("takes %j for no address", (text) => {
    expect(specialRangeOf(text)).toBe("no IP address");
  });

  it("says of an IPv4 address what it says of its mapped and translated forms", () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(specialRangeOf(`::ffff:${address}`)).toBe(specialRangeOf(address));
        expect(specialRangeOf(`64:ff9b::${address}`)).toBe(specialRangeOf(address));
      }),
    );
  });
});
