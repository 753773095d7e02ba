// Shows the columns of a chosen CSV before it is sent: the server reads its first bytes.
"use strict";
(() => {
  const FIRST_BYTES = 64 * 1024;
  const form = document.getElementById("campaign_form");
  const drop = document.getElementById("drop");
  const input = document.getElementById("id_file");
  const columns = document.getElementById("columns");

  async function show() {
    const file = input.files[0];
    if (!file) return;
    const body = new FormData();
    body.append("start", file.slice(0, FIRST_BYTES), file.name);
    body.append("region", form.elements.region.value);
    body.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    if (file.size > FIRST_BYTES) body.append("cut", "1");
    for (const select of columns.querySelectorAll("select")) body.append(select.name, select.value);
    const answer = await fetch(form.dataset.columns, { method: "POST", body });
    if (answer.ok) columns.innerHTML = await answer.text();
  }

  input.addEventListener("change", () => {
    columns.innerHTML = ""; // another file, other columns
    if (!form.elements.name.value && input.files[0]) {
      form.elements.name.value = input.files[0].name.replace(/\.[^.]*$/, "");
    }
    show();
  });
  columns.addEventListener("change", show);
  form.elements.region.addEventListener("change", show);
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change"));
  });
})();
