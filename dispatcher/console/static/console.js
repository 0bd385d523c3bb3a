// What pages do beyond their HTML: the chart, copying, and choosing all. Everything works without it.
"use strict";

const chart = { plot: null, place: null, zone: "UTC" };

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function options(width) {
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  const bars = uPlot.paths.bars({ size: [0.8, 40] });
  const series = (label, name) => ({ label, fill: colour(name), stroke: colour(name), width: 0, paths: bars, points: { show: false } });
  return {
    width,
    height: 200,
    padding: [8, 20, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { range: (_, first, last) => [first - 30, last + 30] }, y: { range: (_, low, high) => [0, Math.max(high, 1) * 1.1] } },
    axes: [
      { ...axis, size: 28, values: (_, ticks) => ticks.map((at) => new Date(at * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: chart.zone })) },
      { ...axis, size: 48, values: (_, ticks) => ticks.map((value) => (Number.isInteger(value) ? value.toLocaleString("en").replace(",", "\u202f") : "")) },
    ],
    series: [{}, series("all", "--bad-fill"), series("delivered and retried", "--retry-fill"), series("delivered", "--good-fill")],
  };
}

// The series lie on top of each other, the highest behind.
function stacked([at, delivered, retried, failed]) {
  const both = delivered.map((value, place) => value + retried[place]);
  return [at, both.map((value, place) => value + failed[place]), both, delivered];
}

function draw() {
  const place = document.getElementById("chart");
  const source = document.getElementById("series");
  if (!place || !source || typeof uPlot === "undefined") return;
  const data = stacked(JSON.parse(source.dataset.series));
  if (chart.plot && chart.place === place) {
    chart.plot.setData(data);
    return;
  }
  chart.zone = place.dataset.zone;
  place.textContent = "";
  chart.place = place;
  chart.plot = new uPlot(options(place.clientWidth), data, place);
}

function redraw() {
  if (chart.plot) chart.plot.destroy();
  chart.plot = null;
  draw();
}

function prepare(root) {
  for (const one of root.querySelectorAll("[data-copy], [data-all], [data-needs-script]")) one.hidden = false;
}

async function copy(button) {
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  const text = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = text; }, 1500);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy], [data-all]");
  if (!button) return;
  if ("copy" in button.dataset) {
    copy(button);
    return;
  }
  const boxes = [...button.closest("fieldset").querySelectorAll("input[type=checkbox]")];
  const wanted = !boxes.every((box) => box.checked);
  for (const box of boxes) box.checked = wanted;
});

document.addEventListener("change", (event) => {
  const name = event.target.dataset.choose;
  if (!name) return;
  for (const box of document.querySelectorAll(`input[name="${name}"]:not(:disabled)`)) box.checked = event.target.checked;
});

// A link to the portal goes on by itself in a frame, and where a page led to it, but not from one account to
// another, as a stranger's page could; a scanner of mails presses no button.
function enter() {
  const form = document.querySelector("form[data-submit]");
  if (form && (window.top !== window.self || (document.referrer && form.dataset.submit === "everywhere"))) form.requestSubmit();
}

document.addEventListener("DOMContentLoaded", () => { prepare(document); draw(); enter(); });
document.addEventListener("htmx:afterSwap", (event) => { prepare(event.target); draw(); });
// What is pending is asked for again until it is finished; then the page has new buttons.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.getResponseHeader("X-Finished")) {
    event.detail.shouldSwap = false;
    location.reload();
  }
});
window.addEventListener("resize", redraw);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

// The server shows times in the viewer's time zone: this browser's, until they choose another one. A choice is HttpOnly,
// and is not overwritten here.
if (!document.cookie.includes("console_zone=")) {
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const isPortal = location.pathname.startsWith("/portal");
  const more = !isPortal ? "path=/console; samesite=lax" : window.isSecureContext ? "path=/portal; samesite=none; secure; partitioned" : "path=/portal";
  document.cookie = `console_zone=${name}; max-age=31536000; ${more}`;
}
