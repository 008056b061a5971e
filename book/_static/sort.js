// The scorecard sorts by the column whose title is pressed, and turns round when pressed again.
document.addEventListener("DOMContentLoaded", () => {
  const table = document.querySelector("#tab-claims-summary");
  if (!table) return;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "dc2sort";
    button.textContent = head.textContent.trim();
    button.addEventListener("click", () => {
      const turn = head.ariaSort === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", turn ? "descending" : "ascending");
      const text = (row) => row.cells[column].textContent.trim();
      const rows = [...table.tBodies[0].rows].sort((one, other) =>
        text(one).localeCompare(text(other), "en", { numeric: true }));
      table.tBodies[0].append(...(turn ? rows.reverse() : rows));
    });
    head.replaceChildren(button);
  });
});
