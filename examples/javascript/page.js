// The page: choose a file and an image, see the detections.

import { Detector } from "./detector.js";

const COLORS = ["#a351fb", "#ff4040", "#ff7633", "#ffb633", "#4cfb12", "#1b9640", "#00d6c1", "#00c4ff", "#364797"];
const [fileInput, imageInput, slider, shownConfidence, status, canvas, table, json] = [
  "file",
  "image",
  "confidence",
  "shown-confidence",
  "status",
  "canvas",
  "detections",
  "json",
].map((id) => document.getElementById(id));

let detector = null;
let picture = null;

fileInput.addEventListener("change", () =>
  report(async () => {
    status.textContent = "opening the file …";
    detector = await Detector.open(await fileInput.files[0].arrayBuffer());
    slider.min = detector.lowestConfidence;
    await update();
  }),
);
imageInput.addEventListener("change", () =>
  report(async () => {
    // The bitmap is rotated according to the EXIF data of the file.
    picture = await createImageBitmap(imageInput.files[0]);
    await update();
  }),
);
slider.addEventListener("input", () => (shownConfidence.textContent = Number(slider.value).toFixed(2)));
slider.addEventListener("change", () => report(update));

/** Run a step of the page; show its error instead of the result. */
async function report(step) {
  status.classList.remove("failed");
  try {
    await step();
  } catch (error) {
    status.classList.add("failed");
    status.textContent = error.message;
  }
}

/** Detect objects in the image, and show them. */
async function update() {
  if (!detector || !picture) {
    status.textContent = detector ? "choose an image" : "choose an exported file";
    return;
  }
  [canvas.width, canvas.height] = [picture.width, picture.height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  const start = performance.now();
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const found = await detector.detect(pixels, { ...detector.defaults, confidence: Number(slider.value) });
  const time = Math.round(performance.now() - start);
  draw(context, found);
  table.tBodies[0].replaceChildren(...found.slice(0, 100).map(tableRow));
  json.textContent = JSON.stringify(found);
  status.textContent = `${found.length} detection${found.length === 1 ? "" : "s"}, ${time} ms`;
}

/** Draw boxes and labels; the most confident last, so that they are on top. */
function draw(context, found) {
  const side = (canvas.width + canvas.height) / 2;
  const [line, size] = [Math.max(1, Math.round(0.004 * side)), Math.max(9, Math.round(0.022 * side))];
  context.lineWidth = line;
  context.font = `${size}px sans-serif`;
  context.textBaseline = "bottom";
  for (const { class_id, name, confidence, box } of [...found].reverse()) {
    const [x1, y1, x2, y2] = box;
    const label = `${name} ${confidence.toFixed(2)}`;
    const color = COLORS[class_id % COLORS.length];
    context.strokeStyle = context.fillStyle = color;
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    const bottom = Math.max(y1, 1.3 * size);
    context.fillRect(x1, bottom - 1.3 * size, context.measureText(label).width + size / 2, 1.3 * size);
    context.fillStyle = isBright(color) ? "black" : "white";
    context.fillText(label, x1 + size / 4, bottom - 0.1 * size);
  }
}

function isBright(color) {
  const [red, green, blue] = [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140;
}

function tableRow({ name, confidence, box }) {
  const row = document.createElement("tr");
  for (const text of [name, confidence.toFixed(2), ...box.map((side) => side.toFixed(1))]) {
    row.insertCell().textContent = text;
  }
  return row;
}
