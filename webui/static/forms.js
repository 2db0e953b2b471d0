// What takes longer than a moment says so: the button of a form that was sent is busy until the answer
// is here, and a second press sends nothing twice.
const words = new WeakMap();

function rest(form) {
  delete form.dataset.sent;
  for (const button of form.querySelectorAll("button[aria-busy]")) {
    button.removeAttribute("aria-busy");
    button.replaceChildren(...words.get(button));
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  const button = event.submitter ?? form.querySelector("button");
  if (!button) return;
  words.set(button, [...button.childNodes]);
  button.setAttribute("aria-busy", "true");
  if (button.dataset.busy) {
    button.textContent = button.dataset.busy;
    document.getElementById("said").textContent = button.dataset.busy;
  }
});

// A page that comes back from the browser's memory waits for nothing any more.
addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach(rest));
