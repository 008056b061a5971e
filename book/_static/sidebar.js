// The theme's script expects a right sidebar on every page with margin notes; short pages have none.
document.addEventListener("DOMContentLoaded", () => {
  if (document.querySelector("div.bd-sidebar-secondary")) return;
  const placeholder = document.createElement("div");
  placeholder.className = "bd-sidebar-secondary";
  placeholder.hidden = true;
  document.body.append(placeholder);
});
// From files a browser refuses to fetch the pages that search results are summarised from.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}
