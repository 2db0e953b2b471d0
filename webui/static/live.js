// Keeps the dashboard current while it is visible: on every change the page is fetched again and its
// main part replaced. Without scripts the page is complete, just not live.
let pending = false;

async function refresh() {
  pending = false;
  if (document.hidden || document.querySelector("form :focus")) return;
  const answer = await fetch("/", { headers: { accept: "text/html" } });
  if (!answer.ok) return;
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.querySelector("main").replaceWith(next.querySelector("main"));
}

function soon() {
  if (!pending) {
    pending = true;
    setTimeout(() => refresh().catch(() => {}), 400);
  }
}

new EventSource("/events").addEventListener("message", soon);
document.addEventListener("visibilitychange", soon);
