"use strict";
const sections = [...document.querySelectorAll("main > section")];
const position = document.getElementById("position");
let current = 0;
function showPosition() { position.textContent = "image " + (current + 1) + " of " + sections.length; }
function show(number) {
  current = Math.max(0, Math.min(sections.length - 1, number));
  sections[current].focus({ preventScroll: true });
  sections[current].scrollIntoView();
  showPosition();
}
document.getElementById("previous").addEventListener("click", () => show(current - 1));
document.getElementById("next").addEventListener("click", () => show(current + 1));
document.addEventListener("keydown", event => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input")) return;
  if (event.key === "ArrowRight") { event.preventDefault(); show(current + 1); }
  if (event.key === "ArrowLeft") { event.preventDefault(); show(current - 1); }
});
for (const section of sections) {
  section.addEventListener("focusin", () => { current = sections.indexOf(section); showPosition(); });
  const layers = [...section.querySelectorAll(".stage img + img")];
  const opacity = section.querySelector("input[type=range]");
  function draw() {
    const chosen = section.querySelector("input[type=radio]:checked").value;
    for (const layer of layers) {
      layer.classList.toggle("on", layer.dataset.layer === chosen);
      layer.style.opacity = opacity.value / 100;
    }
  }
  section.addEventListener("input", draw);
  draw();
}
showPosition();
