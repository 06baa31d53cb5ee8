/**
 * The form of a webhook: an address and the key that its messages are signed with (Standard Webhooks).
 *
 * Pure. Which addresses the operator allows is judged elsewhere; nothing here repeats the secret.
 */
import { violation, type Violations } from "./field-rules.ts";
import type { WebhookRequest } from "./render-request.ts";

const maxUrlCharacters = 2_048;
const secretPrefix = "whsec_";
const minKeyBytes = 24;
const maxKeyBytes = 64;

/** What is wrong with a webhook as it is written. */
export function webhookRule({ url, secret }: WebhookRequest): Violations {
  const found = isWebAddress(url) ? [] : [violation("webhook.url", "is no https:// address", "give one such as https://example.com/done")];
  if (webhookKeyOf(secret) !== undefined) return found;
  const reason = `is not ${secretPrefix} and the base64 of ${minKeyBytes} to ${maxKeyBytes} bytes`;
  return [...found, violation("webhook.secret", reason, "draw such a key at random, e.g. with openssl rand -base64 32")];
}

/** The key's bytes as canonical base64; undefined when the secret has another form. */
export function webhookKeyOf(secret: string): string | undefined {
  if (!secret.startsWith(secretPrefix)) return undefined;
  const base64 = secret.slice(secretPrefix.length);
  if (base64.length > 2 * maxKeyBytes || !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/.test(base64)) {
    return undefined;
  }
  const digits = base64.replace(/=+$/, "");
  const bytes = Math.floor((digits.length * 3) / 4);
  return bytes >= minKeyBytes && bytes <= maxKeyBytes ? digits.padEnd(Math.ceil(digits.length / 4) * 4, "=") : undefined;
}

/** `http://` may be allowed by the operator, who is asked later: here it is an address like another. */
function isWebAddress(url: string): boolean {
  if (url.length > maxUrlCharacters || !/^https?:\/\/[^\s\0]+$/.test(url) || !url.isWellFormed() || !URL.canParse(url)) return false;
  const { username, password } = new URL(url);
  return username === "" && password === "";
}
