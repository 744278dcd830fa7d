// A line over time, drawn as SVG.
import { svg } from "./icons.js";
import { h } from "./dom.js";

const [width, height] = [600, 140];

/**
 * Chart draws series of one unit. series: [{name, color}], where color is a name of the style sheet (chart-1, chart-2).
 * add(time, values) puts a point at the right; points older than span milliseconds leave at the left.
 */
export class Chart {
  constructor(label, series, { span = 300_000, format = String } = {}) {
    Object.assign(this, { label, series, span, format, points: [], most: 0 });
    this.plot = svg("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img" });
    this.top = h("span", { class: "axis" });
    this.legend = h("p", { class: "legend" }, series.map((s) => h("span", { class: `key ${s.color}` }, h("i", {}), h("span", { text: s.name }), s.now = h("b", {}))));
    this.el = h("figure", { class: "chart" }, h("figcaption", { text: label }), h("div", { class: "plot-box" }, this.plot, this.top), this.legend);
  }

  /** add takes a point; limit is the top of the axis when it is known. */
  add(time, values, limit = 0) {
    this.points.push({ time, values });
    this.points = this.points.filter((p) => p.time > time - this.span);
    this.most = limit || Math.max(1, ...this.points.flatMap((p) => p.values)) * 1.15;
    this.draw(time);
  }

  draw(now) {
    const span = Math.min(this.span, Math.max(60_000, now - this.points[0].time));
    const x = (t) => width - ((now - t) / span) * width;
    const y = (v) => height - (v / this.most) * (height - 6) - 2;
    const shapes = [];
    this.series.forEach((s, i) => {
      const line = this.points.map((p) => `${x(p.time).toFixed(1)},${y(p.values[i]).toFixed(1)}`);
      if (line.length > 1) shapes.push(svg("polygon", { class: `area ${s.color}`, points: `${x(this.points[0].time).toFixed(1)},${height} ${line.join(" ")} ${width},${height}` }));
      shapes.push(svg("polyline", { class: `line ${s.color}`, points: line.join(" ") }));
      s.now.textContent = this.format(this.points.at(-1).values[i]);
    });
    this.plot.replaceChildren(...shapes);
    this.top.textContent = this.format(this.most);
    this.plot.setAttribute("aria-label", `${this.label}: ${this.series.map((s, i) => `${s.name} ${this.format(this.points.at(-1).values[i])}`).join(", ")}`);
  }
}
