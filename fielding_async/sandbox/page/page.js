"use strict";
// Reads the stream of events of the control door, and shows what is new. Everything from outside is shown as text.
(() => {
  const byId = (id) => document.getElementById(id);
  const MOST = 200; // rows of each log
  const LIMIT = 50; // runs on a page
  const STATUSES = ["scheduled", "live", "paused", "completed"];
  const OPERATIONS = ["", "GET", "PUT", "POST", "get", "update", "launch-now", "pause", "resume", "complete", "relaunch",
    "bulk-launch", "bulk-pause", "bulk-resume", "bulk-complete", "bulk-relaunch", "launch-from-draft", "schedule-from-draft"];
  const KINDS = ["fixed-window", "sliding-window", "token-bucket", "leaky-bucket", "request-count"];
  const FORMS = ["seconds", "decimal", "date", "zero", "absent"];
  const FAULTS = [
    ["Reset the connection", { fault: "Refuse" }],
    ["Cut before handling", { fault: "Cut", at: "before" }],
    ["Cut after handling", { fault: "Cut", at: "after" }],
    ["Cut in the headers", { fault: "Cut", at: "headers" }],
    ["Cut in the body", { fault: "Cut", at: "body" }],
    ["Delay 2 s before", { fault: "Delay", seconds: 2 }],
    ["Delay 2 s after", { fault: "Delay", seconds: 2, when: "after" }],
    ["Hold before", { fault: "Hold", when: "before" }],
    ["Hold after", { fault: "Hold", when: "after" }],
    ["429, Retry-After 1", { fault: "Status", code: 429, retry_after: "1" }],
    ["500", { fault: "Status", code: 500 }],
    ["503", { fault: "Status", code: 503 }],
    ["503, but applied", { fault: "Status", code: 503, applied: true }],
    ["HTML page of a proxy", { fault: "Reply", status: 200, headers: { "Content-Type": "text/html" }, body: "<html>a proxy</html>" }],
    ["Not HTTP", { fault: "RawReply", data: "nonsense\r\n\r\n" }],
    ["No ETag", { fault: "DropHeader", name: "ETag" }],
    ["Cached reply (Age: 7)", { fault: "SetHeader", name: "Age", value: "7" }],
    ["Colleague just before", { fault: "SecondWriter", when: "before" }],
    ["Colleague just after", { fault: "SecondWriter", when: "after" }],
    ["Exchange pauses before", { fault: "ExchangePauses", when: "before" }],
    ["Exchange pauses after", { fault: "ExchangePauses", when: "after" }],
    ["Handled twice, first answer", { fault: "Repeat", answer: "first" }],
    ["Handled twice, second answer", { fault: "Repeat", answer: "second" }],
    ["The job fails", { fault: "JobFails" }],
    ["The bulk job omits this run", { fault: "JobOmits" }],
  ];

  let token = decodeURIComponent(location.hash.slice(1));
  if (token) {
    history.replaceState(null, "", location.pathname); // so that it is in no bookmark
    sessionStorage.setItem("control-token", token);
  } else {
    token = sessionStorage.getItem("control-token") || "";
  }
  let offset = 0, total = 0, ended = false, reload = 0, state = {};
  const shownRuns = new Map(), shownRequests = new Map();

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined && text !== null) made.textContent = String(text);
    if (className) made.className = className;
    return made;
  }
  function options(select, values, empty) {
    for (const value of values) {
      const made = element("option", value || empty);
      made.value = value;
      select.append(made);
    }
  }
  function row(...cells) {
    const made = element("tr");
    for (const cell of cells) {
      if (cell instanceof Node) { const td = element("td"); td.append(cell); made.append(td); }
      else if (Array.isArray(cell)) {
        const td = element("td", cell[0] ?? "", cell[1]);
        if (cell[1] === "id") td.title = cell[0] ?? ""; // small screens cut it
        made.append(td);
      }
      else made.append(element("td", cell ?? ""));
    }
    return made;
  }
  function say(text) {
    byId("said").textContent = text;
    byId("said").hidden = !text;
  }
  const short = (ref) => (ref ? ref.split("/").pop() : "");
  const local = (time) => (time ? time.replace("T", " ").slice(0, 16) : "");

  async function ask(method, path, body) {
    const named = { Authorization: `Bearer ${token}` };
    if (body !== undefined) named["Content-Type"] = "application/json";
    const reply = await fetch(`control${path}`, { method, headers: named, body: body === undefined ? undefined : JSON.stringify(body) });
    const found = await reply.json();
    if (!reply.ok) throw new Error(found.detail || `status ${reply.status}`);
    return found;
  }
  async function act(method, path, body) {
    try { say(""); return await ask(method, path, body); }
    catch (error) { say(error.message); return null; }
  }

  function showState(found) {
    state = found;
    const figures = [
      ["Clock", found.now.replace("T", " ").slice(0, 19)], ["Runs", found.runs.toLocaleString("en")],
      ["Requests", found.requests.toLocaleString("en")], ["Writes applied", found.writes.toLocaleString("en")],
      ["In progress", found.in_flight], ["Limit", found.rate_limit === null ? "none" : `${found.rate_limit} a second`],
      ["In-flight limit", found.in_flight_limit ?? "none"], ["Latency", `${found.latency} s`],
      ["Exceptions in the sandbox", found.failures],
    ];
    byId("figures").replaceChildren(...figures.map(([name, value]) => {
      const made = element("div");
      made.append(element("dt", name), element("dd", value));
      return made;
    }));
    const unused = found.unused_faults.map((text) => element("li", text));
    byId("unused").replaceChildren(...(unused.length ? unused : [element("li", "none")]));
  }
  function showProjects(found) {
    const focused = document.activeElement.dataset.project;
    byId("projects").tBodies[0].replaceChildren(...found.map((project) => {
      const button = element("button", `${project.name} (${project.account_id}/${project.project_id})`, "link");
      button.type = "button";
      button.dataset.project = project.project_id;
      button.title = "Show the runs of this project";
      button.addEventListener("click", () => { byId("project").value = project.project_id; offset = 0; loadRuns(); });
      return row(button, ...STATUSES.map((status) => project.statuses[status] || 0));
    }));
    if (focused) document.querySelector(`#projects [data-project="${CSS.escape(focused)}"]`)?.focus();
    const select = byId("project"), before = select.value;
    select.replaceChildren();
    options(select, ["", ...found.map((project) => project.project_id)], "all");
    select.value = before;
    if (select.value !== before) select.value = "";
  }
  function runRow(run) {
    const progress = element("progress");
    progress.max = 1; progress.value = run.progress ?? 0;
    progress.setAttribute("aria-label", `Completes of ${run.fielding_run_id}`);
    const share = element("span", ` ${Math.round(100 * (run.progress ?? 0))} %`);
    const both = element("span"); both.append(progress, share);
    const buttons = element("span", undefined, "row");
    for (const [text, change] of [["Move end", {}], ["Pause", { status: "paused" }], ["Complete", { status: "completed" }]]) {
      const button = element("button", text);
      button.type = "button";
      button.setAttribute("aria-label", `${text}: ${run.fielding_run_id}`);
      button.addEventListener("click", () => {
        const end = new Date(Date.parse(run.end_fielding_at) + 60000).toISOString();
        act("POST", "/touch", { ref: run.ref, ...(change.status ? change : { end_fielding_at: end }) });
      });
      buttons.append(button);
    }
    return row([run.fielding_run_id, "id"], run.status, both, [run.etag, "id"], local(run.end_fielding_at), buttons, [run.target_group_id, "id"]);
  }
  async function loadRuns() {
    const query = new URLSearchParams({ offset: String(offset), limit: String(LIMIT) });
    if (byId("project").value) query.set("project_id", byId("project").value);
    if (byId("status").value) query.set("status", byId("status").value);
    const found = await act("GET", `/runs?${query}`);
    if (!found) return;
    total = found.total;
    if (offset && offset >= total) { offset = 0; await loadRuns(); return; }
    shownRuns.clear();
    byId("runs").tBodies[0].replaceChildren(...found.runs.map((run) => {
      const made = runRow(run);
      shownRuns.set(run.ref, made);
      return made;
    }));
    byId("shown").textContent = total ? `Runs ${offset + 1} to ${offset + found.runs.length} of ${total.toLocaleString("en")}` : "No run";
    byId("previous").disabled = offset === 0;
    byId("next").disabled = offset + LIMIT >= total;
    const only = byId("only"), before = only.value;
    only.replaceChildren();
    options(only, ["", ...found.runs.map((run) => run.ref)], "any");
    for (const option of only.options) if (option.value) option.textContent = short(option.value);
    only.value = before;
    if (only.value !== before) only.value = "";
  }
  function showRuns(runs) {
    for (const run of runs) {
      const old = shownRuns.get(run.ref);
      if (!old || old.contains(document.activeElement)) {
        if (old) { for (const [at, text] of [[1, run.status], [3, run.etag], [4, local(run.end_fielding_at)]]) old.cells[at].textContent = text; }
        continue;
      }
      const made = runRow(run);
      old.replaceWith(made);
      shownRuns.set(run.ref, made);
    }
  }
  function kindOf(status) {
    return status === 429 ? "refused" : status === 412 ? "conflict" : status >= 500 || status === null ? "error" : "ok";
  }
  function prepend(table, made) {
    const body = byId(table).tBodies[0];
    body.prepend(made);
    while (body.rows.length > MOST) body.lastElementChild.remove();
  }
  function showRequests(requests) {
    for (const request of requests) {
      const answer = request.status === null ? "no reply yet" : request.status + (request.applied ? ", applied" : "");
      const made = row(request.id, request.method, request.operation || request.path, [answer, kindOf(request.status)],
        [short(request.ref), "id"], [request.if_match, "id"], [request.trace_id, "id"]);
      const old = shownRequests.get(request.id);
      if (old && old.isConnected) old.replaceWith(made);
      else if (!old) prepend("requests", made);
      shownRequests.set(request.id, made);
    }
    for (const number of shownRequests.keys()) {
      if (shownRequests.size <= 2 * MOST) break;
      shownRequests.delete(number);
    }
  }
  function showWrites(writes) {
    for (const write of writes) prepend("writes", row(write.seq, write.by, write.operation, [short(write.ref), "id"],
      write.status_before === write.status_after ? write.status_after : `${write.status_before ?? "new"} to ${write.status_after}`,
      [`${write.etag_before ?? "none"} to ${write.etag_after}`, "id"], [write.trace_id, "id"]));
  }
  function showTraffic(found) {
    const seconds = found.seconds, now = found.now, space = "http://www.w3.org/2000/svg";
    const limit = state.rate_limit;
    const top = Math.max(5, limit ? 1.2 * limit : 0, ...seconds.map((second) => second.requests));
    const marks = [];
    const bar = (at, low, count, name) => {
      if (count <= 0) return;
      const made = document.createElementNS(space, "rect");
      const height = (count / top) * 140;
      for (const [key, value] of [["x", (60 - (now - at)) * 9.8], ["y", 140 - (low / top) * 140 - height], ["width", 8.4], ["height", height]]) made.setAttribute(key, value);
      made.setAttribute("class", name);
      marks.push(made);
    };
    let requests = 0, refused = 0;
    for (const second of seconds) {
      const answered = Math.max(0, second.requests - second.refused - second.conflicts - second.errors);
      bar(second.at, 0, answered, "ok");
      bar(second.at, answered, second.conflicts, "conflict");
      bar(second.at, answered + second.conflicts, second.errors, "error");
      bar(second.at, answered + second.conflicts + second.errors, second.refused, "refused");
      requests += second.requests; refused += second.refused;
    }
    if (limit) {
      const line = document.createElementNS(space, "path"), height = 140 - (limit / top) * 140;
      line.setAttribute("d", `M0 ${height}H600`);
      line.setAttribute("class", "limit");
      marks.push(line);
    }
    byId("plot").replaceChildren(...marks);
    const latest = seconds.length && seconds.at(-1).at >= now - 1 ? seconds.at(-1).requests : 0;
    byId("plot-text").textContent = `In the last minute ${requests} requests, ${refused} of them refused by a limit; ${latest} in the latest second; the top of the plot is ${Math.ceil(top)}${limit ? `, the dashed line is the limit of ${limit}` : ""}.`;
  }
  function take(news) {
    if (news.state) showState(news.state);
    if (news.projects) {
      showProjects(news.projects);
      clearTimeout(reload);
      reload = setTimeout(loadRuns, shownRuns.size ? 1000 : 0);
    }
    if (news.runs) showRuns(news.runs);
    if (news.requests) showRequests(news.requests);
    if (news.writes) showWrites(news.writes);
    if (news.traffic) showTraffic(news.traffic);
  }

  async function listen() {
    const reply = await fetch("control/events", { headers: { Authorization: `Bearer ${token}` } });
    if (reply.status === 401) {
      sessionStorage.removeItem("control-token");
      byId("enter").hidden = false;
      byId("link").textContent = "The control token is needed.";
      return false;
    }
    if (!reply.ok) throw new Error(`status ${reply.status}`);
    byId("link").textContent = "Connected.";
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return !ended;
      text += value;
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        const event = text.slice(0, end);
        text = text.slice(end + 2);
        if (event.startsWith("event: end")) { ended = true; byId("link").textContent = "The sandbox has stopped."; }
        else if (event.startsWith("data: ")) take(JSON.parse(event.slice(6)));
      }
    }
  }
  async function stay() {
    if (!token) { byId("enter").hidden = false; byId("link").textContent = "The control token is needed."; return; }
    byId("enter").hidden = true;
    for (;;) {
      let again = true;
      try { again = await listen(); } catch { byId("link").textContent = "The connection is lost; trying again."; }
      if (!again) return;
      await new Promise((resume) => setTimeout(resume, 1000));
    }
  }

  options(byId("on"), OPERATIONS, "any");
  options(byId("kind"), KINDS);
  options(byId("retry-after"), FORMS);
  options(byId("status"), ["", ...STATUSES], "all");
  for (const [text, fault] of FAULTS) {
    const button = element("button", text);
    button.type = "button";
    button.addEventListener("click", () => {
      const chosen = { ...fault }, body = { faults: [chosen] };
      const only = byId("only").value;
      if (fault.fault === "JobOmits") {
        if (!only) { say("Choose the run that the bulk job omits."); return; }
        chosen.target_group_ids = [only.split("/")[2]];
      } else if (only) body.ref = only;
      if (byId("on").value) body.on = byId("on").value;
      act("POST", "/faults", body);
    });
    byId("faults").append(button);
  }
  byId("release").addEventListener("click", () => act("POST", "/release", {}));
  byId("clear").addEventListener("click", () => act("DELETE", "/faults"));
  for (const button of document.querySelectorAll(".advance")) {
    button.addEventListener("click", () => act("POST", "/clock", { advance: Number(button.value) }));
  }
  byId("limit").addEventListener("submit", (event) => {
    event.preventDefault();
    const body = { per_second: Number(byId("per-second").value), kind: byId("kind").value, retry_after: byId("retry-after").value };
    if (!body.kind.includes("bucket") && body.per_second < 1) body.window = 1 / body.per_second;
    act("PUT", "/rate-limit", body);
  });
  byId("no-limit").addEventListener("click", () => act("PUT", "/rate-limit", { per_second: null }));
  byId("slow").addEventListener("submit", (event) => {
    event.preventDefault();
    act("PUT", "/latency", { seconds: Number(byId("latency").value) });
  });
  byId("previous").addEventListener("click", () => { offset = Math.max(0, offset - LIMIT); loadRuns(); });
  byId("next").addEventListener("click", () => { offset += LIMIT; loadRuns(); });
  for (const id of ["project", "status"]) byId(id).addEventListener("change", () => { offset = 0; loadRuns(); });
  byId("enter").addEventListener("submit", (event) => {
    event.preventDefault();
    token = byId("token").value.trim();
    sessionStorage.setItem("control-token", token);
    stay();
  });
  stay();
})();
