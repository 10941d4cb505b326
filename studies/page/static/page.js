"use strict";
// The what-if tab: controls change the state, the server answers, the state stands in the URL.

const PAUSE_MS = 120; // without a change before the slower parts are asked for
const AGAIN_MS = 500; // until the front is asked for again where another window was served
let query = location.search.slice(1);
let layout = "";
let busy = false;
let again = false;
let pause;
let restRequest;

async function update() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  do {
    again = false;
    await answerOnce();
  } while (again);
  busy = false;
  clearTimeout(pause);
  pause = setTimeout(updateRest, PAUSE_MS);
}

async function answerOnce() {
  let found;
  try {
    found = await ask("/answer", query);
  } catch {
    found = { error: "the server does not answer: is wirelessfl page still running?" };
  }
  report(found.error);
  if (found.error) {
    byId("results").setAttribute("aria-busy", "false");
    return;
  }
  if (!again) showControls(found); // else they are ahead of this answer
  byId("results").classList.remove("first");
  fill(found.parts);
  byId("infeasible-box").hidden = found.parts.reasons === "";
  if (!again) {
    query = found.query;
    history.replaceState(null, "", `?${query}`);
    byId("tab-round").href = `/?${query}`;
    for (const link of document.querySelectorAll("[data-file]")) {
      link.href = `/file/${link.dataset.file}?${query}`;
      link.download = "";
    }
  }
  byId("results").setAttribute("aria-busy", "false");
}

async function updateRest() {
  if (!byId("error").hidden) return;
  if (restRequest) restRequest.abort();
  restRequest = new AbortController();
  byId("front").classList.add("stale");
  try {
    if (!byId("infeasible-box").hidden) {
      const repairs = await ask("/repairs", query, restRequest.signal);
      if (!repairs.error) fill(repairs.parts);
    }
    const front = await ask("/front", query, restRequest.signal);
    if (front.again) {
      pause = setTimeout(updateRest, AGAIN_MS);
      return;
    }
    if (front.error) byId("front-note").textContent = front.error;
    fill(front.error ? { front: "" } : front.parts);
    byId("front").classList.remove("stale");
  } catch (error) {
    if (error.name !== "AbortError") byId("front-note").textContent = "the server does not answer";
  }
}

function change(name, value) {
  const state = new URLSearchParams(query);
  if (name === "scenario") {
    query = new URLSearchParams({ scenario: value, ...kept(state, ["compare"]) }).toString();
  } else {
    if (value === "") state.delete(name);
    else state.set(name, value);
    query = state.toString();
  }
  update();
}

function kept(state, names) {
  return Object.fromEntries(names.filter((one) => state.has(one)).map((one) => [one, state.get(one)]));
}

function showControls(found) {
  const rows = [
    { name: "scenario", label: "scenario", value: found.scenario, choices: found.scenarios },
    ...found.controls,
  ];
  const after = rows.findIndex((row) => row.name === "allocation.method") + 1;
  rows.splice(after, 0, {
    name: "compare",
    label: "compare with",
    value: found.compare,
    choices: ["", ...found.methods.filter((name) => name !== valueOf(rows, "allocation.method"))],
  });
  const wanted = JSON.stringify(rows.map((row) => [row.name, row.choices, row.low, row.high, row.step]));
  if (wanted !== layout) {
    layout = wanted;
    const focused = document.activeElement && document.activeElement.id;
    byId("controls").replaceChildren(...rows.map(control));
    if (focused && byId(focused)) byId(focused).focus();
  }
  for (const row of rows) {
    for (const input of document.querySelectorAll(`[data-name="${row.name}"]`)) {
      const mine = input === document.activeElement && input.type === "number";
      if (!mine) input.value = row.value;
    }
  }
}

function valueOf(rows, name) {
  return rows.find((row) => row.name === name).value;
}

function control(row) {
  const id = `in-${row.name}`;
  const label = element("label", { htmlFor: id, textContent: row.label });
  const box = element("div", { className: "control" }, label);
  if (row.choices && row.choices.length) {
    const options = row.choices.map((name) =>
      element("option", { value: name, textContent: name || "none" }));
    box.append(listening(element("select", { id }, ...options), row, "change"));
    return box;
  }
  const limits = { min: row.low, max: row.high, step: row.step };
  const slider = element("input", { type: "range", id: `${id}-slider`, ...limits });
  slider.setAttribute("aria-label", `${row.label}, slider`);
  const field = element("input", { type: "number", id, step: row.step, placeholder: "per client" });
  box.append(listening(slider, row, "input"), listening(field, row, "input"));
  return box;
}

function listening(input, row, event) {
  input.dataset.name = row.name;
  input.addEventListener(event, () => {
    if (input.value === "" && input.type === "number") return;
    for (const twin of document.querySelectorAll(`[data-name="${row.name}"]`)) {
      if (twin !== input) twin.value = input.value;
    }
    change(row.name, row.unit ? `${input.value}${row.unit}` : input.value);
  });
  return input;
}

byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("reset").addEventListener("click", () => {
  const state = new URLSearchParams(query);
  query = state.has("scenario") ? new URLSearchParams(kept(state, ["scenario"])).toString() : "";
  if (!byId("error").hidden && layout === "") query = "";
  update();
});
onResize(update);
update();
