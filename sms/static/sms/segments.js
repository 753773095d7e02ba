// Says beside the reply box what the text will cost, as sms/segments.py counts it.
"use strict";

const alphabet = JSON.parse(document.getElementById("nf-alphabet").textContent);
const single = new Set(alphabet.single);
const pairs = new Set(alphabet.pairs);

// How many characters a body has, which alphabet it needs and how many segments carry it.
function sizeOf(body) {
  const characters = [...body];
  const isGsm7 = characters.every((one) => single.has(one) || pairs.has(one));
  const [whole, part] = isGsm7 ? [160, 153] : [70, 67];
  const sizes = characters.map((one) => (isGsm7 ? 1 + pairs.has(one) : one.length));
  const size = sizes.reduce((sum, one) => sum + one, 0);
  let segments = 1;
  if (size > whole) {
    let room = part;
    for (const one of sizes) {
      if (one > room) {
        segments += 1;
        room = part;
      }
      room -= one;
    }
  }
  return { characters: characters.length, encoding: isGsm7 ? "GSM-7" : "UCS-2", segments };
}

const words = document.getElementById("nf-words");
const shown = document.getElementById("nf-size");

words.addEventListener("input", () => {
  const { characters, encoding, segments } = sizeOf(words.value.trim());
  shown.textContent = characters
    ? `${characters} characters · ${encoding} · ${segments} ${segments === 1 ? "segment" : "segments"}`
    : "";
});
