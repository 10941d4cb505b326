"use strict";
// Shared by both tabs: theme, requests, and parts of the page that the server renders.

const byId = (id) => document.getElementById(id);

async function ask(path, query, signal) {
  const width = Math.round(document.querySelector(".picture").clientWidth);
  const answer = await fetch(`${path}?${query}${query ? "&" : ""}width=${width}`, { signal });
  return answer.json();
}

function fill(parts) {
  for (const [name, content] of Object.entries(parts)) {
    const place = byId(name);
    if (place !== null) place.innerHTML = content;
  }
}

function report(line) {
  byId("error").hidden = !line;
  byId("error").textContent = line || "";
  byId("results").classList.toggle("stale", Boolean(line));
}

function element(kind, properties, ...children) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
}

const dark = window.matchMedia("(prefers-color-scheme: dark)");
setTheme(localStorage.getItem("theme") || (dark.matches ? "dark" : "light"));
byId("theme").addEventListener("click", () => {
  const other = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", other);
  setTheme(other);
});

let resized;
function onResize(redraw) {
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    clearTimeout(resized);
    resized = setTimeout(redraw, 150);
  });
}
