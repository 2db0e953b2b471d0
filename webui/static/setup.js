// Goes on by itself when the account changes: a sign-in that finished in another tab or window.
const LEAVING_MS = 5000;
const waiting = document.getElementById("waiting");
if (waiting) {
  let delay = 0;
  // This very tab is on its way to Google and back: its own answer comes first. (A window that hands
  // the link to the system's browser stays here, and goes on a little later.)
  addEventListener("beforeunload", () => { delay = LEAVING_MS; });
  document.getElementById("by-itself").hidden = false;
  document.getElementById("by-hand").hidden = true;
  new EventSource("/events").addEventListener("message", (event) => {
    if (JSON.parse(event.data).type === "account") setTimeout(() => location.replace("/setup"), delay);
  });
}
