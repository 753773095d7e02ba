// The audio thread: the microphone as 20 ms frames of 16-bit PCM, and the agent's voice from a queue.
// Its context runs at 16 kHz, so that nothing is resampled here.
"use strict";
const FRAME = 320;

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
  }

  process(inputs) {
    const heard = inputs[0][0];
    if (!heard) return true;
    for (const sample of heard) {
      this.frame[this.filled++] = Math.max(-1, Math.min(1, sample)) * 32767;
      if (this.filled === FRAME) {
        this.port.postMessage(this.frame.buffer, [this.frame.buffer]);
        this.frame = new Int16Array(FRAME);
        this.filled = 0;
      }
    }
    return true;
  }
}

// Takes PCM, "clear", and names of marks; gives a mark's name back when what came before it was played.
class Speaker extends AudioWorkletProcessor {
  constructor() {
    super();
    this.queue = [];
    this.at = 0;
    this.port.onmessage = ({ data }) => {
      if (data === "clear") this.clear();
      else this.queue.push(data instanceof ArrayBuffer ? new Int16Array(data) : data);
    };
  }

  clear() {
    for (const item of this.queue) if (typeof item === "string") this.port.postMessage(item);
    this.queue = [];
    this.at = 0;
  }

  process(_inputs, outputs) {
    const out = outputs[0][0];
    let filled = 0;
    while (this.queue.length) {
      const next = this.queue[0];
      if (typeof next === "string") {
        this.port.postMessage(next);
        this.queue.shift();
        continue;
      }
      while (filled < out.length && this.at < next.length) out[filled++] = next[this.at++] / 32768;
      if (this.at < next.length) break;
      this.queue.shift();
      this.at = 0;
      if (filled === out.length) break;
    }
    return true;
  }
}

registerProcessor("microphone", Microphone);
registerProcessor("speaker", Speaker);
