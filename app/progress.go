package app

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"comfygo/executor"
	"comfygo/internal/pyjson"
)

// display shows how far a prompt is: bars on a terminal, lines elsewhere. It is an executor.Sink.
type display struct {
	out    io.Writer
	prompt *pyjson.Object
	bars   *mpb.Progress // nil without a terminal
	bar    *mpb.Bar
	node   string
	start  time.Time
	mu     sync.Mutex
	last   time.Time // of the last printed line of progress
}

// linesEvery bounds how often progress is printed where bars cannot be drawn.
const linesEvery = 2 * time.Second

func newDisplay(out io.Writer, prompt *pyjson.Object) *display {
	d := &display{out: out, prompt: prompt, start: time.Now()}
	if f, ok := out.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		d.bars = mpb.New(mpb.WithOutput(out), mpb.WithWidth(40))
	}
	return d
}

// Send implements executor.Sink.
func (d *display) Send(e executor.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch e.Type {
	case "executing":
		if id := e.Data.String("node"); id != "" && id != d.node {
			d.enter(id)
		}
	case "progress":
		value, _ := number(e.Data, "value")
		most, _ := number(e.Data, "max")
		d.step(value, most)
	}
}

// enter shows that a node runs now.
func (d *display) enter(id string) {
	d.leave()
	d.node = id
	if d.bars == nil {
		fmt.Fprintf(d.out, "%6.2fs  %s\n", time.Since(d.start).Seconds(), d.title(id))
		return
	}
	d.bar = d.bars.New(0, mpb.BarStyle(), mpb.PrependDecorators(
		decor.Name(d.title(id), decor.WCSyncSpaceR), decor.Elapsed(decor.ET_STYLE_GO, decor.WCSyncSpace)),
		mpb.AppendDecorators(decor.OnAbort(decor.OnComplete(decor.CountersNoUnit("%d/%d"), "done"), "stopped")))
}

func (d *display) step(value, most int64) {
	switch {
	case d.bar != nil:
		d.bar.SetTotal(most, false)
		d.bar.SetCurrent(value)
	case d.bars == nil && (value == most || time.Since(d.last) >= linesEvery):
		d.last = time.Now()
		fmt.Fprintf(d.out, "%6.2fs  %s %d/%d\n", time.Since(d.start).Seconds(), d.title(d.node), value, most)
	}
}

// leave fills the bar of the node before.
func (d *display) leave() {
	if d.bar != nil {
		if d.bar.Current() == 0 { // a node that tells no progress
			d.bar.SetTotal(1, false)
			d.bar.SetCurrent(1)
		}
		d.bar.SetTotal(-1, true)
		d.bar = nil
	}
	d.node = ""
}

// close ends the display; whatever is printed next stands below it. A run that failed leaves the bar
// of its last node as it is.
func (d *display) close(failed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bar != nil && failed {
		d.bar.Abort(false)
		d.bar = nil
	}
	d.leave()
	if d.bars != nil {
		d.bars.Wait()
	}
}

// title returns the workflow's name of a node.
func (d *display) title(id string) string {
	node := d.prompt.Object(id)
	if node == nil {
		return "node " + id
	}
	name := node.Object("_meta").String("title")
	if name == "" {
		name = node.String("class_type")
	}
	return name + " (" + id + ")"
}

func number(o *pyjson.Object, key string) (int64, bool) {
	v, _ := o.Get(key)
	switch n := v.(type) {
	case int64:
		return n, true
	case int:
		return int64(n), true
	case float64:
		return int64(n), true
	}
	return 0, false
}
