/**
 * How a report's page looks: one stylesheet without anything from elsewhere, light and dark by the reader's wish, for wide screens and phones.
 */

/** The stylesheet's text. */
export const pageStyle = `
:root {color-scheme: light dark;--back: #fff;--panel: #f6f7f9;--text: #1b1f24;--dim: #57606a;--line: #d5d9df;--accent: #0b5cad;--bar: #4a90d9;--part: #a9b4c0;--mean: #b3261e;--good: #1a7f37;--bad: #b3261e;--warn-back: #fff3cd;--warn-text: #5c4300;--warn-line: #e0b400;--ours: #e7f1fc;}
@media (prefers-color-scheme: dark) {:root {--back: #14171c;--panel: #1c2027;--text: #e4e7eb;--dim: #a2abb6;--line: #343b45;--accent: #82bdf7;--bar: #4f97dd;--part: #5b6673;--mean: #ff9a8f;--good: #6fd58b;--bad: #ff9a8f;--warn-back: #3a2f0b;--warn-text: #ffe08a;--warn-line: #a98200;--ours: #1d2f44;}}
* {box-sizing: border-box;}
body {margin: 0;background: var(--back);color: var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;}
header,main,footer {max-width: 1280px;margin: 0 auto;padding: 0 24px;}
h1 {font-size: 1.6rem;line-height: 1.25;margin: 28px 0 4px;overflow-wrap: anywhere;}
h2 {font-size: 1.2rem;margin: 40px 0 12px;padding-top: 8px;border-top: 1px solid var(--line);}
h3 {font-size: 1rem;margin: 0 0 4px;overflow-wrap: anywhere;}
p {margin: 8px 0;}
a {color: var(--accent);}
.facts {color: var(--dim);font-size: 0.875rem;font-weight: 400;}
.run-facts {display: grid;grid-template-columns: repeat(auto-fill, minmax(150px, 1fr));gap: 10px 18px;margin: 18px 0;}
.run-facts dt {color: var(--dim);font-size: 0.8rem;}
.run-facts dd {margin: 0;overflow-wrap: anywhere;}
.warnings {list-style: none;margin: 18px 0;padding: 0;display: grid;gap: 8px;}
.warnings li {background: var(--warn-back);color: var(--warn-text);border-left: 5px solid var(--warn-line);padding: 10px 14px;border-radius: 4px;font-weight: 600;}
nav ul {display: flex;flex-wrap: wrap;gap: 4px 18px;list-style: none;margin: 18px 0 0;padding: 0;}
.scroll {overflow-x: auto;border: 1px solid var(--line);border-radius: 6px;}
.scroll:focus-visible,button:focus-visible,a:focus-visible,summary:focus-visible,video:focus-visible {outline: 3px solid var(--accent);outline-offset: 2px;}
table {border-collapse: collapse;width: 100%;font-size: 0.9rem;}
th,td {padding: 7px 12px;text-align: left;border-bottom: 1px solid var(--line);vertical-align: top;}
tbody tr:last-child > * {border-bottom: 0;}
thead th {background: var(--panel);font-weight: 600;vertical-align: bottom;}
th[scope="row"] {font-weight: 500;}
.number {text-align: right;font-variant-numeric: tabular-nums;white-space: nowrap;}
thead th.number {white-space: normal;}
.ours > * {background: var(--ours);font-weight: 700;}
.sortable {white-space: nowrap;font-size: 0.84rem;}
.sortable th,.sortable td {padding: 5px 8px;}
.sortable thead th {white-space: normal;min-width: 4.4rem;}
.sortable th[scope="row"],.sortable thead th:first-child {position: sticky;left: 0;background: var(--back);z-index: 1;max-width: 15rem;overflow: hidden;text-overflow: ellipsis;}
.sortable thead th:first-child {background: var(--panel);}
.sortable button {all: unset;cursor: pointer;font-weight: 600;color: inherit;border-bottom: 1px dotted var(--dim);}
.sortable button::after {content: "";display: inline-block;width: 1em;text-align: center;}
.sortable [aria-sort="ascending"] button::after {content: "↑";}
.sortable [aria-sort="descending"] button::after {content: "↓";}
.missing {color: var(--dim);font-style: italic;}
.state.succeeded {color: var(--good);}
.state.failed {color: var(--bad);font-weight: 600;}
.state.cancelled,.state.open {color: var(--dim);}
.notes {color: var(--dim);font-size: 0.875rem;margin: 8px 0;padding-left: 20px;}
.totals {display: grid;grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));gap: 12px;margin: 12px 0;}
.totals div {background: var(--panel);border: 1px solid var(--line);border-radius: 6px;padding: 10px 14px;}
.totals dt {color: var(--dim);font-size: 0.85rem;}
.totals dd {margin: 0;font-size: 1.35rem;font-variant-numeric: tabular-nums;}
.plots {display: grid;grid-template-columns: repeat(auto-fill, minmax(270px, 1fr));gap: 16px;}
figure {margin: 12px 0;background: var(--panel);border: 1px solid var(--line);border-radius: 6px;padding: 10px;}
figcaption {font-size: 0.9rem;font-weight: 600;margin-bottom: 4px;}
figcaption .facts {display: block;}
.plot {display: block;width: 100%;height: auto;}
.wide {overflow-x: auto;}
.wide .plot {min-width: 620px;max-width: 900px;}
.plot text {fill: var(--dim);font-size: 11px;}
.plot .name {fill: var(--text);font-size: 12px;}
.grid {stroke: var(--line);stroke-width: 0.7;}
.axis {stroke: var(--dim);stroke-width: 1;}
.bar {fill: var(--bar);}
.bar-part {fill: var(--part);}
.mean {stroke: var(--mean);stroke-width: 1.6;stroke-dasharray: 4 3;}
.dot {fill: var(--bar);fill-opacity: 0.75;}
.whisker {stroke: currentColor;stroke-width: 3;stroke-linecap: round;}
.knob {fill: currentColor;}
.open {color: var(--dim);}
.better {color: var(--good);}
.worse {color: var(--bad);}
.cards {display: grid;grid-template-columns: repeat(auto-fill, minmax(330px, 1fr));gap: 18px;align-items: start;}
.card {background: var(--panel);border: 1px solid var(--line);border-radius: 8px;padding: 14px;scroll-margin-top: 12px;}
.card:target {border-color: var(--accent);box-shadow: 0 0 0 2px var(--accent);}
.card video,.card img {display: block;width: 100%;height: auto;border-radius: 4px;background: #000;}
.card video {aspect-ratio: 3/2;object-fit: contain;image-rendering: auto;}
.card details {margin: 8px 0;}
.card .facts {margin: 0 0 6px;}
summary {cursor: pointer;}
.tags {display: flex;flex-wrap: wrap;gap: 4px;margin: 4px 0 8px;}
.tag {border: 1px solid var(--line);border-radius: 10px;padding: 0 8px;font-size: 0.78rem;color: var(--dim);}
.texts {margin: 10px 0;font-size: 0.9rem;}
.texts dt {color: var(--dim);font-size: 0.8rem;}
.texts dd {margin: 0 0 8px;white-space: pre-wrap;overflow-wrap: anywhere;max-height: 9.5em;overflow: auto;}
.scores {display: grid;grid-template-columns: auto 1fr;gap: 2px 12px;font-size: 0.85rem;margin: 6px 0;}
.scores dd {margin: 0;text-align: right;overflow-wrap: anywhere;font-variant-numeric: tabular-nums;}
.failures {padding-left: 20px;}
.failures li {margin: 4px 0;overflow-wrap: anywhere;}
.note {color: var(--dim);font-style: italic;}
footer {color: var(--dim);font-size: 0.85rem;margin-top: 48px;margin-bottom: 32px;border-top: 1px solid var(--line);padding-top: 12px;}
.hidden {position: absolute;width: 1px;height: 1px;overflow: hidden;clip-path: inset(50%);white-space: nowrap;}
.ours > th[scope="row"] {font-weight: 700;}
.plots figure {margin: 0;}
@media (max-width: 640px) {header,main,footer {padding: 0 14px;}h1 {font-size: 1.3rem;}th,td {padding: 6px 9px;}.cards {grid-template-columns: 1fr;}.sortable th[scope="row"],.sortable thead th:first-child {max-width: 9.5rem;}}
@media print {.scroll {overflow: visible;}nav,video {display: none;}}
`;
