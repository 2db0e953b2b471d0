// The wait for a sign-in that happens in another tab, or in the system's browser when this is the
// window: said as soon as the link is followed. It is over when live.js sees another account.
import { refresh } from "/static/live.js";

const link = document.getElementById("google-sign-in");

function wait() {
  const waiting = document.getElementById("waiting");
  waiting.hidden = false;
  waiting.scrollIntoView({ block: "nearest" });
  const byHand = document.getElementById("by-hand");
  if (byHand) byHand.hidden = true; // it is looked at by itself now
}
for (const kind of ["click", "auxclick"]) link?.addEventListener(kind, wait);
// The link lasts ten minutes. A page in view renews it with every look; one that is hidden, behind
// Google's own page above all, does it by itself.
setInterval(refresh, Number(document.getElementById("main").dataset.renew) * 1000);
