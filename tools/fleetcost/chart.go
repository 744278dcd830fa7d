package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
)

// series is a line of a chart.
type series struct {
	name string
	xs   []float64
	ys   []float64
}

func (s *series) add(x, y float64) { s.xs, s.ys = append(s.xs, x), append(s.ys, y) }

// chart is a chart with logarithmic axes: what grows linearly is a line at 45 degrees of a decade to a decade.
type chart struct {
	title, x string
	lines    []series
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
	if low >= high {
		high = low + 1
	}
	return low, high
}

// svg draws the chart.
func (c chart) svg() []byte {
	var xs, ys [][]float64
	for _, l := range c.lines {
		xs, ys = append(xs, l.xs), append(ys, l.ys)
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
	text(left, 22, "start", "%s", c.title)
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
	text((left+width-right)/2, height-12, "middle", "%s", c.x)
	for i, l := range c.lines {
		color := colors[i%len(colors)]
		path, move := "", "M"
		for k, v := range l.ys {
			if v <= 0 {
				continue
			}
			path += fmt.Sprintf("%s%.1f %.1f", move, px(l.xs[k]), py(v))
			move = "L"
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", px(l.xs[k]), py(v), color)
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path, color)
		fmt.Fprintf(&b, `<rect x="%.0f" y="%.0f" width="12" height="4" fill="%s"/>`+"\n", left+12, top+8+18*float64(i), color)
		text(left+30, top+14+18*float64(i), "start", "%s", l.name)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
