// Comfort only: everything works without it.
"use strict";

// A form that takes a while says so, and is sent once.
document.addEventListener("submit", (event) => {
  const button = event.submitter || event.target.querySelector("button");
  if (!button || event.target.method !== "post") return;
  if (button.getAttribute("aria-busy") === "true") {
    event.preventDefault();
    return;
  }
  button.setAttribute("aria-busy", "true");
  const words = event.target.dataset.busy;
  if (words) button.textContent = words;
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

  const renew = async () => {
    isDue = false;
    if (isUnderWay || document.hidden) return;
    isUnderWay = true;
    try {
      const answer = await fetch(window.location.href, { headers: { Accept: "text/html" } });
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
  const events = new EventSource("/events");
  for (const name of ["rules", "learned", "configuration", "haproxy", "lagged"]) events.addEventListener(name, soon);
  setInterval(renew, EVERY_MS);
}
