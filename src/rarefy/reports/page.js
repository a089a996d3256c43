"use strict";
// Draws the charts in the colours of the page, and opens masks for a closer look.
(() => {
  const style = () => getComputedStyle(document.documentElement);
  const coloured = (part, css) => {
    if (typeof part === "string" && part[0] === "@") {
      const name = /^@\d+$/.test(part) ? "--series-" + part.slice(1) : "--" + part.slice(1);
      return css.getPropertyValue(name).trim();
    }
    if (Array.isArray(part)) return part.map((one) => coloured(one, css));
    if (part && typeof part === "object") {
      return Object.fromEntries(Object.entries(part).map(([k, v]) => [k, coloured(v, css)]));
    }
    return part;
  };
  const axis = (own, css) => ({
    gridcolor: css.getPropertyValue("--grid").trim(),
    linecolor: css.getPropertyValue("--line").trim(),
    zerolinecolor: css.getPropertyValue("--line").trim(),
    automargin: true,
    ...own,
  });
  const plots = [...document.querySelectorAll(".plot")].map((place) => {
    const spec = JSON.parse(place.querySelector("script").textContent);
    place.style.height = spec.layout.height + "px"; // so that nothing moves when it is drawn
    return { place, spec, drawn: false, width: 0 };
  });
  const draw = (plot) => {
    if (!plot.place.checkVisibility()) return; // in a closed part
    const css = style();
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: css.getPropertyValue("--ink").trim(), size: 12, family: getComputedStyle(document.body).fontFamily },
      margin: { l: 8, r: 12, t: 10, b: 8 },
      showlegend: false,
      ...(plot.width && { width: plot.width }),
      ...coloured(plot.spec.layout, css),
      xaxis: axis(coloured(plot.spec.layout.xaxis, css), css),
      yaxis: axis(coloured(plot.spec.layout.yaxis, css), css),
    };
    Plotly.react(plot.place, coloured(plot.spec.data, css), layout, { displayModeBar: false, responsive: true });
    plot.drawn = true;
  };
  const seen = new IntersectionObserver(
    (entries) => entries.forEach((entry) => {
      const plot = plots.find((one) => one.place === entry.target);
      if (entry.isIntersecting && !plot.drawn) draw(plot);
    }),
    { rootMargin: "400px" },
  );
  plots.forEach((plot) => seen.observe(plot.place));
  // What a closed part holds was passed over; it is drawn when the part opens.
  document.querySelectorAll("details").forEach((part) => part.addEventListener("toggle", () => {
    plots.forEach((plot) => part.contains(plot.place) && !plot.drawn && draw(plot));
  }));
  const again = () => plots.forEach((plot) => plot.drawn && draw(plot));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  matchMedia("print").addEventListener("change", again);
  // Paper has columns of a fixed width: a chart cannot follow the page once it is being printed.
  const all = (width) => plots.forEach((plot) => { plot.width = width; draw(plot); });
  addEventListener("beforeprint", () => all(300));
  addEventListener("afterprint", () => all(0));

  const closer = document.getElementById("closer");
  const view = document.getElementById("closer-view");
  const image = document.getElementById("closer-image");
  const slider = document.getElementById("closer-zoom");
  const place = document.getElementById("closer-place");
  const pixel = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const brush = pixel.getContext("2d", { willReadFrequently: true });
  let rows = 1, columns = 1, kernel = 1;
  // The slider holds the power of two: 0 is one pixel of the screen for each weight.
  const size = (power, x = view.clientWidth / 2, y = view.clientHeight / 2) => {
    const box = image.getBoundingClientRect(), frame = view.getBoundingClientRect();
    const across = (frame.left + x - box.left) / box.width || 0;
    const down = (frame.top + y - box.top) / box.height || 0;
    slider.value = Math.min(+slider.max, Math.max(+slider.min, power));
    image.style.width = columns * 2 ** slider.value + "px";
    image.style.height = rows * 2 ** slider.value + "px";
    // Smaller than the screen's pixels, weights are averaged by the browser rather than dropped.
    image.style.imageRendering = slider.value < 0 ? "auto" : "pixelated";
    view.scrollLeft = across * image.offsetWidth - x;
    view.scrollTop = down * image.offsetHeight - y;
  };
  const fit = () => size(Math.log2(Math.min(view.clientWidth / columns, view.clientHeight / rows) * 0.98));
  document.querySelectorAll(".zoom").forEach((button) => button.addEventListener("click", () => {
    rows = +button.dataset.rows;
    columns = +button.dataset.columns;
    kernel = +button.dataset.kernel;
    const small = button.querySelector("img");
    image.src = button.dataset.full || small.src;
    image.alt = small.alt;
    document.getElementById("closer-name").textContent = button.dataset.name;
    place.textContent = "turn the wheel to come closer, drag to move";
    closer.showModal();
    fit();
    if (slider.value < 0) size(0); // exact from the start
  }));
  slider.addEventListener("input", () => size(+slider.value));
  document.getElementById("closer-fit").addEventListener("click", fit);
  document.getElementById("closer-close").addEventListener("click", () => closer.close());
  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    const frame = view.getBoundingClientRect();
    size(+slider.value - event.deltaY / 400, event.clientX - frame.left, event.clientY - frame.top);
  }, { passive: false });
  let held = null;
  view.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse") return; // fingers scroll by themselves
    held = { x: event.clientX + view.scrollLeft, y: event.clientY + view.scrollTop };
    view.classList.add("held");
    view.setPointerCapture(event.pointerId);
  });
  view.addEventListener("pointerup", () => { held = null; view.classList.remove("held"); });
  view.addEventListener("pointermove", (event) => {
    if (held) {
      view.scrollLeft = held.x - event.clientX;
      view.scrollTop = held.y - event.clientY;
    }
    const box = image.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / box.width * columns);
    const row = Math.floor((event.clientY - box.top) / box.height * rows);
    if (column < 0 || row < 0 || column >= columns || row >= rows) return;
    brush.clearRect(0, 0, 1, 1);
    brush.drawImage(image, column, row, 1, 1, 0, 0, 1, 1);
    const kept = brush.getImageData(0, 0, 1, 1).data[3] > 127;
    const where = kernel > 1 ? `, kernel position ${column % kernel}` : "";
    const input = Math.floor(column / kernel);
    place.textContent = `output ${row}, input ${input}${where}: ${kept ? "kept" : "removed"}`;
  });
})();
