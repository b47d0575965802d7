// The page works without this script. It shows times in the zone of the browser, counts ages, and
// loads the page again when the relay says that something has changed.
"use strict";
(() => {
  const zh = document.documentElement.lang.startsWith("zh");
  const units = zh ? ["天", "小时", "分", "秒"] : ["d", "h", "min", "s"];
  const sizes = [86400, 3600, 60, 1];

  function span(seconds) {
    let s = Math.round(Math.abs(seconds));
    for (let i = 0; i < 4; i++) {
      if (s < sizes[i] && i < 3) continue;
      const n = Math.floor(s / sizes[i]);
      let text = n + " " + units[i];
      const rest = i < 3 ? Math.floor((s - n * sizes[i]) / sizes[i + 1]) : 0;
      if (rest > 0 && n < 10) text += " " + rest + " " + units[i + 1];
      return text;
    }
  }

  function when(then) {
    const d = (then - Date.now()) / 1000;
    if (Math.abs(d) < 1) return zh ? "现在" : "now";
    if (d > 0) return zh ? span(d) + "后" : "in " + span(d);
    return zh ? span(d) + "前" : span(d) + " ago";
  }

  const clock = new Intl.DateTimeFormat(zh ? "zh-Hans" : "en-GB",
    { dateStyle: "short", timeStyle: "medium" });

  function times() {
    for (const t of document.querySelectorAll("time[datetime]")) {
      const then = Date.parse(t.dateTime);
      if (Number.isNaN(then)) continue;
      const local = clock.format(then);
      const text = t.hasAttribute("data-soon") ? when(Math.max(then, Date.now())) :
        t.hasAttribute("data-age") ? when(then) : local;
      if (t.textContent !== text) t.textContent = text;
      if (t.title !== local) t.title = local;
    }
  }

  // Somebody who is about to act must not lose what is under the pointer.
  function busy(live) {
    const at = document.activeElement;
    return live.querySelector("details[open]") !== null ||
      (at && live.contains(at) && at.matches("input, select, button, summary"));
  }

  let loading = false, again = false;
  async function reload() {
    const live = document.getElementById("live");
    if (loading || busy(live)) { again = true; return; }
    loading = true;
    again = false;
    try {
      const url = new URL(location.href);
      url.searchParams.delete("done");
      const answer = await fetch(url, { headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.getElementById("live");
      if (next && !busy(live)) {
        const at = document.activeElement;
        const link = at && live.contains(at) && at.matches("a") ? at.getAttribute("href") : null;
        const done = live.querySelector(".done");
        live.replaceChildren(...next.childNodes);
        if (done) live.querySelector("h1").after(done);
        if (link !== null) {
          for (const a of live.querySelectorAll("a")) {
            if (a.getAttribute("href") === link) { a.focus({ preventScroll: true }); break; }
          }
        }
        times();
      }
    } catch { // the stream says that the relay is gone
    }
    setTimeout(() => { loading = false; }, 2000);
  }

  // The keys j and k go through the links of the list.
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.altKey || e.metaKey || e.target.matches("input, select, textarea")) return;
    if (e.key !== "j" && e.key !== "k") return;
    const links = [...document.querySelectorAll("tbody td:nth-child(-n+2) a, .lane h3 a, .story a")];
    if (links.length === 0) return;
    const at = links.indexOf(document.activeElement);
    const to = e.key === "j" ? Math.min(at + 1, links.length - 1) : Math.max(at - 1, 0);
    links[to].focus();
  });

  times();
  setInterval(() => { times(); if (again) reload(); }, 1000);
  const sign = document.getElementById("stream");
  const script = document.querySelector("script[src$='static/console.js']");
  const source = new EventSource(new URL("../api/events", script.src));
  let first = true;
  source.addEventListener("lanes", () => {
    sign.textContent = "● " + document.body.dataset.live;
    if (first) { first = false; return; }
    reload();
  });
  source.addEventListener("error", () => {
    first = false;
    sign.textContent = "○ " + document.body.dataset.dead;
  });
})();
