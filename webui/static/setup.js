// Goes on by itself when the account changes: a sign-in that finished in another tab or window.
const waiting = document.getElementById("waiting");
if (waiting) {
  document.getElementById("by-itself").hidden = false;
  document.getElementById("by-hand").hidden = true;
  new EventSource("/events").addEventListener("message", (event) => {
    if (JSON.parse(event.data).type === "account") location.replace("/setup");
  });
}
