package app

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rivo/uniseg"
)

const (
	barWidth   = 40 // columns
	titleWidth = 32 // columns; longer titles are cut
	redrawn    = 50 * time.Millisecond
)

// bar is one line of a terminal that shows how far a node is. It is drawn anew in place until it ends.
type bar struct {
	out         io.Writer
	title       string
	start       time.Time
	last        time.Time // when it was drawn
	width       int       // columns of the line as it was drawn last
	value, most int64
}

// step sets the progress; the line is drawn at most every 50 ms, and for the last step.
func (b *bar) step(value, most int64) {
	b.value, b.most = value, most
	if value == most || time.Since(b.last) >= redrawn {
		b.draw("")
	}
}

// end draws the bar the last time, with a word in place of the counters, and ends the line.
func (b *bar) end(word string) {
	if word == "done" {
		b.most = max(b.most, 1)
		b.value = b.most
	}
	b.draw(word)
	_, _ = fmt.Fprintln(b.out)
}

// draw writes the line over itself. Blanks cover what is left of a longer one.
func (b *bar) draw(word string) {
	b.last = time.Now()
	full := 0
	if b.most > 0 {
		full = int(barWidth * min(max(b.value, 0), b.most) / b.most)
	}
	if word == "" && b.most > 0 {
		word = fmt.Sprintf("%d/%d", b.value, b.most)
	}
	title := fitted(b.title, titleWidth)
	title += strings.Repeat(" ", titleWidth-uniseg.StringWidth(title))
	line := fmt.Sprintf("%s %6.1fs [%s%s] %s", title, time.Since(b.start).Seconds(), strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), word)
	width := uniseg.StringWidth(line)
	_, _ = fmt.Fprint(b.out, "\r", line, strings.Repeat(" ", max(b.width-width, 0)))
	b.width = width
}

// fitted cuts a text to a number of columns.
func fitted(text string, columns int) string {
	if uniseg.StringWidth(text) <= columns {
		return text
	}
	var out strings.Builder
	for width, g := 0, uniseg.NewGraphemes(text); g.Next(); {
		if width += g.Width(); width > columns-1 {
			break
		}
		out.WriteString(g.Str())
	}
	return out.String() + "…"
}
