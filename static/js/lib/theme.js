// The theme is a cookie that the server reads, so that the next page does not flash.

const YEAR_S = 31_536_000;

document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-theme-switch]")) return;
  event.preventDefault();
  const chosen = event.submitter.value;
  const kept = chosen === "auto" ? "max-age=0" : `max-age=${YEAR_S}`;
  document.cookie = `theme=${chosen}; path=/; samesite=lax; ${kept}`;
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  for (const button of event.target.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button === event.submitter));
  }
});
