"use strict";
// The tab of run folders: boxes choose runs, the URL names them, a run in progress is read again.

const EVERY_MS = 1000;
let query = location.search.slice(1);
let layout = "";
let timer;
let newest = 0;

async function update() {
  clearTimeout(timer);
  const mine = ++newest;
  let found;
  try {
    found = await ask("/runs/answer", query);
  } catch {
    found = { error: "the server does not answer: is wirelessfl page still running?" };
  }
  if (mine !== newest) return;
  report(found.error);
  byId("results").setAttribute("aria-busy", "false");
  if (found.error) {
    if (layout === "" && query !== "") {
      query = "";
      byId("state").replaceChildren(element("a", { href: "/runs", textContent: "the newest run" }));
    }
    return;
  }
  showList(found);
  byId("results").classList.remove("first");
  fill(found.parts);
  for (const card of document.querySelectorAll("[data-part]")) {
    card.hidden = !found.parts[card.dataset.part];
  }
  byId("keys").replaceChildren(...found.chosen.map((name, number) =>
    element("span", { className: "key" }, element("span", { className: `swatch r${number}` }), name)));
  byId("root").textContent = found.root;
  byId("state").textContent = found.names.length === 0 ? `no run folder below ${found.root}`
    : found.live ? "a run is in progress: read again every second" : "";
  timer = setTimeout(update, found.live ? EVERY_MS : 5 * EVERY_MS);
}

function showList(found) {
  const wanted = JSON.stringify(found.names);
  if (wanted !== layout) {
    layout = wanted;
    byId("runs").replaceChildren(...found.names.map(box));
  }
  for (const input of byId("runs").querySelectorAll("input")) {
    input.checked = found.chosen.includes(input.value);
  }
}

function box(name) {
  const input = element("input", { type: "checkbox", value: name });
  input.addEventListener("change", () => {
    const chosen = [...byId("runs").querySelectorAll("input:checked")].map((one) => one.value);
    query = new URLSearchParams(chosen.map((one) => ["run", one])).toString();
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
    update();
  });
  return element("label", { className: "run" }, input, element("span", { textContent: name }));
}

onResize(update);
update();
