/**
 * Which IP addresses are the public Internet's: pure classification, no look-up.
 *
 * Whatever leads into the machine, its network or its cloud's metadata is not public: loopback, link-local (169.254.169.254), private,
 * shared (CGNAT), unique local (fd00:ec2::254), multicast, unspecified, reserved and documentation ranges, and every form of IPv6 that
 * carries such an IPv4 address. Of IPv6 only 2000::/3 is public, so that ranges unknown today are refused.
 */
import ipaddr from "ipaddr.js";

const globalUnicast = ipaddr.IPv6.parse("2000::");
const nat64 = ipaddr.IPv6.parse("64:ff9b::");

/** Undefined for a public address; otherwise the kind of address that it is, for messages. */
export function specialRangeOf(address: string): string | undefined {
  if (!ipaddr.isValid(address)) return "no IP address";
  const parsed = ipaddr.parse(address);
  return parsed instanceof ipaddr.IPv4 ? rangeOfIPv4(parsed) : rangeOfIPv6(parsed);
}

function rangeOfIPv4(address: ipaddr.IPv4): string | undefined {
  const range = address.range();
  return range === "unicast" ? undefined : range;
}

function rangeOfIPv6(address: ipaddr.IPv6): string | undefined {
  if (address.isIPv4MappedAddress()) return rangeOfIPv4(address.toIPv4Address());
  // What a NAT64 gateway turns into IPv4: as public as that is.
  if (address.match(nat64, 96)) return rangeOfIPv4(new ipaddr.IPv4(address.toByteArray().slice(12)));
  const range = address.range();
  if (range !== "unicast") return range;
  return address.match(globalUnicast, 3) ? undefined : "reserved";
}
