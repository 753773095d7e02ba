"use strict";
// A conversation shows its newest text, and goes on showing it as texts come in, unless somebody has
// scrolled up to read: then it stays where they are, though the list is replaced every two seconds.
(() => {
  const thread = document.getElementById("nf-thread");
  const list = () => thread.querySelector(".nf-texts");
  const atEnd = (box) => box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  let place = null; // null: the end
  const show = () => {
    list().scrollTop = place ?? list().scrollHeight;
  };
  thread.addEventListener("htmx:beforeSwap", () => {
    place = atEnd(list()) ? null : list().scrollTop;
  });
  thread.addEventListener("htmx:afterSwap", show);
  show();
})();
