// Keys that work on every page: / to the field to type in, ? for the list, Escape a level up.

import { isTyping } from "./typing.js";

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens).showModal();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.matches?.("input[type=search]")) {
    event.target.blur();
    return;
  }
  if (isTyping(event)) return;
  if (event.key === "?") {
    document.getElementById("help")?.showModal();
  } else if (event.key === "/") {
    const field = document.querySelector('[data-shortcut="/"]');
    field?.focus();
    field?.select();
  } else if (event.key === "Escape") {
    document.querySelector('[data-shortcut="Escape"]')?.click();
    return;
  } else {
    return;
  }
  event.preventDefault();
});
