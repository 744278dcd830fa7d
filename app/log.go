package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"

	"comfygo/cli"
)

// Levels beyond slog's own.
const (
	levelDetail   = slog.LevelInfo - 2
	levelCritical = slog.LevelError + 4
)

var levels = []struct {
	level slog.Level
	name  string
	color string
}{
	{slog.LevelDebug, "DEBUG", "\x1b[36m"},
	{levelDetail, "DETAIL", "\x1b[34m"},
	{slog.LevelInfo, "INFO", "\x1b[32m"},
	{slog.LevelWarn, "WARNING", "\x1b[1m\x1b[33m"},
	{slog.LevelError, "ERROR", "\x1b[1m\x1b[31m"},
	{levelCritical, "CRITICAL", "\x1b[1m\x1b[35m"},
}

const colorOff = "\x1b[0m"

// Log is the program's log: console, files and the buffer that /internal/logs shows.
type Log struct {
	*slog.Logger
	files []*os.File
}

// LogOutputs are the destinations of records.
type LogOutputs struct {
	Stdout, Stderr io.Writer
	// Tee gets every console line too, coloured and without its time, as on ComfyUI's log page; nil turns it off.
	Tee io.Writer
	// Color marks the levels of console lines with colours.
	Color bool
}

// wantsColor reports whether lines for w are coloured: it is a terminal that knows colours, and NO_COLOR is not set.
func wantsColor(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd()) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// levelNames gives the levels of JSON lines the names that text lines have.
func levelNames(_ []string, a slog.Attr) slog.Attr {
	if level, ok := a.Value.Any().(slog.Level); ok && a.Key == slog.LevelKey {
		name, _ := nameOf(level)
		a.Value = slog.StringValue(name)
	}
	return a
}

// NewLog makes the log of the flags. Without --log-stdout everything goes to stderr; with it, records below ERROR go
// to stdout. A log file that can't be opened is skipped with a warning, as in upstream. The caller has to close the
// log.
func NewLog(cfg cli.Config, out LogOutputs) (*Log, error) {
	l := &Log{}
	console := &target{level: consoleLevel(cfg.Verbose), color: out.Color, write: out.console(cfg.LogStdout), tee: out.Tee}
	h := handler{targets: []*target{console}, mu: &sync.Mutex{}}
	if cfg.LogFormat == "json" {
		h.line = &bytes.Buffer{}
		h.json = slog.NewJSONHandler(h.line, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: levelNames})
	}
	var lines []func()
	for _, t := range cfg.Verbose {
		if t.File == "" {
			continue
		}
		f, err := os.OpenFile(t.File, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			lines = append(lines, func() { l.Warn("Could not open the " + t.Level + " log: " + err.Error()) })
			continue
		}
		l.files = append(l.files, f)
		lines = append(lines, func() { l.Info(t.Level[:1] + strings.ToLower(t.Level[1:]) + " log: " + f.Name()) })
		h.targets = append(h.targets, &target{level: levelOf(t.Level), write: func(_ slog.Level, line string) {
			_, _ = f.WriteString(line) // a log that cannot be written has nowhere to say so
		}})
	}
	l.Logger = slog.New(h)
	for _, say := range lines {
		say()
	}
	return l, nil
}

// Close closes the log files.
func (l *Log) Close() error {
	var errs []error
	for _, f := range l.files {
		errs = append(errs, f.Close())
	}
	l.files = nil
	return errors.Join(errs...)
}

func (o LogOutputs) console(split bool) func(slog.Level, string) {
	return func(level slog.Level, line string) {
		w := o.Stderr
		if split && level < slog.LevelError {
			w = o.Stdout
		}
		_, _ = io.WriteString(w, line) // a closed terminal must not end the server
	}
}

// consoleLevel is the lowest level that the flags select, INFO by default.
func consoleLevel(targets []cli.LogTarget) slog.Level {
	level, found := slog.LevelInfo, false
	for _, t := range targets {
		if t.File != "" {
			continue
		}
		if l := levelOf(t.Level); !found || l < level {
			level, found = l, true
		}
	}
	return level
}

func levelOf(name string) slog.Level {
	for _, l := range levels {
		if l.name == name {
			return l.level
		}
	}
	return slog.LevelInfo
}

// target is one place for records.
type target struct {
	level slog.Level
	color bool
	write func(slog.Level, string)
	tee   io.Writer // nil for none
}

// handler writes records as lines of text (time and level in brackets, the text, attributes as key=value) or of JSON.
type handler struct {
	targets []*target
	attrs   string
	group   string
	mu      *sync.Mutex   // keeps the lines of different goroutines apart
	json    slog.Handler  // writes into line; nil: lines are text
	line    *bytes.Buffer // guarded by mu
}

// Enabled implements slog.Handler.
func (h handler) Enabled(_ context.Context, level slog.Level) bool {
	return slices.ContainsFunc(h.targets, func(t *target) bool { return level >= t.level })
}

// Handle implements slog.Handler.
func (h handler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		writeAttr(&b, h.group, a)
		return true
	})
	name, color := nameOf(r.Level)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.targets {
		if r.Level < t.level {
			continue
		}
		bare := strings.TrimLeft(b.String(), "\n")
		blank := b.String()[:b.Len()-len(bare)] // some of upstream's lines stand apart from those before
		at := r.Time.Format(time.DateTime + ".000")
		switch {
		case h.json != nil:
			t.write(r.Level, h.jsonLine(r))
		case t.color:
			t.write(r.Level, blank+at+" "+color+"["+name+"]"+colorOff+" "+bare+"\n")
		default:
			t.write(r.Level, blank+"["+at+"] ["+name+"] "+bare+"\n")
		}
		if t.tee != nil {
			_, _ = io.WriteString(t.tee, color+"["+name+"]"+colorOff+" "+b.String()+"\n")
		}
	}
	return nil
}

// jsonLine is a record as one JSON object. mu is held.
func (h handler) jsonLine(r slog.Record) string {
	h.line.Reset()
	plain := slog.NewRecord(r.Time, r.Level, strings.TrimSpace(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool { plain.AddAttrs(a); return true })
	if err := h.json.Handle(context.Background(), plain); err != nil {
		return ""
	}
	return h.line.String()
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	for _, a := range attrs {
		writeAttr(&b, h.group, a)
	}
	h.attrs += b.String()
	if h.json != nil {
		h.json = h.json.WithAttrs(attrs)
	}
	return h
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	if name != "" {
		h.group += name + "."
		if h.json != nil {
			h.json = h.json.WithGroup(name)
		}
	}
	return h
}

// writeAttr adds " key=value", quoted where the value would not read as one word.
func writeAttr(b *strings.Builder, group string, a slog.Attr) {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return
	}
	if v.Kind() == slog.KindGroup {
		for _, m := range v.Group() {
			writeAttr(b, group+a.Key+".", m)
		}
		return
	}
	text := v.String()
	if text == "" || strings.ContainsAny(text, " \"\n\t=") {
		text = fmt.Sprintf("%q", text)
	}
	b.WriteString(" " + group + a.Key + "=" + text)
}

func nameOf(level slog.Level) (name, color string) {
	for i := len(levels) - 1; i > 0; i-- {
		if level >= levels[i].level {
			return levels[i].name, levels[i].color
		}
	}
	return levels[0].name, levels[0].color
}
