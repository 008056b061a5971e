// Self checks: a button that says whether the chosen answer is right, and why. Without a script the
// same words are in the disclosure below the answers.
document.addEventListener("DOMContentLoaded", () => {
  for (const quiz of document.querySelectorAll("fieldset.dc2quiz")) {
    const said = quiz.querySelector(".dc2quiz-said");
    const entries = quiz.querySelectorAll(".dc2quiz-solution > ul > li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Check my answer";
    const check = () => {
      const chosen = quiz.querySelector("input:checked");
      said.className = "dc2quiz-said";
      if (!chosen) {
        said.textContent = "Choose an answer first.";
        return;
      }
      const entry = entries[Number(chosen.value) - 1];
      const right = entry.dataset.right === "1";
      const why = [...entry.children].slice(2).map((part) => part.textContent.trim()).join(" ");
      said.classList.add(right ? "right" : "wrong");
      said.textContent = `${right ? "✓ Right." : "✗ Not this one."} ${why}`;
    };
    button.addEventListener("click", check);
    quiz.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.matches("input")) check();
    });
    quiz.addEventListener("change", () => {
      said.className = "dc2quiz-said";
      said.textContent = "";
    });
    said.before(button);
  }
});
