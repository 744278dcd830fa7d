package ort

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestBindingKeepsInputs(t *testing.T) {
	t.Parallel()
	g := graph{
		nodes:   []wireNode{nodeOf("Add", []string{"x", "c"}, []string{"y"}), nodeOf("Mul", []string{"x", "c"}, []string{"z"})},
		inputs:  []wireTensor{tensorOf("x", 2), tensorOf("c", 2)},
		outputs: []wireTensor{tensorOf("y", 2), tensorOf("z", 2)},
	}
	s := newSession(t, g.spec("bound"))
	b, err := s.NewBinding("z", "y")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Set("x", Floats([]float32{1, 2}, 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "input c") {
		t.Errorf("with an input missing: %v", err)
	}
	if err := b.Set("c", Floats([]float32{10, 20}, 2)); err != nil {
		t.Fatal(err)
	}
	for i := range 3 { // c stays, x changes
		x := float32(i)
		if err := b.Set("x", Floats([]float32{x, x}, 2)); err != nil {
			t.Fatal(err)
		}
		out, err := b.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		y, _ := out["y"].Float32s()
		z, _ := out["z"].Float32s()
		if y[0] != x+10 || y[1] != x+20 || z[0] != x*10 || z[1] != x*20 {
			t.Errorf("run %d: got y %v, z %v", i, y, z)
		}
	}
	if err := b.Set("q", Floats(nil, 0)); err == nil {
		t.Error("an unknown input was bound")
	}
	if err := b.Set("x", Floats([]float32{1}, 1)); err == nil {
		t.Error("a value of the wrong shape was bound")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	if _, err := b.Run(ctx); !errors.Is(err, stop) {
		t.Errorf("with an ended context: %v", err)
	}
	b.Close()
	if _, err := b.Run(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

func TestCUDAIsRefusedWithAReason(t *testing.T) {
	t.Parallel()
	err := lib.CheckCUDA(t.Context(), 0)
	if err == nil { // a machine with a GPU: then a session on it must work
		spec := addSpec()
		spec.Device = Device{Kind: CUDA}
		s := newSession(t, spec)
		out, err := s.Run(t.Context(), map[string]Value{"x": Floats([]float32{1, 2}, 2)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if y, _ := out["y"].Float32s(); y[0] != 2 {
			t.Errorf("got %v", y)
		}
		return
	}
	if !errors.Is(err, ErrNoCUDA) || len(err.Error()) < len("no CUDA: ")+10 {
		t.Errorf("got %v, want ErrNoCUDA with a reason", err)
	}
	released := false
	spec := addSpec()
	spec.Device = Device{Kind: CUDA}
	spec.Release = func() { released = true }
	if _, err := lib.NewSession(t.Context(), spec); !errors.Is(err, ErrNoCUDA) || !strings.Contains(err.Error(), "on cuda:0") {
		t.Errorf("a session on CUDA: got %v", err)
	}
	if !released {
		t.Error("the weights were not released")
	}
	newSession(t, addSpec()) // the CPU must go on working
}

func TestBlockIsKnown(t *testing.T) {
	t.Parallel()
	if b := lib.NchwcBlock(); b != 16 && b != 8 && b != 4 {
		t.Errorf("the blocked layout has %d channels", b)
	}
}

func TestPlainLeavesTheLibrarysWords(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{
			"/src/x.cc:20 Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library a.so : missing",
			"Failed to load library a.so : missing",
		},
		{"CUDA execution provider is not enabled in this build.", "CUDA execution provider is not enabled in this build."},
		{"odd [ONNXRuntimeError] : 1", "odd [ONNXRuntimeError] : 1"},
	} {
		in, want := c[0], c[1]
		if got := plain(errors.New(in)); got != want {
			t.Errorf("plain(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestFoldersOfNVIDIAsLibraries(t *testing.T) {
	t.Parallel()
	site, toolkit, own := t.TempDir(), t.TempDir(), t.TempDir()
	for _, d := range []string{"nvidia/cu13/lib", "nvidia/cudnn/lib"} {
		if err := os.MkdirAll(filepath.Join(site, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{EnvCUDADirs: site, "LD_LIBRARY_PATH": own, "CUDA_HOME": toolkit}
	got := cudaDirs([]string{"/configured"}, func(k string) string { return env[k] })
	want := []string{"/configured", site, own, filepath.Join(toolkit, "lib64")}
	if len(got) < len(want)+2 || !slices.Equal(got[:len(want)], want) {
		t.Errorf("got %v, want it to begin with %v", got, want)
	}
	for _, d := range []string{"nvidia/cu13/lib", "nvidia/cudnn/lib"} {
		if !slices.Contains(got, filepath.Join(site, d)) {
			t.Errorf("%s is not in %v", d, got)
		}
	}
}
