// Comfort only: everything works without it.
"use strict";

// A form that takes a while says so, and for how long already; it is sent once.
const say = (form, words) => {
  const line = document.createElement("p");
  line.className = "progress";
  line.setAttribute("role", "status");
  form.append(line);
  const began = Date.now();
  // Screen readers say what comes into a line that is there already: the words once, and not each second.
  const told = document.createElement("span");
  const seconds = document.createElement("span");
  seconds.setAttribute("aria-hidden", "true");
  line.append(told, seconds);
  const tick = () => {
    if (!told.textContent) told.textContent = words;
    seconds.textContent = ` ${Math.floor((Date.now() - began) / 1000)} s`;
  };
  setTimeout(tick, 100);
  setInterval(tick, 1000);
};
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.getAttribute("aria-busy") === "true") {
    event.preventDefault();
    return;
  }
  form.setAttribute("aria-busy", "true");
  const button = event.submitter || form.querySelector("button");
  if (button) button.setAttribute("aria-busy", "true");
  if (form.dataset.busy) say(form, form.dataset.busy);
});
// One that comes back from the browser's memory can be sent again.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});

// A slash goes to the search, as in other tools.
document.addEventListener("keydown", (event) => {
  const search = document.querySelector("input[type=search]");
  const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
  if (event.key === "/" && search && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    search.focus();
  }
});

// Parts of a page that follow what happens: they are taken from the page itself, fetched anew.
const live = document.querySelectorAll("[data-live]");
if (live.length > 0 && window.EventSource) {
  const PAUSE_MS = 1000;
  const EVERY_MS = 10000;
  let isDue = false;
  let isUnderWay = false;
  let events = null;

  const renew = async () => {
    isDue = false;
    if (isUnderWay || document.hidden) return;
    isUnderWay = true;
    try {
      // The manager is told that nobody asks but the page itself.
      const headers = { Accept: "text/html", "X-Edge-Refresh": "1" };
      const answer = await fetch(window.location.href, { headers });
      if (answer.redirected) {
        window.location.reload();
        return;
      }
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const old of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(old.id);
        // Who has the focus in it is not disturbed.
        if (fresh && !old.contains(document.activeElement)) old.replaceWith(fresh);
      }
    } catch {
      // The manager is away: what is shown stays, and the next turn tries again.
    } finally {
      isUnderWay = false;
    }
  };
  const soon = () => {
    if (!isDue) {
      isDue = true;
      setTimeout(renew, PAUSE_MS);
    }
  };
  // Browsers have few connections to a site: only the page that is looked at keeps one.
  const listen = () => {
    if (events || document.hidden) return;
    events = new EventSource("/events");
    const names = ["rules", "learned", "configuration", "certificates", "haproxy", "lagged"];
    for (const name of names) events.addEventListener(name, soon);
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && events) {
      events.close();
      events = null;
    } else if (!document.hidden) {
      listen();
      renew();
    }
  });
  listen();
  setInterval(renew, EVERY_MS);
}
