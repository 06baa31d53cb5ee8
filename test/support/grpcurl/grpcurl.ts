/**
 * `grpcurl` for machines that have none: the flags that the README uses, carried out by `buf curl`, which speaks the same protocol, asks
 * by reflection too, and takes and prints the same JSON. Anything else is refused, so that an example cannot pass by being ignored.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const buf = join(import.meta.dirname, "../../../node_modules/.bin/buf");

function refuse(what: string): never {
  process.stderr.write(`this stand-in for grpcurl does not know ${what}\n`);
  process.exit(64);
}

type Asked = { readonly passed: readonly string[]; readonly words: readonly string[]; readonly isPlaintext: boolean };

function readArguments(args: readonly string[]): Asked {
  const passed: string[] = [];
  const words: string[] = [];
  let isPlaintext = false;
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "-plaintext") isPlaintext = true;
    else if (arg === "-d" || arg === "-H") passed.push(arg, rest.shift() ?? refuse(`${arg} without a value`));
    else if (arg.startsWith("-")) refuse(arg);
    else words.push(arg);
  }
  return { passed, words, isPlaintext };
}

function bufArguments({ passed, words, isPlaintext }: Asked): readonly string[] {
  const [address, verb, ...more] = words;
  if (!isPlaintext || address === undefined || verb === undefined || more.length > 0) return refuse(words.join(" "));
  const common = ["curl", "--protocol", "grpc", "--http2-prior-knowledge"];
  if (verb === "list") return [...common, "--list-services", `http://${address}`];
  if (!verb.includes("/")) return refuse(verb);
  return [...common, ...passed, `http://${address}/${verb}`];
}

const run = spawnSync(buf, bufArguments(readArguments(process.argv.slice(2))), { stdio: "inherit" });
process.exitCode = run.status ?? 1;
