(function () {
  var data = JSON.parse(document.getElementById("points").textContent);
  var table = document.querySelector("table.points"), body = table.tBodies[0];
  var filter = document.getElementById("filter"), state = document.getElementById("state"), said = document.getElementById("found");
  var rows = data.rows, found = rows, shown = 0, sorted = -1, falling = false;
  var PAGE = 100, KEYS = data.keys.length, STATES = { V: "VALID", I: "INVALID", F: "failed", M: "missing" };
  function values(point) { return data.points[point].places.map(function (place, key) { return data.texts[key][place]; }); }
  function name(point) {
    return "point " + point + ": " + values(point).map(function (value, key) { return data.keys[key] + " = " + value; }).join(", ");
  }
  // What a column sorts by, and what it shows: the point, its keys, tier, class, runs, then figures.
  function cell(row, column) {
    var point = data.points[row[0]];
    if (column === 0) return row[0];
    if (column <= KEYS) return point.places[column - 1];
    if (column === KEYS + 1) return data.tiers[row[1]];
    if (column === KEYS + 2) return data.classes[row[2]];
    if (column === KEYS + 3) return point.runs.replace(/V/gi, "").length;
    return row[column - KEYS - 1];
  }
  function number(value, share) {
    if (value === null) return "-";
    if (value === "inf") return "\u221e";
    return share ? (100 * value).toFixed(1) + " %" : value.toFixed(value < 100 ? 2 : 1);
  }
  function add(row, text, kind, tag) {
    var made = document.createElement(tag || "td");
    if (kind) made.className = kind;
    made.textContent = text;
    row.appendChild(made);
    return made;
  }
  function links(cell, point) {
    point.runs.split("").forEach(function (letter, run) {
      var known = STATES[letter.toUpperCase()], link = document.createElement(letter === "M" ? "span" : "a");
      var folder = "points/" + encodeURIComponent(point.slug) + "/run=" + run + "/";
      if (letter !== "M") link.href = folder + (letter === "F" ? "failure.json" : letter < "a" ? "report.html" : "");
      link.className = "run " + known;
      link.title = "run " + run + ", seed " + data.seeds[run] + ": " + known;
      link.textContent = run + { V: "", I: "!", F: "\u2717", M: "?" }[letter.toUpperCase()];
      cell.appendChild(link);
    });
  }
  function draw(row) {
    var made = document.createElement("tr"), point = data.points[row[0]];
    add(made, "#" + row[0], "", "th").scope = "row";
    values(row[0]).forEach(function (value) { add(made, value, "l"); });
    add(made, data.tiers[row[1]], "l");
    add(made, data.classes[row[2]], "l");
    links(add(made, "", "l"), point);
    row.slice(3).forEach(function (value, column) {
      if (column === 0) add(made, value === null ? "-" : String(value));
      else add(made, number(value, column < 4), column === 1 ? "main" : "");
    });
    return made;
  }
  function more(count) {
    var piece = document.createDocumentFragment(), end = Math.min(shown + count, found.length);
    for (; shown < end; shown++) piece.appendChild(draw(found[shown]));
    body.appendChild(piece);
    said.textContent = found.length + " of " + rows.length + " rows" + (shown < found.length ? ", " + shown + " shown" : "");
    document.querySelectorAll("button[data-more]").forEach(function (button) { button.disabled = shown === found.length; });
  }
  function matches(row, words) {
    var point = data.points[row[0]];
    if (state.value && !new RegExp(state.value, "i").test(point.runs)) return false;
    var text = values(row[0]).concat(data.tiers[row[1]], data.classes[row[2]], "#" + row[0] + " ").join(" ").toLowerCase();
    return words.every(function (word) { return text.indexOf(word[0] === "#" ? word + " " : word) >= 0; });
  }
  function show() {
    var words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = rows.filter(function (row) { return matches(row, words); });
    if (sorted >= 0) {
      found.sort(function (a, b) {
        var x = cell(a, sorted), y = cell(b, sorted);
        // What is undefined comes last either way; what has no finite value is greater than all.
        if (x === null || y === null) return (x === null) - (y === null) || a[0] - b[0];
        if (x === "inf") x = Infinity;
        if (y === "inf") y = Infinity;
        return (x < y ? -1 : x > y ? 1 : 0) * (falling ? -1 : 1) || a[0] - b[0];
      });
    }
    body.textContent = "";
    shown = 0;
    more(PAGE);
  }
  table.querySelectorAll("thead button").forEach(function (button, column) {
    button.addEventListener("click", function () {
      falling = sorted === column && !falling;
      sorted = column;
      table.querySelectorAll("thead th").forEach(function (head, other) {
        if (other === column) head.setAttribute("aria-sort", falling ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      });
      show();
    });
  });
  filter.addEventListener("input", show);
  state.addEventListener("change", show);
  document.querySelectorAll("button[data-more]").forEach(function (button) {
    button.addEventListener("click", function () { more(Number(button.dataset.more) || found.length); });
  });
  // A mark of a chart names its point under the pointer, and leads to its rows.
  document.addEventListener("pointerover", function (event) {
    var mark = event.target.closest("[data-p]");
    if (!mark || mark.dataset.named) return;
    var title = mark.querySelector("title") || mark.appendChild(document.createElementNS(mark.namespaceURI, "title"));
    title.textContent = name(Number(mark.dataset.p)) + (title.textContent ? "; " + title.textContent : "");
    mark.dataset.named = "1";
  });
  document.addEventListener("click", function (event) {
    var mark = event.target.closest("[data-p]");
    if (!mark || mark.closest("a")) return;
    filter.value = "#" + mark.dataset.p;
    state.value = "";
    show();
    document.getElementById("all-points").scrollIntoView();
  });
  show();
})();
