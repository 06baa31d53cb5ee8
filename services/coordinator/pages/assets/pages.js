// What pages gain where scripts run: parts that stay fresh without a reload, live steps, copying of commands. Nothing here is needed to
// read a page.
//
// A page names how it stays fresh: `data-watch` is the address of a job's events, `data-refresh-ms` a period. Fresh parts come from the
// page itself: it is fetched again and its `data-fragment` elements replace those that differ. What has the focus keeps it, and media that
// plays goes on, because its part is replaced only when its version changes.

const announcer = document.querySelector("#announcer");
const liveState = document.querySelector("#live-state");
const settleMs = 150;
const minRefreshMs = 1_000;

const say = (element, text) => {
  if (element !== null && element.textContent !== text) element.textContent = text;
};

// Parts that differ

const isSame = (old, fresh) =>
  old.dataset.fragment === "" ? old.innerHTML === fresh.innerHTML : old.dataset.fragment === fresh.dataset.fragment;

const focusPath = (part) => {
  const active = document.activeElement;
  if (active === null || !part.contains(active)) return undefined;
  const all = [...part.querySelectorAll(active.tagName)];
  const href = active.getAttribute("href");
  return { tag: active.tagName, href, index: all.indexOf(active) };
};

const restoreFocus = (part, { tag, href, index }) => {
  const all = [...part.querySelectorAll(tag)];
  const found = (href !== null && all.find((one) => one.getAttribute("href") === href)) || all[index];
  found?.focus({ preventScroll: true });
};

const scrollsOf = (part) => [...part.querySelectorAll(".scroll")].map((one) => one.scrollLeft);

const replace = (old, fresh) => {
  if (isSame(old, fresh)) return;
  const focused = focusPath(old);
  const scrolls = scrollsOf(old);
  old.replaceWith(fresh);
  [...fresh.querySelectorAll(".scroll")].forEach((one, index) => (one.scrollLeft = scrolls[index] ?? 0));
  if (focused !== undefined) restoreFocus(fresh, focused);
};

const stateWord = () => document.querySelector("#state .badge")?.textContent ?? "";

const refreshOnce = async () => {
  const response = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
  if (!response.ok) return false;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  const before = stateWord();
  for (const old of document.querySelectorAll("[data-fragment]")) {
    const part = fresh.getElementById(old.id);
    if (part !== null) replace(old, document.adoptNode(part));
  }
  const after = stateWord();
  if (before !== after && after !== "") say(announcer, `Now ${after}`);
  const asOf = fresh.querySelector("footer time");
  if (asOf !== null) document.querySelector("footer time")?.replaceWith(document.adoptNode(asOf));
  return true;
};

let running;
let again = false;
let isOver = false;

// One look at a time; what is asked for meanwhile is one look more.
const refresh = async () => {
  if (running !== undefined) {
    again = true;
    return running;
  }
  running = refreshOnce().catch(() => false);
  const isFresh = await running;
  running = undefined;
  say(liveState, isOver ? "" : isFresh ? "Updates by itself." : "Updates are interrupted; trying again.");
  if (again) {
    again = false;
    setTimeout(() => void refresh(), minRefreshMs);
  }
  return isFresh;
};

// By period

const refreshMs = Number(document.body.dataset.refreshMs ?? 0);
if (refreshMs > 0) {
  say(liveState, "Updates by itself.");
  const look = () => {
    if (!document.hidden && !document.querySelector("form.filters:focus-within")) void refresh();
  };
  setInterval(look, Math.max(refreshMs, minRefreshMs));
  document.addEventListener("visibilitychange", look);
}

// By a job's events

const progressWords = ({ phase, step = 0, steps = 0, remainingMs = 0 }) => {
  const left = remainingMs > 0 ? ` ≈ ${Math.max(1, Math.round(remainingMs / 1000))} s` : "";
  return { text: steps > 0 ? ` ${step}/${steps}` : (phase ?? ""), left };
};

const showProgress = (progress) => {
  const cell = document.querySelector(`[data-progress="${CSS.escape(String(progress.taskId))}"]`);
  if (cell === null) return;
  const { text, left } = progressWords(progress);
  let bar = cell.querySelector("progress");
  if ((progress.steps ?? 0) > 0) {
    if (bar === null) {
      bar = document.createElement("progress");
      bar.setAttribute("aria-label", `Steps of ${progress.stage}`);
    }
    bar.max = progress.steps;
    bar.value = progress.step ?? 0;
  }
  const count = document.createElement("span");
  count.className = "count";
  count.textContent = text;
  const rest = document.createElement("small");
  rest.textContent = left;
  cell.replaceChildren(...(bar === null ? [] : [bar]), count, rest);
};

const watchAddress = document.body.dataset.watch;
if (watchAddress !== undefined) {
  const source = new EventSource(watchAddress);
  let timer;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => void refresh(), settleMs);
  };
  source.addEventListener("open", () => say(liveState, "Updates by itself."));
  source.addEventListener("event", soon);
  source.addEventListener("progress", ({ data }) => showProgress(JSON.parse(data)));
  source.addEventListener("end", () => {
    source.close();
    isOver = true;
    soon();
  });
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.OPEN) say(liveState, "Updates are interrupted; trying again.");
  });
  addEventListener("pagehide", () => source.close());
}

// Commands to copy

const copyButton = (code) => {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy ${code.textContent}`);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent ?? "");
      button.textContent = "Copied";
      say(announcer, "Copied");
    } catch {
      getSelection()?.selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 2_000);
  });
  return button;
};

if (typeof navigator.clipboard !== "undefined") {
  for (const code of document.querySelectorAll("[data-copy]")) code.after(copyButton(code));
}
