// Keeps a page current while it is visible. On every change the page is fetched again and its live
// parts are brought into line node by node: what has the focus, is open or is being typed stays as it
// is. Without scripts the page is complete, just not live. A hidden page asks for nothing.
const RUNNING_MS = 1000; // while a request runs its numbers move
const IDLE_MS = Number(document.getElementById("main").dataset.every) || 30000; // countdowns
const AGAIN_MS = 2000; // while the server does not answer
const ANSWER_MS = 20000; // for one page
const stale = document.getElementById("stale");
let timer = 0;
let due = Infinity;
let fetching = false;
let missed = false; // something changed while a page was on its way
let feed = null;
let leaving = false; // for the answer to a form, or for Google: not to be overtaken

function keyed(parent) {
  return new Map([...parent.children].filter((child) => child.id).map((child) => [child.id, child]));
}

function alike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && (one.id ?? "") === (other.id ?? "");
}

function copyAttributes(from, to) {
  for (const { name, value } of [...from.attributes]) {
    if (to.getAttribute(name) !== value && name !== "hidden") to.setAttribute(name, value);
  }
  for (const { name } of [...to.attributes]) {
    if (!from.hasAttribute(name) && name !== "open" && name !== "hidden") to.removeAttribute(name);
  }
}

function morph(old, next) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue;
    return;
  }
  if (old.isEqualNode(next) || old.querySelector(":scope > [aria-busy]")) return;
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

function show(next) {
  // What the page is about has changed as a whole: an account has come or gone.
  const another = next.getElementById("main").dataset.key !== document.getElementById("main").dataset.key;
  const fields = [...document.querySelectorAll("main input:not([type=hidden])")];
  if (another && !leaving && fields.every((field) => field.value === field.defaultValue)) {
    location.replace(location.pathname);
    return;
  }
  for (const part of document.querySelectorAll("[data-live]")) {
    const wanted = next.querySelector(`[data-live="${part.dataset.live}"]`);
    if (wanted) morph(part, wanted);
  }
  document.getElementById("main").dataset.page = next.getElementById("main").dataset.page ?? "";
  // A server that was started anew knows only its own forms.
  const token = next.querySelector("input[name=token]")?.value;
  if (token) for (const field of document.querySelectorAll("input[name=token]")) field.value = token;
}

// The address of this page. The set-up page says which sign-in link it shows, and keeps that one.
function address() {
  const { page } = document.getElementById("main").dataset;
  if (!page) return location.pathname + location.search;
  const query = new URLSearchParams(location.search);
  query.set("page", page);
  return `${location.pathname}?${query}`;
}

export async function refresh() {
  try {
    const answer = await fetch(address(), {
      headers: { accept: "text/html" }, signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (answer.status === 401) location.reload(); // the login form
    if (!answer.ok) throw new Error(answer.statusText);
    show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    stale.hidden = true;
    if (feed?.readyState === EventSource.CLOSED) listen();
  } catch {
    stale.hidden = false;
  }
}

function pause() {
  if (!stale.hidden) return AGAIN_MS;
  return document.querySelector('[data-running]:not([data-running="0"])') ? RUNNING_MS : IDLE_MS;
}

async function turn() {
  due = Infinity;
  missed = fetching;
  if (document.hidden || fetching) return;
  fetching = true;
  await refresh();
  fetching = false;
  if (!document.hidden) soon(missed ? 0 : pause());
}

function soon(delay) {
  const at = performance.now() + delay;
  if (at >= due) return;
  clearTimeout(timer);
  due = at;
  timer = setTimeout(turn, delay);
}

function listen() {
  feed?.close();
  feed = null;
  if (document.hidden) return;
  feed = new EventSource("/events");
  feed.addEventListener("open", () => soon(250)); // what changed before it listened
  feed.addEventListener("message", () => soon(250));
  feed.addEventListener("error", ({ target }) => soon(target.readyState === EventSource.CLOSED ? AGAIN_MS : 500));
}

addEventListener("beforeunload", () => { leaving = true; });
addEventListener("pageshow", () => { leaving = false; });
document.addEventListener("visibilitychange", () => {
  listen();
  if (document.hidden) {
    clearTimeout(timer);
    due = Infinity;
  } else soon(0);
});
listen();
soon(pause());
