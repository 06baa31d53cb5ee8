/**
 * RFC 4180's text → cells that know where they stand.
 *
 * Strict where guessing would change what a cell says: a quote inside a plain cell, text after a closing quote and a quote without an end
 * are faults. CRLF, LF and a lone CR end a record; a byte order mark is passed over; a record that is one empty, unquoted cell is a blank
 * line. Columns count UTF-16 units of the line that a cell begins on, as editors do; lines count every line break, also inside quotes.
 */

/** One field of a record, quotes taken off. */
export type CsvCell = { readonly text: string; readonly line: number; readonly column: number };

/** One record; `line` is where it begins. */
export type CsvRecord = { readonly line: number; readonly cells: readonly CsvCell[] };

/** What is no CSV; reading went on after it as well as it could. */
export type CsvFault = { readonly line: number; readonly column: number; readonly reason: string; readonly expected: string };

/** Everything of a file. */
export type CsvReading = { readonly records: readonly CsvRecord[]; readonly faults: readonly CsvFault[] };

/** Reads a whole file's text. */
export function readCsv(text: string): CsvReading {
  return new CsvReader(text).read();
}

const quote = '"';

class CsvReader {
  readonly #text: string;
  readonly #records: CsvRecord[] = [];
  readonly #faults: CsvFault[] = [];
  #at = 0;
  #line = 1;
  #lineStart = 0;

  constructor(text: string) {
    this.#text = text;
    if (text.startsWith("\uFEFF")) this.#at = this.#lineStart = 1;
  }

  read(): CsvReading {
    while (this.#at < this.#text.length) this.#readRecord();
    return { records: this.#records, faults: this.#faults };
  }

  #readRecord(): void {
    const line = this.#line;
    const start = this.#at;
    const cells = [this.#readCell()];
    while (this.#text[this.#at] === ",") {
      this.#at += 1;
      cells.push(this.#readCell());
    }
    const isBlank = this.#at === start;
    this.#breakLine();
    if (!isBlank) this.#records.push({ line, cells });
  }

  #readCell(): CsvCell {
    const place = this.#place();
    return { ...place, text: this.#text[this.#at] === quote ? this.#readQuoted() : this.#readPlain() };
  }

  #place(): { readonly line: number; readonly column: number } {
    return { line: this.#line, column: this.#at - this.#lineStart + 1 };
  }

  #readPlain(): string {
    const start = this.#at;
    while (this.#at < this.#text.length && !isCellEnd(this.#text[this.#at])) this.#at += 1;
    const text = this.#text.slice(start, this.#at);
    const inside = text.indexOf(quote);
    if (inside >= 0) {
      const column = start + inside - this.#lineStart + 1;
      this.#fault(
        { line: this.#line, column },
        "a quote stands inside a cell without quotes",
        'the whole cell in quotes, and "" for each quote in it',
      );
    }
    return text;
  }

  #readQuoted(): string {
    const opening = this.#place();
    this.#at += 1;
    let text = "";
    for (;;) {
      const start = this.#at;
      this.#skipTo(quote);
      text += this.#text.slice(start, this.#at);
      if (this.#at >= this.#text.length) {
        this.#fault(opening, "the quote that opens here is never closed", 'a closing quote, and "" for each quote inside');
        return text;
      }
      this.#at += 1;
      if (this.#text[this.#at] !== quote) break;
      text += quote;
      this.#at += 1;
    }
    return text + this.#afterQuote();
  }

  /** What follows a closing quote must end the cell; what does not is kept, and told. */
  #afterQuote(): string {
    const start = this.#at;
    const place = this.#place();
    while (this.#at < this.#text.length && !isCellEnd(this.#text[this.#at])) this.#at += 1;
    if (this.#at > start)
      this.#fault(place, "text stands after a closing quote", 'a comma or the end of the line, and "" for each quote inside');
    return this.#text.slice(start, this.#at);
  }

  /** To the next such character, counting lines on the way. */
  #skipTo(character: string): void {
    while (this.#at < this.#text.length && this.#text[this.#at] !== character) {
      if (!this.#breakLine()) this.#at += 1;
    }
  }

  /** Goes over one line break, if one is here. */
  #breakLine(): boolean {
    const here = this.#text[this.#at];
    if (here !== "\n" && here !== "\r") return false;
    this.#at += here === "\r" && this.#text[this.#at + 1] === "\n" ? 2 : 1;
    this.#line += 1;
    this.#lineStart = this.#at;
    return true;
  }

  #fault(place: { readonly line: number; readonly column: number }, reason: string, expected: string): void {
    this.#faults.push({ ...place, reason, expected });
  }
}

function isCellEnd(character: string | undefined): boolean {
  return character === "," || character === "\n" || character === "\r";
}

/** A cell as RFC 4180 writes it: in quotes where it must be. */
export function csvCell(text: string): string {
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll(quote, '""')}"` : text;
}

/** Records as RFC 4180 writes them; each line ends with CRLF. A record of one empty cell is written in quotes, since it is no blank line. */
export function writeCsv(records: readonly (readonly string[])[]): string {
  return records
    .map((cells) => (cells.length === 1 && cells[0] === "" ? '""' : cells.map(csvCell).join(",")))
    .map((line) => `${line}\r\n`)
    .join("");
}
