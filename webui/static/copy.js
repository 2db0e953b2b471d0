// Copy buttons: shown only where there is a script to work them.
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    const said = document.getElementById("copied") ?? document.getElementById("said");
    try {
      await navigator.clipboard.writeText(source.href ?? source.textContent);
      said.textContent = "Copied.";
      button.classList.add("done");
      setTimeout(() => button.classList.remove("done"), 1500);
    } catch {
      // No clipboard here (plain http from another machine): leave it selected for Ctrl-C.
      getSelection().selectAllChildren(source);
      said.textContent = "Selected; press Ctrl-C.";
    }
  });
}
