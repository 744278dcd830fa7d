package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"comfygo/folders"
	"comfygo/internal/memory"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	_ "comfygo/nodes/all" // the classes
	"comfygo/tests/usage"
)

// result is what a call took: CPU seconds, the longest of them between two looks for an interrupt, those until its end when it is interrupted within
// these (negative when that was not tried), bytes of memory before and at most.
type result struct {
	CPU, Gap     float64
	Ends         float64
	Looks        int
	From, To     string
	Before, Peak int64
	Error        string
}

// measure makes the inputs of a call and runs it.
func measure(c call, o options) (result, error) {
	runtime.GOMAXPROCS(1) // CPU time between looks then is that of the code in between
	memory.Process.SetLimit(uint64(o.memory) << 20)
	class, ok := nodes.Default().Get(c.Class)
	if !ok {
		return result{}, fmt.Errorf("there is no class %s", c.Class)
	}
	dir, err := os.MkdirTemp("", "largeinputs")
	if err != nil {
		return result{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	fs, err := folders.New(folders.Config{Base: dir})
	if err != nil {
		return result{}, err
	}
	values, err := c.inputs(o.size)
	if err != nil {
		return result{}, fmt.Errorf("making the inputs: %w", err)
	}
	debug.FreeOSMemory()
	r := result{Ends: -1}
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600); err != nil { // resets the peak
		return result{}, err
	}
	r.Before = status("VmRSS")
	stop, cancel := context.WithTimeoutCause(context.Background(), o.limit, errors.New("interrupted after "+o.limit.String()))
	defer cancel()
	w := newWatch(stop)
	r.CPU, err = spent(w, class, values, fs)
	if err != nil {
		r.Error = strings.ReplaceAll(err.Error(), "\n", " ")
	}
	r.Gap, r.Looks, r.From, r.To = w.gap.Seconds(), w.looks, w.from.String(), w.to.String()
	r.Peak = status("VmHWM")
	const much = 0.3
	if err == nil && r.Gap > much {
		r.Ends = interrupted(w, class, values, fs)
	}
	runtime.KeepAlive(values)
	return r, nil
}

// spent runs the class and returns the CPU seconds that it took.
func spent(w *watch, class *nodes.Class, values *pyjson.Object, fs *folders.Folders) (float64, error) {
	n, err := class.Bind(values, nil)
	if err != nil {
		return 0, err
	}
	ctx := nodes.NewContext(w, nodes.Call{ID: "1", Services: nodes.Services{Folders: fs, Memory: memory.Process}, Inputs: values})
	defer ctx.Release()
	before := used()
	w.last = usage.CPU()
	_, err = n.Run(ctx)
	w.look()
	return (used() - before).Seconds(), err
}

func used() time.Duration { return usage.CPU() + usage.Children() }

// interrupted runs the class again, interrupts it a third into the longest time without a look, and returns the CPU seconds of this process until its
// end: other programs that it started are killed, and what they used counts only then.
func interrupted(first *watch, class *nodes.Class, values *pyjson.Object, fs *folders.Folders) float64 {
	stop, cancel := context.WithCancel(context.Background())
	defer cancel()
	w := newWatch(stop)
	var at atomic.Int64
	w.at0 = first.look0
	w.then = func() {
		time.AfterFunc(first.passed/3, func() { //nolint:mnd // a third
			at.Store(int64(usage.CPU()))
			cancel()
		})
	}
	if w.at0 == 0 {
		w.then()
	}
	_, _ = spent(w, class, values, fs)
	if at.Load() == 0 {
		return 0 // it ended before
	}
	return (usage.CPU() - time.Duration(at.Load())).Seconds()
}

// status returns a size of /proc/self/status in bytes.
func status(name string) int64 {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte(name+":")); ok {
			n, _ := strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
			return n << 10
		}
	}
	return 0
}

// watch is a context that measures the CPU time between looks at it.
type watch struct {
	context.Context
	last  time.Duration
	at    place
	gap   time.Duration
	looks int

	from, to place
	began    time.Time     // of the last look
	look0    int           // the number of looks at the beginning of gap
	passed   time.Duration // the time of gap by the clock
	at0      int           // then is called at this look
	then     func()
}

func newWatch(ctx context.Context) *watch {
	return &watch{Context: ctx, last: usage.CPU(), began: time.Now()}
}

// Err implements context.Context. context.Cause comes here as well, because Value hides the context that it asks first.
func (w *watch) Err() error {
	w.look()
	if w.Context.Err() != nil {
		return context.Cause(w.Context)
	}
	return nil
}

// Value implements context.Context. The key of a context's cause is a pointer to an int.
func (w *watch) Value(key any) any {
	if _, ok := key.(*int); ok {
		return nil
	}
	return w.Context.Value(key)
}

func (w *watch) look() {
	now := usage.CPU()
	var here place
	here.n = runtime.Callers(3, here.pcs[:]) //nolint:mnd // the caller of Err
	if passed := now - w.last; passed > w.gap {
		w.gap, w.from, w.to, w.look0, w.passed = passed, w.at, here, w.looks, time.Since(w.began)
	}
	if w.looks++; w.looks == w.at0 && w.then != nil {
		w.then()
	}
	w.began = time.Now()
	w.at = here
	w.last = usage.CPU()
}

// place is a stack.
type place struct {
	pcs [12]uintptr
	n   int
}

// String names the first functions that are not part of looking.
func (p place) String() string {
	if p.n == 0 {
		return "the beginning"
	}
	var names []string
	frames := runtime.CallersFrames(p.pcs[:p.n])
	for {
		f, more := frames.Next()
		if name := f.Function; strings.HasPrefix(name, "comfygo/") && !strings.HasPrefix(name, "comfygo/tools") && !strings.Contains(name, "watch") {
			names = append(names, fmt.Sprintf("%s:%d", name[strings.LastIndexByte(name, '/')+1:], f.Line))
		}
		if !more || len(names) == 3 {
			break
		}
	}
	if len(names) == 0 {
		return "the end"
	}
	return strings.Join(names, " < ")
}
