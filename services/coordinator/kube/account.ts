/**
 * The service account: whose requests these are, and whom they trust.
 *
 * The kubelet writes a new token long before the old one ends, so the file is read again each minute, and at once when the API refused the one
 * that is known. The certificate is read again with it; connections are shared until it changes.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { KubeConfig, type RequestContext, type SecurityAuthentication } from "@kubernetes/client-node";
import { toFarmError } from "../../domain/errors.ts";

export type AccountOptions = {
  /** `https://host:port`. */
  readonly server: string;
  /** With `token` and `ca.crt`, as the kubelet mounts it. */
  readonly folder: string;
  /** Monotonic, in ms. */
  readonly clock: () => number;
};

export type Account = SecurityAuthentication & {
  /** The API refused the token: the next request reads it anew. */
  refuse(): void;
};

const rereadMs = 60_000;

type Known = { readonly token: string; readonly certificate: string; readonly config: KubeConfig; readonly atMs: number };
type Dispatcher = ReturnType<RequestContext["getDispatcher"]>;

/** Reads nothing before the first request. */
export function createAccount(options: AccountOptions): Account {
  let known: Known | undefined;
  let dispatcher: Dispatcher;
  const current = async (): Promise<Known> => {
    if (known !== undefined && options.clock() - known.atMs < rereadMs) return known;
    const read = await readAccount(options);
    if (read.certificate !== known?.certificate) dispatcher = undefined;
    known = { ...read, atMs: options.clock() };
    return known;
  };
  return {
    getName: () => "service account",
    refuse() {
      known = undefined;
    },
    async applySecurityAuthentication(context) {
      const { token, config } = await current();
      if (dispatcher === undefined) {
        await config.applySecurityAuthentication(context);
        dispatcher = context.getDispatcher();
      } else {
        context.setDispatcher(dispatcher);
      }
      context.setHeaderParam("Authorization", `Bearer ${token}`);
    },
  };
}

async function readAccount({ server, folder }: AccountOptions): Promise<Omit<Known, "atMs">> {
  try {
    const [token, certificate] = await Promise.all([readFile(join(folder, "token"), "utf8"), readFile(join(folder, "ca.crt"), "utf8")]);
    const cluster = {
      name: "farm",
      server,
      caData: Buffer.from(certificate).toString("base64"),
      // Plain HTTP is what `kubectl proxy` speaks; the package wants that said.
      skipTLSVerify: server.startsWith("http:"),
    };
    const config = new KubeConfig();
    config.loadFromOptions({
      clusters: [cluster],
      users: [{ name: "farm" }],
      contexts: [{ name: "farm", cluster: "farm", user: "farm" }],
      currentContext: "farm",
    });
    return { token: token.trim(), certificate, config };
  } catch (thrown) {
    throw toFarmError(thrown, "KUBERNETES_REFUSED");
  }
}
