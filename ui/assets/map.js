// The map: result layers over a plain background, compared by a slider, with a polygon drawn as the next place.
// Runs as the load script of one Gradio HTML component: `element`, `props`, `trigger` and `watch` come from there.
const root = element.querySelector(".map-view");
const board = root.querySelector(".map-board");
const list = root.querySelector(".map-layers");
const told = root.querySelector(".map-told");
const swipe = root.querySelector(".map-swipe");
const slider = swipe.querySelector("input");
const sides = [...swipe.querySelectorAll("select")];
const tools = root.querySelector(".map-tools");
const HOME = [[34, -25], [71, 42]];

const map = L.map(board, { zoomControl: true, attributionControl: true, worldCopyJump: false, minZoom: 2, maxZoom: 19, zoomSnap: 0.25, doubleClickZoom: false });
map.attributionControl.setPrefix(false);
map.fitBounds(HOME);
L.control.scale({ imperial: false, position: "topright" }).addTo(map);
map.createPane("ground").style.zIndex = 150;
let words = {}, layers = new Map(), units = null, area = null, conversation = null, drawing = null, tiles = null, shape = null, question = "", turn = "";

fetch("page/background.json.gz").then((reply) => reply.ok ? reply.json() : null).then((ground) => {
  if (!ground) return;
  const paint = L.canvas({ pane: "ground", padding: 0.3 });
  L.geoJSON(ground, { pane: "ground", renderer: paint, interactive: false, style: (feature) => feature.properties.kind === "land"
    ? { stroke: false, fillColor: "#eeece4", fillOpacity: 1 } : { color: "#8b8577", weight: 1, fillColor: "#eeece4", fillOpacity: 1 } }).addTo(map);
  map.attributionControl.addAttribution(ground.credit);
}).catch(() => undefined);

function make(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function addLayer(one) {
  const pane = `layer-${one.id}`;
  if (!map.getPane(pane)) map.createPane(pane).style.zIndex = 250 + layers.size;
  const image = L.imageOverlay(one.url, one.bounds, { pane, opacity: 1, className: "pixels", alt: one.title });
  layers.set(one.id, { ...one, pane, image, shown: false });
}

function show(one, shown) {
  one.shown = shown;
  if (shown) one.image.addTo(map); else one.image.remove();
}

function legend(one) {
  const box = make("div", undefined, { class: "map-legend" });
  if (one.ramp.length) {
    const unit = one.unit && one.unit !== "1" ? ` ${one.unit}` : "";
    const bar = make("div", undefined, { class: "map-ramp", role: "img", "aria-label": `${one.low}${unit} – ${one.high}${unit}` });
    bar.style.background = `linear-gradient(to right, ${one.ramp.join(",")})`;
    box.append(make("span", `${one.low}`), bar, make("span", `${one.high}${unit}`));
    return box;
  }
  if (one.mixed) {
    box.append(make("span", words.mixed));
    return box;
  }
  const items = make("ul");
  for (const entry of one.classes) {
    const item = make("li"), patch = make("span", undefined, { class: "map-patch", "aria-hidden": "true" });
    patch.style.background = entry.color;
    item.append(patch, make("span", entry.label));
    items.append(item);
  }
  box.append(items);
  return box;
}

function row(one) {
  const item = make("li"), label = make("label"), box = make("input", undefined, { type: "checkbox" });
  const fade = make("input", undefined, { type: "range", min: 0, max: 100, value: 100, "aria-label": `${words.opacity}: ${one.title}` });
  const faded = make("label", undefined, { class: "map-fade" });
  faded.append(make("span", words.opacity), fade);
  box.checked = one.shown;
  fade.value = Math.round(100 * one.image.options.opacity);
  box.addEventListener("change", () => { show(one, box.checked); clip(); });
  fade.addEventListener("input", () => one.image.setOpacity(fade.value / 100));
  label.append(box, make("strong", one.title));
  item.append(label, make("span", one.dates, { class: "map-dates" }), legend(one), faded);
  item.append(make("p", one.source, { class: one.synthetic ? "map-fake" : "map-source" }), ...(one.licence ? [make("p", `${words.licence}: ${one.licence}`, { class: "map-source" })] : []));
  return item;
}

function draw_list() {
  const all = [...layers.values()].reverse();
  list.replaceChildren(...(shape?.ramp ? [unit_row()] : []), ...all.map(row));
  swipe.hidden = all.length < 2;
  for (const [side, chosen] of sides.entries()) {
    const before = chosen.value;
    chosen.replaceChildren(make("option", "–", { value: "" }), ...all.map((one) => make("option", `${one.dates}: ${one.title}`, { value: one.id })));
    chosen.value = layers.has(before) ? before : "";
    chosen.setAttribute("aria-label", side ? words.after : words.before);
  }
}

function clip() {
  const [left, right] = sides.map((chosen) => layers.get(chosen.value));
  for (const one of layers.values()) map.getPane(one.pane).style.clipPath = "";
  const active = Boolean(left && right && left !== right);
  slider.disabled = !active;
  board.style.setProperty("--swipe", active ? `${slider.value}%` : "-10px");
  if (!active) return;
  const size = map.getSize(), first = map.containerPointToLayerPoint([0, 0]), last = map.containerPointToLayerPoint(size);
  const x = first.x + size.x * slider.value / 100;
  const cut = (from, to) => `polygon(${from}px ${first.y}px, ${to}px ${first.y}px, ${to}px ${last.y}px, ${from}px ${last.y}px)`;
  map.getPane(left.pane).style.clipPath = cut(first.x, x);
  map.getPane(right.pane).style.clipPath = cut(x, last.x);
}

for (const chosen of sides) chosen.addEventListener("change", () => {
  for (const side of sides) if (layers.has(side.value)) show(layers.get(side.value), true);
  draw_list();
  clip();
});
slider.addEventListener("input", clip);
map.on("move zoom zoomend resize", clip);

function tell(feature) {
  const rows = feature.properties.rows, table = make("table"), body = make("tbody"), head = make("tr");
  for (const name of feature.properties.heads) head.append(make("th", name, { scope: "col" }));
  for (const cells of rows) {
    const line = make("tr");
    for (const cell of cells) line.append(make("td", cell));
    body.append(line);
  }
  const top = make("thead");
  top.append(head);
  table.append(make("caption", feature.properties.name), top, body);
  told.replaceChildren(table);
  told.hidden = false;
}

function show_units(data) {
  units?.remove();
  told.hidden = true;
  shape = data;
  units = data && L.geoJSON(data.collection, {
    style: paint_unit,
    onEachFeature: (feature, drawn) => {
      drawn.bindTooltip(() => make("span", feature.properties.tip), { sticky: true });
      drawn.on("click", () => { if (!drawing) tell(feature); });
    },
  }).addTo(map);
}

function paint_unit(feature) {
  const color = shape.filled && feature.properties.color;
  return { color: "#1f2937", weight: 1.5, fillColor: color || "#ffffff", fillOpacity: color ? 0.85 : 0.03 };
}

function unit_row() {
  const item = make("li"), label = make("label"), box = make("input", undefined, { type: "checkbox" });
  box.checked = shape.filled;
  box.addEventListener("change", () => { shape.filled = box.checked; units.setStyle(paint_unit); });
  label.append(box, make("strong", words.units));
  item.append(label, legend({ ...shape.ramp, classes: [] }));
  return item;
}

function show_area(data) {
  area?.remove();
  area = data && L.geoJSON(data, { interactive: false, style: { color: "#1d4ed8", weight: 3, dashArray: "6 4", fill: false } }).addTo(map);
}

function corner(event) {
  if (!drawing) return;
  drawing.points.push([event.latlng.lat, event.latlng.lng]);
  drawing.line.setLatLngs(drawing.points);
  L.circleMarker(event.latlng, { radius: 5, color: "#1d4ed8", fillColor: "#fff", fillOpacity: 1, interactive: false }).addTo(drawing.dots);
  tools.querySelector("[data-do=finish]").disabled = drawing.points.length < 3;
}

function begin() {
  stop();
  drawing = { points: [], line: L.polygon([], { color: "#1d4ed8", weight: 2, interactive: false }).addTo(map), dots: L.layerGroup().addTo(map) };
  board.classList.add("drawing");
  buttons();
}

function stop() {
  drawing?.line.remove();
  drawing?.dots.remove();
  drawing = null;
  board.classList.remove("drawing");
  buttons();
}

function finish() {
  if (!drawing || drawing.points.length < 3) return;
  const ring = drawing.points.map(([lat, lon]) => [lon, lat]);
  stop();
  trigger("submit", { geometry: { type: "Polygon", coordinates: [[...ring, ring[0]]] } });
}

function buttons() {
  for (const button of tools.querySelectorAll("[data-do]")) {
    const name = button.dataset.do;
    button.hidden = (name === "draw") === Boolean(drawing);
    button.disabled = name === "finish";
    button.textContent = words[name] || name;
  }
  const colour = tools.querySelector("[data-ask]");
  colour.hidden = Boolean(drawing) || !question;
  colour.textContent = words.colour;
  tools.querySelector(".map-hint").textContent = drawing ? words.hint : "";
}

tools.querySelector("[data-ask]").addEventListener("click", () => trigger("select", { ask: question }));
tools.addEventListener("click", (event) => ({ draw: begin, finish, cancel: stop })[event.target.dataset?.do]?.());
map.on("click", corner);
map.on("dblclick", finish);

function bounds_of(given) {
  const all = L.latLngBounds([]);
  for (const one of given.layers) if (given.shown.includes(one.id)) all.extend(one.bounds);
  if (units) all.extend(units.getBounds());
  if (area && given.go_to_area) all.extend(area.getBounds());
  return all;
}

function update() {
  const given = typeof props.value === "string" ? JSON.parse(props.value || "null") : props.value;
  if (!given) return;
  words = given.words;
  question = given.colour_question;
  board.setAttribute("aria-label", words.map);
  slider.setAttribute("aria-label", words.swipe);
  swipe.querySelector("span").textContent = words.swipe;
  if (given.tiles && !tiles) tiles = L.tileLayer(given.tiles, { attribution: given.tiles_credit, pane: "tilePane", maxZoom: 19, referrerPolicy: "strict-origin-when-cross-origin" }).addTo(map);
  if (given.conversation !== conversation) {
    for (const one of layers.values()) one.image.remove();
    layers = new Map();
    conversation = given.conversation;
  }
  // One that is there already may have its words in another language now.
  for (const one of given.layers) layers.has(one.id) ? Object.assign(layers.get(one.id), one) : addLayer(one);
  if (given.turn !== turn) for (const one of layers.values()) show(one, given.shown.includes(one.id));
  turn = given.turn;
  show_units(given.units);
  show_area(given.area);
  draw_list();
  buttons();
  clip();
  map.invalidateSize();
  const box = bounds_of(given);
  if (box.isValid()) map.fitBounds(box, { padding: [16, 16], animate: false }); else if (!area) map.fitBounds(HOME, { animate: false });
}

watch("value", update);
update();
buttons();
new ResizeObserver(() => map.invalidateSize()).observe(board);
