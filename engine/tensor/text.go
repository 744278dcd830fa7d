package tensor

import (
	"fmt"
	"math"
	"strings"
)

// Limits of the text form, PyTorch's defaults (torch._tensor_str).
const (
	textPrecision = 4
	textThreshold = 1000
	textLine      = 80
	textEdge      = 3
)

// String is the tensor as PyTorch prints it. Beyond a thousand elements only the edges are shown.
func (t *Tensor) String() string { return t.Text(textEdge) }

// Text is String with another number of elements at each edge.
func (t *Tensor) Text(edge int) string {
	if t == nil {
		return "None"
	}
	if len(t.Data) == 0 {
		if len(t.Shape) == 1 {
			return "tensor([])"
		}
		sizes := strings.Trim(strings.ReplaceAll(fmt.Sprint(t.Shape), " ", ", "), "[]")
		return "tensor([], size=(" + sizes + "))"
	}
	p := printer{edge: edge, short: len(t.Data) > textThreshold}
	p.measure(t)
	return "tensor(" + p.block(t.Shape, t.Data, len("tensor(")) + ")"
}

// printer is how the elements of one tensor are written.
type printer struct {
	edge     int
	short    bool
	whole    bool // all elements are whole numbers
	exponent bool
	width    int
}

// measure decides on the form of the elements that are shown.
func (p *printer) measure(t *Tensor) {
	p.whole, p.width = true, 1
	lowest, highest := math.Inf(1), 0.0
	var values []float64
	p.each(t.Shape, t.Data, func(v float64) {
		if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
			return
		}
		values = append(values, v)
		lowest, highest = min(lowest, math.Abs(v)), max(highest, math.Abs(v))
		p.whole = p.whole && v == math.Ceil(v)
	})
	if len(values) == 0 {
		return
	}
	p.exponent = highest/lowest > 1000 || highest > 1e8 || !p.whole && lowest < 1e-4
	for _, v := range values {
		p.width = max(p.width, len(p.plain(v)))
	}
}

// each visits the elements that are shown.
func (p *printer) each(shape []int, data []float32, visit func(float64)) {
	if len(shape) == 0 {
		visit(float64(data[0]))
		return
	}
	size := len(data) / shape[0]
	for i := range shape[0] {
		if p.hidden(i, shape[0]) {
			continue
		}
		p.each(shape[1:], data[i*size:(i+1)*size], visit)
	}
}

func (p *printer) hidden(i, n int) bool {
	return p.short && n > 2*p.edge && i >= p.edge && i < n-p.edge
}

// plain writes an element without padding.
func (p *printer) plain(v float64) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 0):
		return strings.ToLower(strings.TrimPrefix(fmt.Sprint(v), "+"))
	case p.exponent:
		return fmt.Sprintf("%.*e", textPrecision, v)
	case p.whole:
		return fmt.Sprintf("%.0f.", v)
	}
	return fmt.Sprintf("%.*f", textPrecision, v)
}

func (p *printer) element(v float32) string { return fmt.Sprintf("%*s", p.width, p.plain(float64(v))) }

// block writes a tensor of any rank in brackets.
func (p *printer) block(shape []int, data []float32, indent int) string {
	switch len(shape) {
	case 0:
		return p.element(data[0])
	case 1:
		return p.vector(data, indent)
	}
	var parts []string
	size := len(data) / shape[0]
	for i := range shape[0] {
		if p.hidden(i, shape[0]) {
			if i == p.edge {
				parts = append(parts, "...")
			}
			continue
		}
		parts = append(parts, p.block(shape[1:], data[i*size:(i+1)*size], indent+1))
	}
	return "[" + strings.Join(parts, ","+strings.Repeat("\n", len(shape)-1)+strings.Repeat(" ", indent+1)) + "]"
}

func (p *printer) vector(data []float32, indent int) string {
	var items []string
	for i, v := range data {
		if !p.hidden(i, len(data)) {
			items = append(items, p.element(v))
		} else if i == p.edge {
			items = append(items, " ...")
		}
	}
	perLine := max(1, (textLine-indent)/(p.width+2))
	var lines []string
	for from := 0; from < len(items); from += perLine {
		lines = append(lines, strings.Join(items[from:min(from+perLine, len(items))], ", "))
	}
	return "[" + strings.Join(lines, ",\n"+strings.Repeat(" ", indent+1)) + "]"
}
