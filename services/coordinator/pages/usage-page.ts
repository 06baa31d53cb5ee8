/**
 * What attempts cost, added up by what the visitor chooses.
 */
import { type GetUsageResponse, UsageKey, type UsageRow } from "../../gen/proto/vapfarm/v1/operator.ts";
import { usageKeyWord } from "../../platform/words.ts";
import { costText } from "../../platform/money-text.ts";
import { type Content, type Html, html } from "../../platform/html.ts";
import { linkTo, type Page, type Visit } from "./page.ts";
import { fragment, section, table } from "./parts.ts";
import { duration, valuesOf } from "./words.ts";

const periods = { "1": "the last day", "7": "the last 7 days", "30": "the last 30 days", "90": "the last 90 days" } as const;
const dayMs = 86_400_000;
const defaultDays = "30";

/** `/usage` */
export async function usagePage({ reader, root, query, now }: Visit): Promise<Page> {
  const words = query.getAll("by");
  const chosen = valuesOf(UsageKey).filter((key) => words.includes(usageKeyWord(key)));
  const groupBy = query.has("days") || words.length > 0 ? chosen : [UsageKey.USAGE_KEY_STAGE];
  const days = query.get("days") ?? defaultDays;
  const known = Object.hasOwn(periods, days) ? days : defaultDays;
  const from = new Date(now.getTime() - Number(known) * dayMs);
  const usage = await reader.usage({ groupBy: [...groupBy], from });
  const body = html`<h1>Usage</h1>
    ${usageForm({ root, groupBy, days: known })}
    ${fragment("usage", html`${section("rows-title", periods[known as keyof typeof periods].replace(/^t/, "T"), usageTable(usage, groupBy))}`)}`;
  return { title: "Usage", section: "usage", body };
}

type Choice = { readonly root: string; readonly groupBy: readonly UsageKey[]; readonly days: string };

function usageForm({ root, groupBy, days }: Choice): Html {
  const keys = valuesOf(UsageKey).map((key) => {
    const word = usageKeyWord(key);
    return html`<label class="check"
      ><input type="checkbox" name="by" value="${word}" ${groupBy.includes(key) && html` checked`} /> ${word}</label
    >`;
  });
  const options = Object.entries(periods).map(
    ([value, name]) => html`<option value="${value}" ${value === days && html` selected`}>${name}</option>`,
  );
  return html`<form class="filters" method="get" action="${linkTo(root, ["usage"])}" aria-label="Choose usage">
    <fieldset>
      <legend>Add up by</legend>
      ${keys}
    </fieldset>
    <label
      >Over
      <select name="days">
        ${options}
      </select></label
    >
    <div class="actions"><button>Apply</button></div>
  </form>`;
}

const numbers = ["Cost", "Attempts", "Device", "Compute", "Load", "Fetch", "Finish", "Wasted"] as const;

function usageTable({ rows, total }: GetUsageResponse, groupBy: readonly UsageKey[]): Html {
  const heads = groupBy.map((key) => ({ title: usageKeyWord(key), isRowHead: true }));
  const shown = rows.map((row) => ({ cells: [...row.keys, ...numberCells(row)] }));
  const all = total === undefined || rows.length === 0 || groupBy.length === 0 ? [] : [totalRow(total, groupBy.length)];
  return table({
    caption: "Usage",
    columns: [...heads, ...numbers.map((title) => ({ title, isNumber: true }))],
    rows: [...shown, ...all],
    empty: "No attempt ended in this time.",
  });
}

function totalRow(total: UsageRow, keys: number): { readonly cells: readonly Content[] } {
  return { cells: ["All", ...Array.from({ length: keys - 1 }, () => ""), ...numberCells(total)] };
}

function numberCells(row: UsageRow): readonly Content[] {
  const times = [row.deviceMs, row.computeMs, row.loadMs, row.fetchMs, row.finishMs, row.wastedDeviceMs];
  const cost = costText(row.cost);
  return [
    cost === "" ? html`<span class="none">–</span>` : cost,
    row.attempts,
    ...times.map((ms) => (ms === 0 ? html`<span class="none">0</span>` : duration(ms))),
  ];
}
