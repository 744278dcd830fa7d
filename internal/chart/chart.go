// Package chart draws lines on logarithmic axes as SVG, for tools that measure how costs grow.
package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
)

// Series is a line of a chart.
type Series struct {
	Name string
	xs   []float64
	ys   []float64
}

// Add adds a point.
func (s *Series) Add(x, y float64) { s.xs, s.ys = append(s.xs, x), append(s.ys, y) }

// Chart is a chart with logarithmic axes: what grows linearly is a line at 45 degrees of a decade to a decade. Points that are not above 0 are
// left out.
type Chart struct {
	Title, X string
	Lines    []Series
}

const (
	width, height           = 640.0, 400.0
	left, right, top, below = 70.0, 20.0, 40.0, 50.0
)

var colors = []string{"#0b6e99", "#b3541e", "#5b7f2b", "#7a4fa3"}

// decades are the powers of ten around all values above 0.
func decades(lists ...[]float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, list := range lists {
		for _, v := range list {
			if v > 0 {
				low, high = min(low, math.Floor(math.Log10(v))), max(high, math.Ceil(math.Log10(v)))
			}
		}
	}
	if low > high { // no values
		return 0, 1
	}
	if low == high {
		high = low + 1
	}
	return low, high
}

// SVG draws the chart.
func (c Chart) SVG() []byte {
	var xs, ys [][]float64
	var lines []Series
	for _, l := range c.Lines {
		shown := Series{Name: l.Name}
		for k, x := range l.xs {
			if y := l.ys[k]; x > 0 && y > 0 {
				shown.Add(x, y)
			}
		}
		lines, xs, ys = append(lines, shown), append(xs, shown.xs), append(ys, shown.ys)
	}
	x0, x1 := decades(xs...)
	y0, y1 := decades(ys...)
	px := func(v float64) float64 { return left + (math.Log10(v)-x0)/(x1-x0)*(width-left-right) }
	py := func(v float64) float64 { return height - below - (math.Log10(v)-y0)/(y1-y0)*(height-top-below) }
	var b bytes.Buffer
	text := func(x, y float64, anchor, format string, args ...any) {
		fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="%s">`, x, y, anchor)
		_ = xml.EscapeText(&b, fmt.Appendf(nil, format, args...)) // a buffer takes everything
		b.WriteString("</text>\n")
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" fill="#fff"/>`+"\n", width, height)
	text(left, 22, "start", "%s", c.Title)
	for e := x0; e <= x1; e++ {
		at := px(math.Pow(10, e))
		fmt.Fprintf(&b, `<path d="M%.1f %.1fV%.1f" stroke="#ddd"/>`+"\n", at, top, height-below)
		text(at, height-below+18, "middle", "%g", math.Pow(10, e))
	}
	for e := y0; e <= y1; e++ {
		at := py(math.Pow(10, e))
		fmt.Fprintf(&b, `<path d="M%.1f %.1fH%.1f" stroke="#ddd"/>`+"\n", left, at, width-right)
		text(left-8, at+4, "end", "%g", math.Pow(10, e))
	}
	text((left+width-right)/2, height-12, "middle", "%s", c.X)
	for i, l := range lines {
		color := colors[i%len(colors)]
		path, move := "", "M"
		for k, v := range l.ys {
			path += fmt.Sprintf("%s%.1f %.1f", move, px(l.xs[k]), py(v))
			move = "L"
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", px(l.xs[k]), py(v), color)
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path, color)
		fmt.Fprintf(&b, `<rect x="%.0f" y="%.0f" width="12" height="4" fill="%s"/>`+"\n", left+12, top+8+18*float64(i), color)
		text(left+30, top+14+18*float64(i), "start", "%s", l.Name)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
