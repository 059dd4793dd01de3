// The panel of the coordinator: contact, session, membership, actions and alarms.

import * as numbers from "./numbers.js";

const CONTACTS = {
  connected: ["● Connected", "good"],
  disconnected: ["▲ No contact", "warn"],
  connecting: ["✕ No session", "bad"],
};

const MEMBERSHIPS = {
  online: ["● Online", "good"],
  waiting: ["◌ Waiting", "warn"],
  leaving: ["▲ Leaving", "warn"],
  unregistered: ["✕ Unregistered", "bad"],
};

const byId = (id) => document.getElementById(id);

/** Shows how the proxy stands with its coordinator; without one, null, there is no panel. */
export function showCoordinator(report, element) {
  byId("coordinator-card").hidden = !report;
  if (!report) return;
  byId("coordinator-summary").textContent = `${report.kind} at ${report.addrs}`;
  byId("coordinator").replaceChildren(...facts(report, element).map(([name, ...value]) =>
    element("div", element("dt", name), element("dd", ...value))));
  showAlarms(report, element);
}

function facts(report, element) {
  const age = report.session_age_seconds;
  const found = [
    ["Contact", state(CONTACTS, report.contact, element)],
    ["Session", age == null ? "–" : numbers.span(age * 1000), small(`${report.sessions_total} so far`, element)],
    ["Membership", state(MEMBERSHIPS, report.membership, element)],
    ["Node", report.node ?? "–"],
  ];
  const total = report.actions_answered_total + report.actions_waiting;
  if (total === 0 && !report.last_action) return found;
  const waiting = element("span", `${numbers.count(report.actions_waiting)} waiting`);
  waiting.dataset.kind = report.actions_waiting > 0 ? "warn" : "";
  return [
    ...found,
    ["Actions", waiting, small(`${numbers.count(report.actions_answered_total)} answered`, element)],
    ["Last action", ...lastAction(report.last_action, element)],
  ];
}

function lastAction(action, element) {
  if (!action) return ["–"];
  const after = action.answered_after_ms;
  const answer = after == null
    ? `not answered for ${numbers.span(Math.max(0, Date.now() - Date.parse(action.seen)))}`
    : `answered after ${numbers.time(after * 1000)}`;
  return [`${action.type} ${action.sequence}`, small(`${clock(action.seen)}, ${answer}`, element)];
}

function showAlarms(report, element) {
  const lines = report.alarms.map(({ text, since }) =>
    element("li", text, small(`since ${clock(since)}`, element)));
  const untold = report.alarm_count - report.alarms.length;
  if (untold > 0) lines.push(element("li", `${untold} more`));
  // Screen readers say it when it changes, not every second.
  const text = lines.map((line) => line.textContent).join("\n");
  if (byId("alarms").dataset.text === text) return;
  byId("alarms").dataset.text = text;
  byId("alarms").replaceChildren(...lines);
}

function state(words, word, element) {
  const [text, kind] = words[word] ?? [word, ""];
  const made = element("span", text);
  made.className = "state";
  made.dataset.kind = kind;
  return made;
}

function small(text, element) {
  return element("small", text);
}

/** A moment of today by its time, another one with its day. */
function clock(text) {
  const at = new Date(text);
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? at.toLocaleTimeString() : at.toLocaleString();
}
