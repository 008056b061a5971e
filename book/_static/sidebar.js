// The theme's script expects a right sidebar on every page with margin notes; short pages have none.
document.addEventListener("DOMContentLoaded", () => {
  if (document.querySelector("div.bd-sidebar-secondary")) return;
  const placeholder = document.createElement("div");
  placeholder.className = "bd-sidebar-secondary";
  placeholder.hidden = true;
  document.body.append(placeholder);
});
