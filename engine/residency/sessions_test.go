package residency_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/residency"
	"comfygo/engine/weights"
)

var gpu = ort.Device{Kind: ort.CUDA}

// rig is a ledger whose sessions are fakes that record what happens to them.
type rig struct {
	*residency.Sessions
	events []string
	// opens and runs are the errors of the next sessions and runs, in order; none when they are used up.
	opens, runs []error
}

func newRig(cfg residency.Config) *rig {
	cfg.Log = slog.New(slog.DiscardHandler)
	r := &rig{Sessions: residency.New(cfg)}
	next := func(list *[]error) error {
		if len(*list) == 0 {
			return nil
		}
		err := (*list)[0]
		*list = (*list)[1:]
		return err
	}
	r.OpenWith(func(key residency.Key) (*residency.FakeSession, error) {
		if err := next(&r.opens); err != nil {
			r.events = append(r.events, "fail "+key.Files)
			return nil, err
		}
		r.events = append(r.events, "open "+key.Files)
		return &residency.FakeSession{
			OnRun:   func() error { return next(&r.runs) },
			OnClose: func() { r.events = append(r.events, "close "+key.Files) },
		}, nil
	})
	return r
}

// use runs the network of a file that takes the given bytes.
func (r *rig) use(key residency.Key, bytes int) error {
	build := func() (*onnx.Graph, error) {
		return onnx.Build(key.Files, func(g *onnx.Graph) error {
			e := weights.Entry{Name: "w", DType: dtype.F32, Shape: []int{bytes / 4}, File: key.Files}
			g.Output("out", g.Weight("w", dtype.F32, e.Shape, nn.Layout{Entry: e, DType: dtype.F32}))
			return nil
		})
	}
	return r.Use(context.Background(), key, false, residency.Adapted{Build: build}, func(n *residency.Network) error {
		_, err := n.Run(context.Background(), residency.Adapted{}, nil)
		return err
	})
}

func on(d ort.Device, files string) residency.Key {
	return residency.Key{Files: files, Part: "unet", Device: d}
}

func (r *rig) account(t *testing.T, d ort.Device) residency.Account {
	t.Helper()
	for _, a := range r.Accounts() {
		if a.Device == d {
			return a
		}
	}
	t.Fatalf("no account of %s", d)
	return residency.Account{}
}

// TestKeys uses sessions under keys that differ in one field each: each has a session of its own, and is found again.
func TestKeys(t *testing.T) {
	t.Parallel()
	keys := []residency.Key{
		{Files: "a", Part: "unet"},
		{Files: "b", Part: "unet"},
		{Files: "a", Part: "unet blocks"},
		{Files: "a", Part: "unet", Variant: "v"},
		{Files: "a", Part: "unet", Adapters: "lora"},
		{Files: "a", Part: "unet", Device: gpu},
		{Files: "a", Part: "unet", Target: nn.Target{Compute: dtype.F16}},
		{Files: "a", Part: "unet", Target: nn.Target{Block: 16}},
	}
	r := newRig(residency.Config{})
	for range 2 {
		for _, k := range keys {
			if err := r.use(k, 400); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(r.events) != len(keys) {
		t.Errorf("%d keys made %v", len(keys), r.events)
	}
	a := r.account(t, ort.Device{})
	if a.Sessions != len(keys)-1 || a.Loads != int64(len(keys)-1) || a.Reuses != int64(len(keys)-1) {
		t.Errorf("the CPU's account is %+v", a)
	}
}

// TestBudget charges sessions against the budget of a GPU: the one used longest ago goes first, before the new one is made,
// and sessions of other devices stay.
func TestBudget(t *testing.T) {
	t.Parallel()
	r := newRig(residency.Config{Budget: func(d ort.Device) int64 {
		if d == gpu {
			return 1000
		}
		return 0
	}})
	for _, k := range []residency.Key{on(ort.Device{}, "host"), on(gpu, "a"), on(gpu, "b"), on(gpu, "a"), on(gpu, "c")} {
		if err := r.use(k, 400); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"open host", "open a", "open b", "close b", "open c"}; !slices.Equal(r.events, want) {
		t.Errorf("it went %v, want %v", r.events, want)
	}
	if a := r.account(t, gpu); a.Weights+a.Activations != 800 || a.Sessions != 2 || a.Evictions != 1 {
		t.Errorf("the account is %+v", a)
	}
	r.EvictAll()
	if a := r.account(t, gpu); a.Weights+a.Activations != 0 || a.Sessions != 0 {
		t.Errorf("after evicting all the account is %+v", a)
	}
}

// TestKeptResults charges a session with what it keeps after each run, so that idle sessions make room for it.
func TestKeptResults(t *testing.T) {
	t.Parallel()
	r := newRig(residency.Config{Budget: func(ort.Device) int64 { return 1000 }})
	fakes := map[string]*residency.FakeSession{}
	r.OpenWith(func(key residency.Key) (*residency.FakeSession, error) {
		f := &residency.FakeSession{OnRun: func() error { return nil }, OnClose: func() { r.events = append(r.events, "close "+key.Files) }}
		fakes[key.Files] = f
		return f, nil
	})
	for _, c := range []struct {
		files         string
		keeps, charge int64
		events        string
	}{
		{"a", 0, 400, "[]"},
		{"b", 100, 900, "[]"},
		{"b", 100, 900, "[]"},
		{"b", 50, 850, "[]"},
		{"b", 300, 700, "[close a]"}, // 400 for the weights of b
		{"a", 0, 400, "[close a close b]"},
	} {
		if f := fakes[c.files]; f != nil {
			f.Keeps = c.keeps
		}
		if err := r.use(on(gpu, c.files), 400); err != nil {
			t.Fatal(err)
		}
		if f := fakes[c.files]; f.Keeps != c.keeps { // it was made just now
			f.Keeps = c.keeps
			if err := r.use(on(gpu, c.files), 400); err != nil {
				t.Fatal(err)
			}
		}
		if a := r.account(t, gpu); a.Weights+a.Activations != c.charge || fmt.Sprint(r.events) != c.events {
			t.Fatalf("%s that keeps %d: charged with %d, wanted %d; it went %v, want %s", c.files, c.keeps, a.Weights+a.Activations, c.charge, r.events, c.events)
		}
	}
	r.EvictAll()
	if a := r.account(t, gpu); a.Weights != 0 {
		t.Errorf("after evicting all the account is %+v", a)
	}
}

// TestRoom makes room according to the free memory of the device: idle sessions are closed, and a session that still does
// not fit returns an error with both figures before it is made.
func TestRoom(t *testing.T) {
	t.Parallel()
	free := int64(1000) // each session takes 600 of it
	r := newRig(residency.Config{Available: func(ort.Device) int64 { return free }})
	r.OpenWith(func(key residency.Key) (*residency.FakeSession, error) {
		free -= 600
		return &residency.FakeSession{OnRun: func() error { return nil }, OnClose: func() {
			free += 600
			r.events = append(r.events, "close "+key.Files)
		}}, nil
	})
	for _, k := range []residency.Key{on(gpu, "a"), on(gpu, "b")} {
		if err := r.use(k, 600); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(r.events, []string{"close a"}) {
		t.Errorf("it went %v, want the idle session closed", r.events)
	}
	var short *residency.MemoryError
	err := r.use(on(gpu, "large"), 1200)
	if !errors.As(err, &short) || short.Needed != 1200 || short.Present != 1000 || !strings.Contains(err.Error(), "loading unet on cuda:0") {
		t.Errorf("a network that does not fit: %v", err)
	}
	if a := r.account(t, gpu); a.Weights+a.Activations != 0 || a.Sessions != 0 {
		t.Errorf("the network that was refused is charged: %+v", a)
	}
}

// TestOutOfMemory makes the runtime run out of memory: idle sessions are evicted and the call is retried once, and then the
// error states what did not fit where. Other errors are not retried.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	oom, other := &ort.Error{Message: "CUDA out of memory"}, errors.New("broken")
	for name, c := range map[string]struct {
		opens, runs []error
		events      string
		fails       error
	}{
		"a run, once":      {nil, []error{oom}, "[open idle open a close idle close a open a]", nil},
		"a session, once":  {[]error{oom}, nil, "[open idle fail a close idle open a]", nil},
		"a run, again":     {nil, []error{oom, oom}, "[open idle open a close idle close a open a]", oom},
		"a session, again": {[]error{oom, oom}, nil, "[open idle fail a close idle fail a]", oom},
		"another error":    {nil, []error{other}, "[open idle open a]", other},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(residency.Config{Available: func(ort.Device) int64 { return 1 << 30 }})
			if err := r.use(on(gpu, "idle"), 400); err != nil {
				t.Fatal(err)
			}
			r.opens, r.runs = c.opens, c.runs
			err := r.use(on(gpu, "a"), 400)
			if !errors.Is(err, c.fails) || fmt.Sprint(r.events) != c.events {
				t.Errorf("it went %v, want %v; error %v", r.events, c.events, err)
			}
			var short *residency.MemoryError
			isMemory := errors.As(err, &short)
			if isMemory != (c.fails == error(oom)) {
				t.Errorf("error %v", err)
			}
			if isMemory && (!strings.Contains(err.Error(), "running unet on cuda:0 needs more memory") || short.Present != 1<<30) {
				t.Errorf("error %v with %d present", err, short.Present)
			}
		})
	}
}

// TestReserve sums the estimates of runs on the CPU that overlap and keeps the peak.
func TestReserve(t *testing.T) {
	t.Parallel()
	r := newRig(residency.Config{})
	end := r.Reserve(ort.Device{}, 100)
	endB := r.Reserve(ort.Device{}, 50)
	if a := r.account(t, ort.Device{}); a.Running != 150 || a.Peak != 150 {
		t.Errorf("while both run: %+v", a)
	}
	end()
	r.Reserve(ort.Device{}, 20)()
	endB()
	if a := r.account(t, ort.Device{}); a.Running != 0 || a.Peak != 150 {
		t.Errorf("after both: %+v", a)
	}
}

// TestOthers has another process hold the memory that a run, a load and a network that ran out of it need.
func TestOthers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		frees bool // the other process frees its memory on request
		try   func(r *rig) error
	}{
		"a run":                 {true, func(r *rig) error { return r.Check(ort.Device{}, "a run", 1000) }},
		"a run, in vain":        {false, func(r *rig) error { return r.Check(ort.Device{}, "a run", 1000) }},
		"a load":                {true, func(r *rig) error { return r.use(residency.Key{Files: "a", Device: gpu}, 1000) }},
		"a load, in vain":       {false, func(r *rig) error { return r.use(residency.Key{Files: "a", Device: gpu}, 1000) }},
		"enough from the start": {true, func(r *rig) error { return r.Check(ort.Device{}, "a run", 10) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			free, asked := int64(100), 0
			r := newRig(residency.Config{
				Available: func(ort.Device) int64 { return free },
				Others: func() {
					if asked++; c.frees {
						free = 10000
					}
				},
			})
			err := c.try(r)
			var short *residency.MemoryError
			if c.frees && err != nil || !c.frees && !errors.As(err, &short) {
				t.Errorf("the error is %v", err)
			}
			if want := name != "enough from the start"; (asked == 1) != want {
				t.Errorf("the other process was asked %d times", asked)
			}
		})
	}
}
