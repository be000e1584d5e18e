(function () {
  var chart = document.querySelector("svg.timeline");
  if (!chart) return;
  var plot = chart.querySelector("svg.plot"), axis = chart.querySelector(".axis");
  var left = plot.x.baseVal.value, width = plot.width.baseVal.value, height = plot.height.baseVal.value;
  var whole = plot.viewBox.baseVal.width, from = 0, span = whole;
  function make(name, attributes, text) {
    var element = document.createElementNS(chart.namespaceURI, name);
    for (var key in attributes) element.setAttribute(key, attributes[key]);
    if (text !== undefined) element.textContent = text;
    axis.appendChild(element);
  }
  function show() {
    span = Math.min(Math.max(span, whole / 5000), whole);
    from = Math.min(Math.max(from, 0), whole - span);
    // Neighbours that touch are told apart where there is room for a line between them.
    chart.classList.toggle("near", span < whole / 6);
    plot.setAttribute("viewBox", from + " 0 " + span + " " + height);
    axis.textContent = "";
    var raw = span / 10000, power = Math.pow(10, Math.floor(Math.log10(raw)));
    var step = power * [1, 2, 5, 10].find(function (f) { return power * f >= raw * 0.999; });
    var digits = Math.max(0, -Math.floor(Math.log10(step)));
    for (var k = Math.ceil(from / 1000 / step); k * step * 1000 <= from + span; k++) {
      var x = left + (k * step * 1000 - from) / span * width;
      make("line", { "class": "grid", x1: x, x2: x, y1: 0, y2: height });
      make("text", { "class": "tick", x: x, y: height + 16, "text-anchor": "middle" }, (k * step).toFixed(digits));
    }
  }
  function zoom(factor, at) { var next = Math.min(Math.max(span * factor, whole / 5000), whole); from = at - (at - from) * next / span; span = next; show(); }
  function time(event) { var box = plot.querySelector(".catch").getScreenCTM(); return (event.clientX - box.e) / box.a; }
  plot.addEventListener("wheel", function (event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 0.8 : 1.25, time(event));
  }, { passive: false });
  var held = null;
  plot.addEventListener("pointerdown", function (event) { held = time(event); plot.setPointerCapture(event.pointerId); });
  plot.addEventListener("pointermove", function (event) { if (held !== null) { from += held - time(event); show(); } });
  plot.addEventListener("pointerup", function () { held = null; });
  plot.addEventListener("pointercancel", function () { held = null; });
  function onClick(name, act) {
    document.querySelectorAll("button[data-" + name + "]").forEach(function (button) {
      button.addEventListener("click", function () { act(button.dataset, Number(button.dataset[name])); });
    });
  }
  onClick("zoom", function (data, factor) {
    if (factor) zoom(factor, from + span / 2); else { from = 0; span = whole; show(); }
  });
  onClick("move", function (data, share) { from += share * span; show(); });
  onClick("from", function (data, start) {
    from = start; span = Number(data.to) - start; show();
    document.getElementById("timeline").scrollIntoView();
  });
})();
