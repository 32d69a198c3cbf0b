// Forms that ask (GET): sent when a choice is made, and without what was left empty.

document.addEventListener("change", (event) => {
  const field = event.target;
  if (field.matches("[data-submit-on-change]")) field.form.requestSubmit();
});

document.addEventListener("formdata", (event) => {
  if (event.target.method !== "get") return;
  for (const [name, value] of [...event.formData]) {
    if (value === "") event.formData.delete(name);
  }
});

// A large file takes a while on its way, and must not be sent twice.
document.addEventListener("submit", (event) => {
  const { submitter: button, target: form } = event;
  const isUpload = [...form.querySelectorAll("input[type=file]")].some((input) => input.files.length);
  if (!isUpload || !button) return;
  const name = button.textContent;
  // Once the form is sent: a disabled button would send nothing.
  setTimeout(() => {
    button.disabled = true;
    button.textContent = "Uploading …";
  });
  // Back on a page kept whole by the browser.
  addEventListener("pageshow", () => {
    button.disabled = false;
    button.textContent = name;
  });
});
