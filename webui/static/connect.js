// While a form is on its way its button says so and takes no second click.
const idle = new Map();
for (const form of document.querySelectorAll("form[data-busy]")) {
  form.addEventListener("submit", () => {
    const button = form.querySelector("button");
    idle.set(button, [...button.childNodes]);
    button.replaceChildren(form.dataset.busy);
    button.setAttribute("aria-busy", "true");
    setTimeout(() => { button.disabled = true; });
  });
}
// Back from the next page, the browser shows this one as it was left.
addEventListener("pageshow", () => {
  for (const [button, words] of idle) {
    button.replaceChildren(...words);
    button.removeAttribute("aria-busy");
    button.disabled = false;
  }
  idle.clear();
});
