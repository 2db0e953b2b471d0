// Copy buttons: shown only where there is a script to work them. ``data-copy`` names the element whose
// text is wanted; of a link it is the address.
function textOf(source) {
  return source.href ?? (source.tagName === "PRE" ? source.textContent : source.innerText);
}

// An address has to be seen to be copied by hand.
function shown(source, button) {
  if (!source.href) return source;
  const address = document.createElement("code");
  address.textContent = source.href;
  button.after(address);
  return address;
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    const said = document.getElementById("copied") ?? document.getElementById("said");
    try {
      await navigator.clipboard.writeText(textOf(source));
      said.textContent = "Copied.";
      button.classList.add("done");
      setTimeout(() => button.classList.remove("done"), 1500);
    } catch {
      // No clipboard here (plain http from another machine): leave it selected for Ctrl-C.
      getSelection().selectAllChildren(shown(source, button));
      said.textContent = "Selected; press Ctrl-C.";
    }
  });
}
