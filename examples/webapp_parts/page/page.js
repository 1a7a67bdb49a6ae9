"use strict";
const cards = new Map();
const words = {
  pause: { button: "Pause", accepted: "Paused.", already: "It was paused already.",
    unconfirmed: "It is paused. The reply was lost, so that somebody else may have paused it." },
  resume: { button: "Resume", accepted: "Resumed.", already: "It was live already.",
    unconfirmed: "It is live. The reply was lost, so that somebody else may have resumed it." },
};
const element = (id) => document.getElementById(id);
const when = (text) =>
  text ? new Date(text).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : "not known yet";
let pauseEnds = 0; // by performance.now(), in milliseconds

function card(ref) {
  if (!cards.has(ref)) {
    const node = document.querySelector("template").content.firstElementChild.cloneNode(true);
    const made = { ref, node, item: null, busy: false, find: (what) => node.querySelector(what) };
    made.find("h2").textContent = ref.split("/").pop();
    made.find("h2").title = ref;
    made.find("button").addEventListener("click", () => act(made));
    element("runs").append(node);
    cards.set(ref, made);
  }
  return cards.get(ref);
}

function draw(one) {
  const { find, node, busy, item: { run, problem } } = one;
  const status = run ? run.status : "unknown";
  const action = { live: "pause", paused: "resume" }[status];
  node.dataset.status = status;
  find(".status").textContent = status;
  if (run) {
    const [start, end] = [Date.parse(run.starts), Date.parse(run.ends)];
    find("progress").value = Math.min(1, Math.max(0, (Date.now() - start) / (end - start)));
    for (const name of ["starts", "ends", "changed"]) find("." + name).textContent = when(run[name]);
  }
  // not `disabled`, which would take the focus away from a person who uses the keyboard
  const button = find("button");
  const verb = words[action || "pause"].button;
  button.textContent = !busy ? verb : pauseEnds ? "Waiting…" : "Working…";
  button.setAttribute("aria-label", `${verb} run ${one.ref.split("/").pop()}`);
  button.setAttribute("aria-disabled", String(busy || !action));
  if (one.until && run && run.seen !== one.until) say(one, ""); // it is not so any more
  if (problem) say(one, `Not up to date: ${problem}.`, "bad");
  else if (find(".said").textContent.startsWith("Not up to date")) say(one, "");
}

function say(one, text, kind = "", until = null) {
  one.until = until;
  one.find(".said").textContent = text;
  one.find(".said").dataset.kind = kind;
}

async function act(one) {
  const { status, seen } = one.item.run || {};
  const action = { live: "pause", paused: "resume" }[status];
  if (one.busy || !action) return;
  one.busy = true;
  say(one, "");
  draw(one);
  try {
    const response = await fetch(`/api/runs/${one.ref}/${action}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ seen }),
    });
    const answer = await response.json();
    if (answer.run) one.item = { problem: null, run: answer.run };
    if (answer.error) say(one, answer.message, "bad");
    else say(one, words[action][answer.effect], "good", answer.run.seen);
  } catch {
    say(one, "The app did not answer. It is not known whether this was done. Check the run before you try again.", "bad");
  }
  one.busy = false;
  draw(one);
}

function drawPause() {
  const left = Math.ceil((pauseEnds - performance.now()) / 1000);
  const isPause = left > 0;
  if (isPause) element("left").textContent = `${left} s left.`;
  if (element("pause").hidden !== isPause) return;
  element("pause").hidden = !isPause;
  if (!isPause) pauseEnds = 0;
  for (const one of cards.values()) draw(one);
}

const connection = element("connection");

function connected(text, isOpen) {
  connection.textContent = text;
  if (isOpen) connection.dataset.open = "";
  else delete connection.dataset.open;
}

function show(event) {
  const { runs, pause_left: left } = JSON.parse(event.data);
  const count = {};
  for (const item of runs) {
    const one = card(item.ref);
    one.item = item;
    draw(one);
    const status = item.run ? item.run.status : "unknown";
    count[status] = (count[status] || 0) + 1;
  }
  element("summary").textContent =
    Object.entries(count).map(([status, number]) => `${number} ${status}`).join(" · ");
  pauseEnds = left ? performance.now() + 1000 * left : 0;
  drawPause();
}

function connect() {
  const events = new EventSource("/api/events");
  events.onopen = () => connected("up to date", true);
  events.onmessage = show;
  events.addEventListener("stopping", () => connected("the app was stopped, trying again…", false));
  events.onerror = () => {
    if (connection.dataset.open !== undefined) connected("no connection, trying again…", false);
    // after an error page of a proxy the browser gives up
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  };
}

connect();
setInterval(drawPause, 1000);
