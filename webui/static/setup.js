// The wait for a sign-in that happens in another tab, or in the system's browser when this is the
// window: said as soon as the link is followed. It is over when live.js sees another account.
const link = document.getElementById("google-sign-in");

function wait() {
  const waiting = document.getElementById("waiting");
  waiting.hidden = false;
  waiting.scrollIntoView({ block: "nearest" });
  document.getElementById("by-hand")?.remove(); // it is looked at by itself now
}
for (const kind of ["click", "auxclick"]) link?.addEventListener(kind, wait);
