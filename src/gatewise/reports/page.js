"use strict";
(() => {
  const templates = JSON.parse(document.getElementById("templates").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  // A finger that drags wants to scroll, a mouse to zoom.
  const dragmode = window.matchMedia("(hover: hover)").matches ? "zoom" : false;
  const charts = [...document.querySelectorAll(".chart")];

  function draw(template) {
    for (const chart of charts) {
      const { data, layout } = JSON.parse(chart.previousElementSibling.textContent);
      const config = { responsive: true, displayModeBar: false };
      Plotly.react(chart, data, { ...layout, template, dragmode }, config);
    }
  }

  const drawForScreen = () => draw(dark.matches ? templates.dark : templates.light);
  drawForScreen();
  dark.addEventListener("change", drawForScreen);

  // Paper is white and narrower than most screens; the figures are drawn anew for it.
  window.addEventListener("beforeprint", () => {
    document.body.style.width = "680px";
    draw(templates.light);
    for (const chart of charts) Plotly.Plots.resize(chart);
  });
  window.addEventListener("afterprint", () => {
    document.body.style.width = "";
    drawForScreen();
    for (const chart of charts) Plotly.Plots.resize(chart);
  });

  for (const button of document.querySelectorAll(".code button")) {
    button.addEventListener("click", async () => {
      const content = button.nextElementSibling;
      try {
        await navigator.clipboard.writeText(content.textContent);
        button.textContent = "Copied";
      } catch {  // a browser may forbid it to a local file
        window.getSelection().selectAllChildren(content);
        button.textContent = "Press Ctrl+C";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
})();
