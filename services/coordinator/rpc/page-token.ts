/**
 * Page tokens: where the next page begins, tied to the question that the page answered.
 *
 * Opaque to clients: base64url of JSON with a cursor and a digest over cursor and question. A token that was altered, cut, or given with
 * another question or method does not fit its digest and is FIELD_INVALID. The digest is no signature: a cursor grants nothing, and its
 * form is checked by whoever reads it.
 */
import { createHash } from "node:crypto";
import { FarmError } from "../../domain/errors.ts";
import { type RuleViolation, violation } from "../../domain/field-rules.ts";

/** What a page is one of: method, scope and the other fields of the request, as something that JSON can hold. */
export type PageQuestion = readonly unknown[];

const maxTokenCharacters = 1_024;

/** The token of the page that begins at the cursor. */
export function pageTokenOf(cursor: unknown, question: PageQuestion): string {
  return Buffer.from(JSON.stringify([cursor, digestOf(cursor, question)])).toString("base64url");
}

/** The cursor of a token that fits the question; undefined for every other token. */
export function readPageToken(token: string, question: PageQuestion): unknown {
  const parsed = parse(token);
  if (!Array.isArray(parsed) || parsed.length !== 2) return undefined;
  const [cursor] = parsed as [unknown, unknown];
  return pageTokenOf(cursor, question) === token ? cursor : undefined;
}

/** That a token is none of this question's. */
export function badToken(): RuleViolation {
  const remedy = "give next_page_token as it was answered, with the other fields unchanged, or begin again without one";
  return violation("page_token", "is no token of a page of this list", remedy);
}

function parse(token: string): unknown {
  if (token.length > maxTokenCharacters || !/^[A-Za-z0-9_-]+$/.test(token)) return undefined;
  try {
    return JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return undefined;
    throw new FarmError("INTERNAL", { cause: thrown });
  }
}

function digestOf(cursor: unknown, question: PageQuestion): string {
  return createHash("sha256")
    .update(JSON.stringify([cursor, question]))
    .digest("base64url")
    .slice(0, 22);
}
