/**
 * The one script of a report's page: headers of the clip table sort it. Everything reads without it.
 *
 * Missing values stand last in both directions; equal ones keep the order of the run. The page's policy lets this text run and no other.
 */

/** Plain script, as it stands in the page. */
export const pageScript = `
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const valueOf = (row, column, how) => {
    const text = row.cells[column].dataset.sort ?? "";
    return text === "" ? undefined : how === "number" ? Number(text) : text;
  };
  const compare = (left, right) => (typeof left === "number" ? left - right : left.localeCompare(right, undefined, { numeric: true }));
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const isAscending = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", isAscending ? "ascending" : "descending");
      const keyed = rows.map((row) => ({ row, value: valueOf(row, column, head.dataset.how) }));
      const told = keyed.filter(({ value }) => value !== undefined);
      told.sort((a, b) => (isAscending ? compare(a.value, b.value) : compare(b.value, a.value)));
      body.append(...told.map(({ row }) => row), ...keyed.filter(({ value }) => value === undefined).map(({ row }) => row));
    });
  });
}
`;
