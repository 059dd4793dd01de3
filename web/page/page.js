// The live page: asks the proxy for its counters once a second and shows what they mean.
//
// The proxy tells totals; two samples give rates and the latency of the time between them. Nothing
// is asked while the page is hidden. The page says so when the proxy does not answer.

import { LineChart, SlotMap, drawSlot, groupColor } from "./charts.js";
import { showCoordinator } from "./coordinator.js";
import * as numbers from "./numbers.js";

const PERIOD_MS = 1000;
const TIMEOUT_MS = 4000;
const GAP_SECONDS = 3;
const COMMANDS_MAX = 10;
const TOKEN_KEY = "keyway-read-token";

const byId = (id) => document.getElementById(id);

const lines = {};
for (const [id, color] of [
  ["requests", "--accent"], ["errors", "--bad"], ["latency", "--accent"],
  ["clients", "--accent"], ["memory", "--accent"], ["processor", "--accent"],
]) {
  lines[id] = new LineChart(byId(`${id}-line`), [color]);
}
const PERCENTILES = [["p50", 0.5], ["p99", 0.99], ["p999", 0.999]];
for (const [id] of PERCENTILES) {
  lines[id] = new LineChart(byId(`${id}-chart`), ["--backend", "--proxy"], numbers.time);
}
const slotMap = new SlotMap(byId("slots"), showSlot);

let last = null;
let slots = [];
let shownSlots = "";
let timer = null;
let isAsking = false;
let hasConfig = false;
let answeredAt = null;

// Asking.

class Unauthorized extends Error {}

async function ask(path) {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, {
    headers, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (answer.status === 401) throw new Unauthorized();
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
}

async function round() {
  if (document.hidden || isAsking) return;
  isAsking = true;
  clearTimeout(timer);
  const started = performance.now();
  try {
    const live = await ask("/keyway/live");
    if (!hasConfig) await showConfig();
    answeredAt = Date.now();
    show(live);
  } catch (error) {
    if (error instanceof Unauthorized) return showLogin();
    showLost();
  } finally {
    isAsking = false;
  }
  timer = setTimeout(round, Math.max(100, PERIOD_MS - (performance.now() - started)));
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else round();
});

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN_KEY, byId("token").value);
  byId("login-error").textContent = "That is not the token.";
  round();
});

function showLogin() {
  const hadToken = sessionStorage.getItem(TOKEN_KEY) !== null;
  sessionStorage.removeItem(TOKEN_KEY);
  setState("locked", "Read token needed", "warn");
  byId("login-error").hidden = !hadToken;
  byId("login").hidden = false;
  byId("main").hidden = true;
  byId("lost").hidden = true;
  byId("token").value = "";
  byId("token").focus();
}

function showLost() {
  const since = answeredAt ? ` The numbers are those of ${new Date(answeredAt).toLocaleTimeString()}.` : "";
  byId("lost").textContent = `The proxy does not answer.${since} Trying again every second.`;
  byId("lost").hidden = false;
  setState("lost", "✕ No answer", "bad");
  if (last) for (const id in lines) lines[id].push(null);
  last = null;
  redraw();
}

function setState(state, text, kind) {
  document.body.dataset.state = state;
  // Screen readers say it when it changes.
  if (byId("status").textContent !== text) byId("status").textContent = text;
  byId("status").dataset.kind = kind;
}

// Showing.

function show(live) {
  byId("login").hidden = true;
  byId("lost").hidden = true;
  byId("main").hidden = false;
  const alarms = live.coordinator?.alarm_count ?? 0;
  if (live.workers_silent > 0) setState("live", `▲ ${live.workers_silent} workers busy`, "warn");
  else if (!live.online) setState("live", "▲ Not online", "warn");
  else if (alarms > 0) setState("live", `▲ Online, ${alarms === 1 ? "an alarm" : `${alarms} alarms`}`, "warn");
  else setState("live", "● Online", "good");
  byId("subtitle").textContent =
    `${live.listen} · version ${live.version} · up ${numbers.span(live.uptime_ms)} · ${live.workers} workers`;
  // Another run counts from zero.
  if (last && last.run_id !== live.run_id) last = null;
  const seconds = last ? (live.uptime_ms - last.uptime_ms) / 1000 : 0;
  const before = seconds > 0 ? last : null;
  // The page was hidden, or the proxy slow.
  if (seconds > GAP_SECONDS) for (const id in lines) lines[id].push(null);
  // Without a worker's part the counters of backends say nothing about the time between.
  const isWhole = live.workers_silent === 0 && last?.workers_silent === 0;
  const backendsBefore = isWhole ? before : null;
  const since = (field) => (before ? numbers.growth(live[field], before[field], seconds) : null);
  showTraffic(live, since);
  showLatency(live, backendsBefore);
  showProcess(live, since);
  showSlots(live);
  showMoves(live.moves);
  showCoordinator(live.coordinator, element);
  showBackends(live, backendsBefore, seconds);
  showCommands(live, before, seconds);
  showSlow(live.slow_requests);
  if (seconds > 0 || !last) last = live;
  redraw();
}

/** A tile: number, unit, small text, and the sample of its line. */
function tile(id, [number, unit], detail, value) {
  const small = element("small", unit);
  byId(id).replaceChildren(number, small);
  byId(id).dataset.value = value ?? "";
  byId(`${id}-detail`).textContent = detail;
  lines[id].push(value == null ? null : [value], `${number} ${unit}`);
}

function showTraffic(live, since) {
  const requests = since("requests_total");
  const received = since("client_bytes_in_total");
  const sent = since("client_bytes_out_total");
  const traffic = received == null ? "" : `in\u00a0${numbers.bytes(received)}/s, out\u00a0${numbers.bytes(sent)}/s`;
  tile("requests", [numbers.count(requests), "/s"], traffic, requests);
  const [failed, refused, replies] = [
    since("requests_failed_total"), since("requests_rejected_total"), since("backend_errors_total"),
  ];
  const errors = failed == null ? null : failed + refused + replies;
  const parts = [[failed, "failed"], [refused, "refused"], [replies, "by backends"]]
    .filter(([value]) => value > 0).map(([value, what]) => `${numbers.count(value)} ${what}`);
  const total = live.requests_failed_total + live.requests_rejected_total + live.backend_errors_total;
  tile("errors", [numbers.count(errors), "/s"],
    parts.join(", ") || `${numbers.count(total)} since the start`, errors);
  byId("errors").dataset.kind = errors > 0 ? "bad" : "";
}

function showLatency(live, before) {
  const bins = before ? numbers.binsSince(live.latency, before.latency) : [];
  const inBackends = before ? numbers.binsSince(live.backend_latency, before.backend_latency) : [];
  const texts = {};
  for (const [id, share] of PERCENTILES) {
    const whole = numbers.quantile(bins, share);
    texts[id] = numbers.time(whole);
    if (whole == null) {
      lines[id].push(null);
      byId(id).textContent = "";
      continue;
    }
    const backend = Math.min(whole, numbers.quantile(inBackends, share) ?? 0);
    const proxy = whole - backend;
    const text = `${texts[id]}: proxy ${numbers.time(proxy)}, backends ${numbers.time(backend)}`;
    byId(id).textContent = text;
    byId(id).dataset.value = whole;
    lines[id].push([backend, proxy], `${id}: ${text}`);
  }
  const p99 = numbers.quantile(bins, 0.99);
  const detail = p99 == null ? "no forwarded requests" : `p50\u00a0${texts.p50}, p99.9\u00a0${texts.p999}`;
  tile("latency", numbers.timeParts(p99), before ? detail : "", p99);
}

function showProcess(live, since) {
  tile("clients", [numbers.count(live.clients), ""], `of ${numbers.count(live.clients_max)}`, live.clients);
  const buffered = `${numbers.bytes(live.buffered_bytes)} of ${numbers.bytes(live.buffered_bytes_max)} buffered`;
  tile("memory", numbers.byteParts(live.resident_bytes), buffered, live.resident_bytes);
  const grown = since("processor_us_total");
  const percent = grown == null ? null : grown / 1e4;
  tile("processor", [percent == null ? "–" : percent.toFixed(0), "%"], "of one core", percent);
}

/** The groups of the slots, by number; slots without a group go by their primary. */
function groupsOf(runs) {
  const groups = new Map();
  for (const run of runs.filter((run) => run.primary)) {
    const name = run.group > 0 ? `group ${run.group}` : run.primary;
    const key = `${name} ${run.primary}`;
    if (!groups.has(key)) groups.set(key, { name, group: run.group, primary: run.primary, runs: [] });
    groups.get(key).runs.push(run);
  }
  return [...groups.entries()].sort(([, a], [, b]) => a.group - b.group || a.primary.localeCompare(b.primary));
}

const size = (runs) => runs.reduce((sum, run) => sum + run.last - run.first + 1, 0);

function showSlots(live) {
  const odd = [...new Set(live.slots.map((run) => run.state))].filter((state) => state !== "normal");
  const counts = odd.map((state) => `${size(live.slots.filter((run) => run.state === state))} ${state}`);
  const fill = live.fills > 0 ? ", a change is in progress" : "";
  const parked = live.requests_parked > 0
    ? `, requests that wait: ${numbers.count(live.requests_parked)} (${numbers.bytes(live.parked_bytes)})` : "";
  byId("slots-summary").textContent =
    `${counts.length ? counts.join(", ") : "all 1024 served"}${fill}${parked} · epoch ${live.epoch}`;
  const text = JSON.stringify(live.slots);
  if (text === shownSlots) return;
  shownSlots = text;
  const groups = groupsOf(live.slots);
  slots = new Array(1024);
  const fillRun = (run, color) => {
    for (let slot = run.first; slot <= run.last; slot += 1) slots[slot] = { color, state: run.state, run };
  };
  const noColor = getComputedStyle(document.documentElement).getPropertyValue("--offline").trim();
  live.slots.forEach((run) => fillRun(run, noColor));
  groups.forEach(([, group], position) => group.runs.forEach((run) => fillRun(run, groupColor(position))));
  slotMap.show(slots);
  byId("slots").setAttribute("aria-label", `Map of 1024 slots: ${byId("slots-summary").textContent}`);
  const items = groups.map(([, group], position) => groupItem(group, groupColor(position)));
  byId("groups").replaceChildren(...items, ...odd.map(stateItem));
}

/** The slots of some runs as `[first, last]`; runs that touch are one. */
function rangesOf(runs) {
  const ranges = [];
  for (const { first, last } of runs) {
    const before = ranges.at(-1);
    if (before && before[1] === first - 1) before[1] = last;
    else ranges.push([first, last]);
  }
  return ranges;
}

function groupItem({ name, primary, runs }, color) {
  const ranges = rangesOf(runs).map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`));
  const shown = ranges.length > 3 ? `${ranges.slice(0, 3).join(", ")} …` : ranges.join(", ");
  const address = name === primary ? "" : ` ${primary},`;
  const text = `${name}:${address} ${size(runs)} slots (${shown})`;
  return element("li", chip(color, "normal"), text[0].toUpperCase() + text.slice(1));
}

const STATE_TEXTS = {
  held: "held: a change is under way, requests wait",
  locked: "locked: requests wait",
  migrating: "migrating: keys move to their new group",
  offline: "offline: requests get an error",
};

const stateItem = (state) => element("li", chip(getComputedStyle(document.body).color, state), STATE_TEXTS[state] ?? state);

function chip(color, state) {
  const canvas = document.createElement("canvas");
  canvas.width = 13;
  canvas.height = 13;
  canvas.className = "chip";
  drawSlot(canvas.getContext("2d"), 0, 0, 13, 13, color, state);
  return canvas;
}

function showSlot(number) {
  const slot = slots[number];
  if (!slot) {
    byId("slot").textContent = "Point at a slot to see where it is.";
    return;
  }
  const { run } = slot;
  const group = run.group > 0 ? `, group ${run.group}` : "";
  const replicas = run.replicas > 0 ? `, ${run.replicas} replicas` : "";
  const source = run.source ? `, from ${run.source}` : "";
  byId("slot").textContent = `Slot ${number}: ${run.state}${group}${run.primary ? `, ${run.primary}` : ""}${source}${replicas}`;
}

const MOVE_KINDS = { done: "good", incomplete: "bad", cancelled: "bad" };

function showMoves(moves) {
  byId("moves-card").hidden = moves.length === 0;
  byId("moves").replaceChildren(...moves.map(moveRow).reverse());
}

function moveRow(move) {
  const state = element("span", `${move.id}: ${move.state}`);
  state.className = "state";
  state.dataset.kind = move.error ? "bad" : MOVE_KINDS[move.state] ?? "warn";
  const target = element("td", move.target);
  target.className = "address";
  if (move.error) {
    const failure = element("span", move.error);
    failure.className = "failure";
    target.append(failure);
  }
  const total = move.keys_total == null ? "" : ` of ${numbers.count(move.keys_total)}`;
  const isMoving = move.keys_per_second > 0;
  const rate = isMoving
    ? `${numbers.rate(move.keys_per_second)}, ${numbers.bytes(move.bytes_per_second)}/s` : "–";
  return element("tr",
    element("td", state), labelled("Slots", move.slots), target,
    cell("Slots done", `${move.slots_done} of ${move.slots_total}`),
    cell("Keys", `${numbers.count(move.keys_moved)}${total}`), cell("Rate", rate),
    cell("Left", move.eta_seconds == null ? "–" : numbers.span(move.eta_seconds * 1000)));
}

const STATES = {
  ready: ["● Ready", "good"], connecting: ["◌ Connecting", "warn"], stale: ["▲ Stale", "warn"],
  down: ["✕ Down", "bad"], unused: ["○ Unused", ""],
};

function showBackends(live, before, seconds) {
  const known = new Map(before?.backends.map((backend) => [`${backend.addr} ${backend.role}`, backend]));
  const rows = live.backends.map((backend) => {
    const earlier = before ? known.get(`${backend.addr} ${backend.role}`) ?? { latency: [] } : null;
    return backendRow(backend, earlier, seconds);
  });
  byId("backends").replaceChildren(...rows, ...(rows.length ? [] : [emptyRow(11, "No slot has a backend yet.")]));
}

function backendRow(backend, earlier, seconds) {
  const [text, kind] = STATES[backend.state] ?? [backend.state, ""];
  const state = element("span", text);
  state.className = "state";
  state.dataset.kind = kind;
  const since = (field) =>
    earlier ? numbers.rate(numbers.growth(backend[field], earlier[field] ?? 0, seconds)) : "–";
  const bins = earlier ? numbers.binsSince(backend.latency, earlier.latency) : [];
  const address = element("td", backend.addr);
  address.className = "address";
  if (kind === "bad" && backend.last_failure) {
    const failure = element("span", backend.last_failure);
    failure.className = "failure";
    address.append(failure);
  }
  const waiting = backend.requests_waiting > 0 ? ` + ${numbers.count(backend.requests_waiting)} waiting` : "";
  const row = element("tr",
    element("td", state), address, labelled("Role", backend.role),
    cell("Slots", numbers.count(backend.slots)),
    cell("In flight", `${numbers.count(backend.requests_in_flight)}${waiting}`),
    cell("Replies", since("replies_total")),
    ...[["p50", 0.5], ["p99", 0.99], ["p99.9", 0.999]].map(([label, share]) =>
      cell(label, numbers.time(numbers.quantile(bins, share)))),
    cell("Errors", since("errors_total")), cell("Failures", since("failures_total")));
  row.dataset.addr = backend.addr;
  row.dataset.state = backend.state;
  row.dataset.kind = kind;
  return row;
}

function showCommands(live, before, seconds) {
  const known = new Map(before?.commands.map((command) => [command.command, command]));
  const none = { calls: 0, errors: 0, latency_us: 0 };
  const rates = !before ? [] : live.commands.map((command) => {
    const earlier = known.get(command.command) ?? none;
    const calls = numbers.growth(command.calls, earlier.calls, 1);
    const meanUs = calls > 0 ? numbers.growth(command.latency_us, earlier.latency_us, 1) / calls : null;
    const errors = numbers.growth(command.errors, earlier.errors, seconds);
    return { name: command.command, rate: calls / seconds, total: command.calls, meanUs, errors };
  });
  rates.sort((a, b) => b.rate - a.rate || b.total - a.total || a.name.localeCompare(b.name));
  const sum = rates.reduce((all, { rate }) => all + rate, 0);
  const rows = rates.slice(0, COMMANDS_MAX).map((command) => {
    const bar = element("span");
    bar.className = "bar";
    bar.style.width = `${sum > 0 ? (100 * command.rate) / sum : 0}%`;
    const share = element("td", bar);
    share.className = "share";
    share.title = sum > 0 ? `${((100 * command.rate) / sum).toFixed(1)} %` : "";
    const name = element("td", command.name.replace("|", " ").toUpperCase());
    return element("tr", name, cell("", numbers.rate(command.rate)), share,
      cell("", numbers.time(command.meanUs)), cell("", numbers.rate(command.errors)));
  });
  byId("commands").replaceChildren(...rows, ...(rows.length ? [] : [emptyRow(5, "No command was called yet.")]));
}

function showSlow(requests) {
  byId("slow-summary").textContent = requests.length > 0 ? "of the last 128 that were slow" : "";
  const rows = requests.map((request) => {
    const text = labelled("Request", element("code", request.request));
    text.className = "address";
    const name = request.client_name ? ` (${request.client_name})` : "";
    const row = element("tr",
      labelled("Time", new Date(request.unix_s * 1000).toLocaleTimeString()), text,
      labelled("Client", request.client + name), labelled("Backend", request.backend || "–"),
      ...["total", "queue", "backend", "write"].map((part) =>
        cell(part[0].toUpperCase() + part.slice(1), numbers.time(request[`${part}_us`]))));
    row.dataset.id = request.id;
    return row;
  });
  byId("slow").replaceChildren(...rows, ...(rows.length ? [] : [emptyRow(8, "No request was slow.")]));
}

async function showConfig() {
  const [config, model] = [await ask("/keyway/config"), await ask("/proxy/model")];
  hasConfig = true;
  byId("product").textContent = `· ${model.product_name} · ${model.hostname}`;
  document.title = `Keyway · ${model.product_name}`;
  const rows = Object.entries(config).map(([name, value]) => {
    const row = element("tr", element("td", name), element("td", value === "" ? "–" : String(value)));
    row.dataset.text = `${name} ${value}`.toLowerCase();
    return row;
  });
  byId("config").replaceChildren(...rows);
}

byId("config-filter").addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  for (const row of byId("config").rows) row.hidden = !row.dataset.text.includes(wanted);
});

// Drawing.

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

function labelled(label, ...children) {
  const made = element("td", ...children);
  made.dataset.label = label;
  return made;
}

function cell(label, text) {
  const made = labelled(label, text);
  made.className = "right";
  return made;
}

function emptyRow(columns, text) {
  const only = element("td", text);
  only.colSpan = columns;
  only.className = "empty";
  return element("tr", only);
}

function redraw() {
  for (const id in lines) lines[id].draw();
}

function redrawAll() {
  redraw();
  shownSlots = "";
  if (last) showSlots(last);
}

new ResizeObserver(redrawAll).observe(document.body);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
round();
