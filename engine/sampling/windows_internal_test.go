package sampling

import (
	"math"
	"slices"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/golden"
)

// TestWindowsEqualUpstream compares windows, fused predictions and the order of noise with what testdata/windows.py recorded;
// torch fuses in float32.
func TestWindowsEqualUpstream(t *testing.T) {
	t.Parallel()
	var doc struct {
		Cases []struct {
			Schedule, Fuse                   string
			N, Length, Overlap, Stride, Step int
			Closed                           bool
			Windows                          [][]int
			Fused                            []float64
		}
		Noise []struct {
			N, Length, Overlap int
			Seed               uint64
			Order              []int
		}
	}
	if err := golden.ReadJSON("testdata/windows.json", &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Cases) < 100 || len(doc.Noise) == 0 {
		t.Fatalf("%d cases", len(doc.Cases))
	}
	for _, c := range doc.Cases {
		w := Windows{Schedule: c.Schedule, Fuse: c.Fuse, Length: c.Length, Overlap: c.Overlap, Stride: c.Stride, Closed: c.Closed}
		if err := w.Check(); err != nil {
			t.Fatal(err)
		}
		got := w.List(c.N, c.Step)
		if !slices.EqualFunc(got, c.Windows, slices.Equal) {
			t.Errorf("%s, %d of %d by %d, stride %d, step %d: %v, want %v", c.Schedule, c.Length, c.N, c.Overlap, c.Stride, c.Step, got, c.Windows)
			continue
		}
		if c.Fused == nil {
			continue
		}
		f := newFusion(&w, 1, tensor.New(c.N, 1))
		for i, window := range got {
			y := tensor.New(len(window), 1)
			for k, p := range window {
				y.Data[k] = float32(p*p%7 + i)
			}
			f.add(0, window, y)
		}
		for i, v := range f.done()[0].Data {
			if math.Abs(float64(v)-c.Fused[i]) > 2e-6*math.Abs(c.Fused[i]) {
				t.Errorf("%s, %s: place %d is %v, want %v", c.Schedule, c.Fuse, i, v, c.Fused[i])
			}
		}
	}
	for _, c := range doc.Noise {
		w := Windows{Length: c.Length, Overlap: c.Overlap}
		x := tensor.New(c.N)
		for i := range x.Data {
			x.Data[i] = float32(i)
		}
		for i, v := range w.freeNoise(x, c.Seed).Data {
			if int(v) != c.Order[i] {
				t.Errorf("noise of %d by seed %d: place %d has %v, want %d", c.N, c.Seed, i, v, c.Order[i])
			}
		}
	}
}

// TestWindowInputs holds what entries give the network in a window.
func TestWindowInputs(t *testing.T) {
	t.Parallel()
	video := tensor.New(1, 1, 6, 1, 1)
	audio := tensor.New(1, 20, 1)
	for i := range video.Data {
		video.Data[i] = float32(i)
	}
	for i := range audio.Data {
		audio.Data[i] = float32(i)
	}
	w := Windows{Length: 3, Dim: 2, KeepInputs: []int{0}}
	e := func(text float32) *entry {
		return &entry{inputs: []Input{
			{Name: "text", Value: &tensor.Tensor{Shape: []int{1, 6, 6}, Data: make([]float32, 36)}, Rule: ByRows},
			{Name: "video", Value: video, Rule: ByCells},
			{Name: "audio", Value: audio, Rule: ByFramesFrom(1, 4, 1)},
			{Name: "which", Value: &tensor.Tensor{Shape: []int{1}, Data: []float32{text}}, Rule: Shared},
		}}
	}
	in := w.entries([]*entry{e(0)}, []int{2, 3, 4, 5}, []int{3, 4, 5}, 6)[0].inputs
	if in[0].Value.Dim(1) != 6 || !slices.Equal(in[1].Value.Data, []float32{0, 3, 4, 5}) || !slices.Equal(in[2].Value.Data, []float32{8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}) {
		t.Errorf("text %v, video %v, audio %v", in[0].Value.Shape, in[1].Value.Data, in[2].Value.Data)
	}
	w.Split = true
	for first, want := range map[int]float32{0: 0, 3: 1} {
		window := steps(first, 3, 1)
		got := w.entries([]*entry{e(0), e(1)}, window, window, 6)
		if len(got) != 1 || got[0].inputs[3].Value.Data[0] != want {
			t.Errorf("the window at %d has %d entries", first, len(got))
		}
	}
	for _, bad := range []Windows{{}, {Length: 4, Overlap: 4, Stride: 1, Schedule: WindowsStatic, Fuse: FuseFlat}, {Length: 4, Stride: 1, Schedule: "x", Fuse: FuseFlat}, {Length: 4, Stride: 1, Schedule: WindowsStatic}} {
		if bad.Check() == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}
