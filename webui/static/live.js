// Keeps the dashboard current while it is visible. On every change the page is fetched again and its
// live parts are brought into line node by node: what has the focus, is open or is being typed stays
// as it is. Without scripts the page is complete, just not live.
const RUNNING_MS = 1000; // while a request runs its numbers move
const IDLE_MS = 30000; // countdowns
let timer = 0;
let due = Infinity;
let fetching = false;

function keyed(parent) {
  return new Map([...parent.children].filter((child) => child.id).map((child) => [child.id, child]));
}

function alike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && (one.id ?? "") === (other.id ?? "");
}

function copyAttributes(from, to) {
  for (const { name, value } of [...from.attributes]) {
    if (to.getAttribute(name) !== value) to.setAttribute(name, value);
  }
  for (const { name } of [...to.attributes]) {
    if (!from.hasAttribute(name) && name !== "open") to.removeAttribute(name);
  }
}

function morph(old, next) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue;
    return;
  }
  if (old.isEqualNode(next)) return;
  copyAttributes(next, old);
  const known = keyed(old);
  let place = old.firstChild;
  for (const wanted of [...next.childNodes]) {
    const same = known.get(wanted.id) ?? (place && !(place.id && wanted.id) && alike(place, wanted) ? place : null);
    if (same) {
      if (same !== place) old.insertBefore(same, place);
      else place = place.nextSibling;
      morph(same, wanted);
    } else {
      old.insertBefore(document.importNode(wanted, true), place);
    }
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

async function refresh() {
  if (document.hidden || fetching) return;
  fetching = true;
  try {
    const answer = await fetch(location.pathname + location.search, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const wanted = next.querySelector(`[data-live="${part.dataset.live}"]`);
      if (wanted) morph(part, wanted);
    }
  } finally {
    fetching = false;
  }
}

function soon(delay) {
  const at = performance.now() + delay;
  if (at >= due) return;
  clearTimeout(timer);
  due = at;
  timer = setTimeout(async () => {
    due = Infinity;
    await refresh().catch(() => {});
    if (!document.hidden) soon(document.querySelector('[data-running]:not([data-running="0"])') ? RUNNING_MS : IDLE_MS);
  }, delay);
}

new EventSource("/events").addEventListener("message", () => soon(250));
document.addEventListener("visibilitychange", () => soon(0));
soon(document.querySelector('[data-running="0"]') ? IDLE_MS : RUNNING_MS);
