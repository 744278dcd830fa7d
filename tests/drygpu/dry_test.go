//go:build drygpu && linux

package drygpu_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/residency"
	"comfygo/tests/cudacheck"
)

// TestSessions makes sessions of the graphs of all families in each compute type. ONNX Runtime refuses a session with
// operators that would run on the CPU, except for graphs that compute sizes there.
func TestSessions(t *testing.T) {
	for _, compute := range cudacheck.Computed {
		t.Run(compute.String(), func(t *testing.T) {
			_, out := dry(t, gpu{}, scenario{Name: "sessions", UNet: compute})
			t.Log(strings.TrimSpace(out))
		})
	}
}

var kernels = flag.Bool("kernels", false, "log what each step launches")

// The most launches of a step, by model and compute type.
var launches = map[string]map[dtype.DType]int{
	"sd15": {dtype.F16: 573, dtype.BF16: 808, dtype.F32: 723},
	"sdxl": {dtype.F16: 1181},
}

// TestSteps holds what a step of a U-Net of full size costs. Only the latent and the timesteps go to the GPU and only the
// result comes back; from the second step on nothing is allocated.
func TestSteps(t *testing.T) {
	type paths map[int]string // the kind of attention by compute capability
	for _, c := range []struct {
		model     string
		compute   dtype.DType
		size      int
		attention paths
	}{
		{"sd15", dtype.F16, 512, paths{80: "flash", 89: "flash", 90: "cudnn", 120: "flash"}},
		{"sd15", dtype.BF16, 512, paths{80: "flash", 89: "flash", 90: "cudnn", 120: "flash"}},
		{"sd15", dtype.F32, 512, paths{80: "efficient", 90: "efficient", 120: "efficient"}},
		{"sdxl", dtype.F16, 1024, paths{90: "cudnn"}},
	} {
		t.Run(fmt.Sprint(c.model, " ", c.compute), func(t *testing.T) {
			path := model(t, c.model)
			for sm, kind := range c.attention {
				r, _ := dry(t, gpu{SM: sm}, scenario{Name: "steps", Checkpoint: path, UNet: c.compute, Size: c.size, Steps: 3})
				first, s := r.sections["step1"], r.sections["step2"]
				if *kernels {
					for _, name := range slices.Sorted(maps.Keys(s.kernels)) {
						t.Logf("%5d %s", s.kernels[name], name)
					}
				}
				t.Logf("compute capability %d: %d launches, attention %v, at most %d MiB", sm, s.launches, s.attention(), first.peak>>20)
				if most := launches[c.model][c.compute]; s.launches > most {
					t.Errorf("%d launches, want at most %d", s.launches, most)
				}
				if got := s.attention(); !slices.Equal(got, []string{kind}) {
					t.Errorf("compute capability %d: attention %v, want %s", sm, got, kind)
				}
				latent := 2 * 4 * c.size / 8 * c.size / 8 * 4
				want := []string{fmt.Sprint("gpu host ", latent), "host gpu 8", fmt.Sprint("host gpu ", latent)}
				slices.Sort(want)
				slices.Sort(s.copies)
				if !slices.Equal(s.copies, want) {
					t.Errorf("copies %v, want %v", s.copies, want)
				}
				if first.mallocs+s.mallocs > 0 {
					t.Errorf("%d and %d allocations in later steps", first.mallocs, s.mallocs)
				}
			}
		})
	}
}

// TestCapturedSteps holds that a step which is captured is one launch, for each of two sizes in turn, and allocates nothing.
func TestCapturedSteps(t *testing.T) {
	path := model(t, "sd15")
	for _, compute := range []dtype.DType{dtype.F16, dtype.F32} {
		r, _ := dry(t, gpu{}, scenario{Name: "steps", Checkpoint: path, UNet: compute, Size: 512, Steps: 7, Graphs: true})
		for i := range 7 {
			s := r.sections[fmt.Sprint("step", i)]
			t.Logf("%s, step %d: %d launches, %d graphs, %d allocations", compute, i, s.launches, s.graphs, s.mallocs)
			if i < 4 {
				continue
			}
			if s.launches != 0 || s.graphs != 1 || s.mallocs > 0 || len(s.copies) != 3 {
				t.Errorf("%s, step %d: %d launches, %d graphs, %d allocations, copies %v", compute, i, s.launches, s.graphs, s.mallocs, s.copies)
			}
		}
	}
}

// model writes the file of a model of full size.
func model(t *testing.T, name string) string {
	t.Helper()
	if name == "sd15" {
		return manifest(t, "sd15-full", dtype.F16, nil)
	}
	return listed(t, name, dtype.F16)
}

// attention lists the kinds of attention that were computed.
func (s *section) attention() []string {
	var out []string
	for name := range s.kernels {
		for part, kind := range map[string]string{"flash_fwd": "flash", "AttentionKernel": "efficient", "cudnn op41": "cudnn"} {
			if strings.Contains(name, part) && !slices.Contains(out, kind) {
				out = append(out, kind)
			}
		}
	}
	slices.Sort(out)
	return out
}

// TestOutOfMemory has the text encoder on a GPU that is too small for it and the U-Net: it is evicted, and the step runs.
func TestOutOfMemory(t *testing.T) {
	path := model(t, "sd15")
	r, out := dry(t, gpu{MB: 1800}, scenario{Name: "prompt", Checkpoint: path, UNet: dtype.F16, Size: 512, Steps: 2, Blind: true})
	tried, again := r.sections["step0"], r.sections["step1"]
	if tried.oom == 0 || tried.frees == 0 || again.oom > 0 || again.mallocs > 0 {
		t.Errorf("the first step met the end of memory %d times and freed %d, the second %d times, and allocated %d", tried.oom, tried.frees, again.oom, again.mallocs)
	}
	if tried.peak > 1800<<20 || !strings.Contains(out, "evicting idle models") {
		t.Errorf("%d bytes were taken; said: %s", tried.peak, out)
	}
	if _, out = dry(t, gpu{MB: 1000}, scenario{Name: "too large", Checkpoint: path, UNet: dtype.F16, Size: 512, Steps: 1, Streaming: residency.StreamNever}); !strings.Contains(out, "GiB of memory") {
		t.Errorf("a GPU that is too small for the U-Net: said %s", out)
	}
}

// TestSharedWeights holds that the sessions of a model for two kinds of sizes are over one copy of the weights.
func TestSharedWeights(t *testing.T) {
	r, _ := dry(t, gpu{}, scenario{Name: "sizes", Checkpoint: model(t, "sd15"), UNet: dtype.F16, Size: 512, Steps: 1})
	first, second := r.sections["512-step0"], r.sections["520-step0"]
	t.Logf("%d MiB after the first size, %d MiB after the second", first.end>>20, second.end>>20)
	if second.end-first.end > 256<<20 {
		t.Errorf("%d MiB after the first size, %d MiB after the second", first.end>>20, second.end>>20)
	}
}

// TestWithoutCuDNN checks that a missing cuDNN is reported when CUDA is tried, and not by the first network.
func TestWithoutCuDNN(t *testing.T) {
	_, out := dry(t, gpu{NoCuDNN: true}, scenario{Name: "check"})
	if !strings.Contains(out, "cannot run a convolution and attention") || !strings.Contains(out, "cuDNN 9") {
		t.Errorf("without cuDNN: said %s", out)
	}
	if _, out = dry(t, gpu{}, scenario{Name: "check"}); !strings.Contains(out, "GPU 0 can be used") {
		t.Errorf("with cuDNN: said %s", out)
	}
}

// TestDevices runs a step on the second of two GPUs.
func TestDevices(t *testing.T) {
	r, _ := dry(t, gpu{Count: 2}, scenario{Name: "steps", Checkpoint: model(t, "sd15"), UNet: dtype.F16, Size: 512, Steps: 1, Device: 1})
	if r.gpus["1"] < 1000 || r.memory["0"] > 16<<20 || r.memory["1"] < 1600<<20 {
		t.Errorf("calls by GPU %v, most memory %v", r.gpus, r.memory)
	}
}

// TestDecode holds the memory of decoding, which is given back after each run.
func TestDecode(t *testing.T) {
	r, _ := dry(t, gpu{}, scenario{Name: "decode", Checkpoint: model(t, "sd15"), Size: 1024, Steps: 2})
	s := r.sections["decode1"]
	t.Logf("%d launches, at most %d MiB, %d MiB stay", s.launches, s.peak>>20, s.end>>20)
	if s.launches > 186 || s.peak > 5400<<20 || s.end > 250<<20 || len(s.copies) != 2 {
		t.Errorf("%d launches, %d copies, at most %d MiB of which %d stay", s.launches, len(s.copies), s.peak>>20, s.end>>20)
	}
}
