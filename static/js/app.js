// What the pages do beyond HTML: they work without it, and are more convenient with it.
(() => {
  "use strict";
  const LONGEST_PAUSE_MS = 30000;

  // --- times in the reader's own zone -----------------------------------------------------------------------------
  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const seconds = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

  function ago(age) {
    for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
      if (age >= length) return `${Math.floor(age / length)}\u00a0${unit} ago`;
    }
    return `${Math.max(Math.floor(age), 0)}\u00a0s ago`;
  }

  function showTimes(root) {
    for (const time of root.querySelectorAll("time[data-local], time[data-ago]")) {
      const at = new Date(time.dateTime);
      time.textContent = "ago" in time.dataset ? ago((Date.now() - at) / 1000) : (time.dataset.local === "seconds" ? seconds : local).format(at);
      time.title = `${exact.format(at)} (${time.dateTime})`;
    }
  }

  // --- copying ----------------------------------------------------------------------------------------------------
  function showButtons(root) {
    for (const button of root.querySelectorAll("[data-copy], [data-theme-switch]")) button.hidden = false;
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const text = document.getElementById(button.dataset.copy).textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(document.getElementById(button.dataset.copy));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });

  // --- theme ------------------------------------------------------------------------------------------------------
  const themes = { "": "dark", dark: "light", light: "" };
  const words = { "": "Theme: system", dark: "Theme: dark", light: "Theme: light" };
  const chooser = document.querySelector("[data-theme-switch]");
  const theme = () => document.documentElement.dataset.theme || "";
  if (chooser) {
    chooser.textContent = words[theme()];
    chooser.addEventListener("click", () => {
      const next = themes[theme()];
      if (next) {
        document.documentElement.dataset.theme = next;
        localStorage.setItem("theme", next);
      } else {
        delete document.documentElement.dataset.theme;
        localStorage.removeItem("theme");
      }
      chooser.textContent = words[next];
    });
  }

  // --- live parts -------------------------------------------------------------------------------------------------
  // A part asks for its next state a while after it got this one, never while the tab is hidden, and less often while
  // nobody answers. It stops by itself: what the server sends at the end of a run asks for nothing.
  let timer = 0;
  let failures = 0;

  function schedule() {
    clearTimeout(timer);
    const part = document.querySelector("[data-poll]");
    if (!part || document.hidden) return;
    const pause = Math.min(Number(part.dataset.poll) * 2 ** failures, LONGEST_PAUSE_MS);
    timer = setTimeout(() => htmx.trigger(part, "poll"), pause);
  }

  function answered(ok) {
    failures = ok ? 0 : failures + 1;
    document.getElementById("offline").hidden = ok;
    schedule();
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    const part = document.querySelector("[data-poll]");
    if (part && !document.hidden) htmx.trigger(part, "poll");
  });

  let scrolled = new Map();
  let opened = [];
  document.addEventListener("htmx:beforeSwap", () => {
    opened = [...document.querySelectorAll("details[id][open]")].map((part) => part.id);
    scrolled = new Map([...document.querySelectorAll(".scroll[id]")].map((box) => [box.id, [box.scrollLeft, box.scrollTop]]));
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const [id, [left, top]] of scrolled) {
      const box = document.getElementById(id);
      if (box) [box.scrollLeft, box.scrollTop] = [left, top];
    }
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    showTimes(document);
    showButtons(document);
    document.querySelector("#seen [data-focus]")?.focus();
  });
  document.addEventListener("htmx:afterSettle", () => answered(true));
  document.addEventListener("htmx:responseError", () => answered(false));
  document.addEventListener("htmx:sendError", () => answered(false));

  // --- forms and keys ---------------------------------------------------------------------------------------------
  document.addEventListener("submit", (event) => {
    // A moment later: a disabled button would not say which one it was.
    setTimeout(() => { for (const button of event.target.querySelectorAll("button")) button.disabled = true; }, 0);
    const word = event.target.dataset.busy;
    if (word && event.submitter) event.submitter.textContent = word;
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) for (const button of document.querySelectorAll("form button")) button.disabled = false;
  });

  // A fault's line leads to that line of the text.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-line]");
    const box = link && document.querySelector(link.hash);
    if (!box) return;
    event.preventDefault();
    const before = box.value.split("\n").slice(0, Number(link.dataset.line) - 1).join("\n");
    const start = before ? before.length + 1 : 0;
    const end = box.value.indexOf("\n", start);
    box.focus();
    box.setSelectionRange(start, end < 0 ? box.value.length : end);
    box.scrollTop = (box.scrollHeight / box.value.split("\n").length) * Math.max(Number(link.dataset.line) - 4, 0);
  });

  // A menu closes when one is done with it.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const menu of document.querySelectorAll(".menu[open]")) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    }
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, textarea, select")) return;
    const search = document.querySelector("input[type=search]");
    if (search) {
      event.preventDefault();
      search.focus();
    }
  });

  showTimes(document);
  showButtons(document);
  setInterval(() => showTimes(document), 20000);
  document.querySelector("[data-focus]")?.focus();
  schedule();
})();
