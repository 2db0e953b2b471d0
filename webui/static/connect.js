// Whoever follows a link to a tool wants its settings.
function unfold() {
  const heading = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const folded = heading?.closest("section")?.querySelector(".by-hand");
  if (folded) folded.open = true;
}

addEventListener("hashchange", unfold);
unfold();
