package chart_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"comfygo/internal/chart"
)

// TestSVG checks that a chart is XML, that points which logarithmic axes do not have are left out and that equal factors are equal distances.
func TestSVG(t *testing.T) {
	var s chart.Series
	s.Name = "a < b"
	for _, p := range [][2]float64{{0, 5}, {1, 0}, {1, 10}, {10, 100}, {100, 1000}} {
		s.Add(p[0], p[1])
	}
	text := string(chart.Chart{Title: "costs & sizes", X: "size", Lines: []chart.Series{s}}.SVG())
	d := xml.NewDecoder(strings.NewReader(text))
	var at []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "circle" {
			at = append(at, e.Attr[0].Value+" "+e.Attr[1].Value)
		}
	}
	if want := "70.0 350.0,345.0 195.0,620.0 40.0"; strings.Join(at, ",") != want {
		t.Errorf("points at %v, want %s", at, want)
	}
	if !strings.Contains(text, "a &lt; b") || !strings.Contains(text, "costs &amp; sizes") {
		t.Error("names are not escaped")
	}
}

// TestEmpty checks that a chart without points, or with none that logarithmic axes have, ends.
func TestEmpty(t *testing.T) {
	var zeros chart.Series
	zeros.Add(0, 0)
	for _, lines := range [][]chart.Series{nil, {zeros}} {
		if svg := (chart.Chart{Lines: lines}).SVG(); len(svg) > 4<<10 {
			t.Errorf("%d bytes for no points", len(svg))
		}
	}
}
