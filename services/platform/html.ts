/**
 * Markup as values: a tagged template that escapes everything it is given, save for markup that it made itself.
 *
 * Invariant: text becomes markup here alone and only by escaping, so nothing that a client sent (prompts, names, messages) can be more
 * than text. Characters that XML forbids are shown as U+FFFD. Attribute values are written in double quotes in every template.
 */

/** Markup that is safe to send; made by `html` only. */
export class Html {
  readonly #markup: string;

  private constructor(markup: string) {
    this.#markup = markup;
  }

  /** The markup's text. */
  toString(): string {
    return this.#markup;
  }

  /** Puts a template together, its values escaped. */
  static join(literals: readonly string[], values: readonly Content[]): Html {
    return new Html(literals.map((literal, index) => literal + (index < values.length ? textOf(values[index]) : "")).join(""));
  }
}

/** What a template takes: nothing (also `false`, for conditions), text, numbers, markup, or a list of these. */
export type Content = Html | string | number | bigint | false | undefined | readonly Content[];

/** A template of markup. */
export function html(literals: TemplateStringsArray, ...values: readonly Content[]): Html {
  return Html.join(literals, values);
}

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Text as it may stand in an element or in a quoted attribute. */
export function escapeText(text: string): string {
  return text
    .toWellFormed()
    .replace(/(?![\t\n\r])\p{Cc}|[\uFFFE\uFFFF]/gu, "\uFFFD")
    .replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

function textOf(value: Content): string {
  if (value === undefined || value === false) return "";
  if (value instanceof Html) return value.toString();
  if (typeof value === "string") return escapeText(value);
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  return value.map(textOf).join("");
}
