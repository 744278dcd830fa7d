package app

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"
)

// TestBar draws a bar: each line covers the one before, and the last one is full.
func TestBar(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := &bar{out: &out, title: "Laden des Modells mit einem sehr langen Namen 模型 (4)", start: time.Now()}
	b.draw("")
	b.last = time.Now().Add(time.Hour) // the next step comes too soon to be drawn
	b.step(1, 4)
	b.step(4, 4)
	b.end("done")
	lines := strings.Split(strings.TrimPrefix(strings.TrimSuffix(out.String(), "\n"), "\r"), "\r")
	if len(lines) != 3 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	widths := []int{}
	for _, l := range lines {
		widths = append(widths, uniseg.StringWidth(l))
		if !strings.HasPrefix(l, "Laden des Modells mit einem seh…") {
			t.Errorf("the title of %q", l)
		}
	}
	if widths[1] < widths[0] || widths[2] < widths[1] {
		t.Errorf("the lines are %v columns wide", widths)
	}
	if strings.Count(lines[0], "=") != 0 || strings.Count(lines[2], "=") != barWidth || !strings.Contains(lines[1], "] 4/4") || !strings.Contains(lines[2], "] done") {
		t.Errorf("drawn is %q", lines)
	}
}

// TestBarStopped leaves the bar where it was.
func TestBarStopped(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := &bar{out: &out, title: "模型", start: time.Now()}
	b.step(1, 4)
	b.end("stopped")
	last := out.String()[strings.LastIndexByte(out.String(), '\r')+1:]
	if strings.Count(last, "=") != barWidth/4 || !strings.HasSuffix(last, "stopped\n") || uniseg.StringWidth(fitted("模型模型", 5)) != 5 {
		t.Errorf("drawn is %q", last)
	}
}
