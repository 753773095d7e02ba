// A conversation with an agent: microphone and loudspeaker on one socket (its protocol: media/browser.py).
"use strict";
(() => {
  const RATE = 16000;
  const EVERY_MS = 1000;
  const form = document.getElementById("talk");
  const button = form.querySelector("button");
  const state = document.getElementById("state");
  const meter = form.querySelector(".nf-level");
  const said = document.getElementById("said");
  let line = null;

  const say = (text) => { state.textContent = text; };

  async function begin() {
    if (!navigator.mediaDevices) throw new Error("This browser gives its microphone only to pages on https or localhost.");
    const microphone = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    }).catch(() => { throw new Error("No microphone: allow this page to use it, then start again."); });
    try {
      const answer = await fetch("", { method: "POST", body: new FormData(form) });
      const begun = await answer.json();
      if (!answer.ok) throw new Error(begun.problem);
      return await connect(microphone, begun);
    } catch (problem) {
      for (const track of microphone.getTracks()) track.stop();
      throw problem;
    }
  }

  async function connect(microphone, begun) {
    const audio = new AudioContext({ sampleRate: RATE });
    await audio.audioWorklet.addModule(form.dataset.worklet);
    const ears = new AudioWorkletNode(audio, "microphone", { numberOfOutputs: 0 });
    const mouth = new AudioWorkletNode(audio, "speaker", { numberOfInputs: 0, outputChannelCount: [1] });
    audio.createMediaStreamSource(microphone).connect(ears);
    mouth.connect(audio.destination);
    const socket = new WebSocket(begun.url);
    socket.binaryType = "arraybuffer";
    const tell = (message) => { if (socket.readyState === WebSocket.OPEN) socket.send(message); };

    socket.onopen = () => {
      tell(JSON.stringify({ event: "start", call: begun.call, token: begun.token }));
      say("Connected. Speak whenever you like.");
    };
    socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) mouth.port.postMessage(data, [data]);
      else {
        const message = JSON.parse(data);
        if (message.event === "clear") mouth.port.postMessage("clear");
        if (message.event === "mark") mouth.port.postMessage(message.name);
      }
    };
    mouth.port.onmessage = ({ data }) => tell(JSON.stringify({ event: "mark", name: data }));
    ears.port.onmessage = ({ data }) => {
      show(new Int16Array(data));
      tell(data);
    };
    const follow = setInterval(() => read(begun.said), EVERY_MS);
    socket.onclose = async ({ code }) => {
      clearInterval(follow);
      for (const track of microphone.getTracks()) track.stop();
      await audio.close();
      line = null;
      button.textContent = "Start talking";
      delete button.dataset.on;
      meter.hidden = true;
      say(code === 1000 ? "The call is over." : "The connection was lost. Is the media process running?");
      await read(begun.said);
      const link = document.createElement("a");
      link.href = begun.page;
      link.className = "underline";
      link.textContent = "Everything about this call";
      state.append(" ", link);
    };
    return { hangUp: () => { tell('{"event":"stop"}'); socket.close(1000); } };
  }

  function show(frame) {
    let peak = 0;
    for (const sample of frame) peak = Math.max(peak, Math.abs(sample));
    meter.firstElementChild.style.width = `${Math.min(100, peak / 200)}%`;
  }

  async function read(url) {
    const answer = await fetch(url);
    if (answer.ok) said.innerHTML = await answer.text();
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (line) {
      line.hangUp();
      return;
    }
    button.disabled = true;
    said.textContent = "";
    say("Connecting …");
    try {
      line = await begin();
      button.textContent = "Hang up";
      button.dataset.on = "1";
      meter.hidden = false;
    } catch (problem) {
      say(problem.message);
    } finally {
      button.disabled = false;
    }
  });
  button.disabled = false; // before this, it would send the form as a page of its own
})();
