package engine

import (
	"slices"
	"strconv"
	"strings"

	"comfygo/engine/ort"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
)

// GPUs returns the number of GPUs that networks can be put on.
func (rt *Runtime) GPUs() int {
	if !rt.OnGPU() {
		return 0
	}
	return max(rt.cfg.GPUs, rt.cfg.Device.Index+1)
}

// Place is a user's choice of the device of a network. The zero value is the runtime's own device.
type Place struct {
	device ort.Device
	chosen bool
}

// Place returns the place that an option of the device nodes names: "default", "cpu", or "gpu:N" for GPU N. ok is false for a device that
// does not exist here. Without a GPU, gpu:0 is the CPU, as in upstream. Upstream: resolve_gpu_device_option.
func (rt *Runtime) Place(option string) (p Place, ok bool) {
	number, isGPU := strings.CutPrefix(option, "gpu:")
	switch {
	case option == "default":
		return Place{}, true
	case option == "cpu":
		return Place{chosen: true}, true
	case !isGPU:
		return Place{}, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(number))
	switch {
	case err != nil || n < 0 || n >= max(rt.GPUs(), 1):
		return Place{}, false
	case rt.GPUs() == 0:
		return Place{chosen: true}, true
	}
	return Place{device: ort.Device{Kind: ort.CUDA, Index: n}, chosen: true}, true
}

// on puts a runner on a device that a user chose.
func (p Place) on(r runner) runner {
	if p.chosen {
		r.device = p.device
	}
	return r
}

// CPU reports that the place is the CPU.
func (p Place) CPU() bool { return p.chosen && p.device.Kind == ort.CPU }

// At returns the model on another device. Further devices of the model that are this one are dropped.
func (m *Model) At(p Place) *Model {
	n := *m
	n.place = p
	if p.chosen {
		n.further = slices.DeleteFunc(slices.Clone(n.further), func(d ort.Device) bool { return d == p.device })
	}
	return &n
}

// Spread returns the model on at most the given number of GPUs, its own device among them: the conditionings of a step are shared
// out to them. GPUs are taken in order. Upstream: comfy/multigpu.py create_multigpu_deepclones.
func (m *Model) Spread(most int) *Model {
	n := *m
	n.further = nil
	own := m.runner().device
	for i := range m.rt.GPUs() {
		if d := (ort.Device{Kind: ort.CUDA, Index: i}); d != own && len(n.further) < most-1 {
			n.further = append(n.further, d)
		}
	}
	return &n
}

// Devices implements sampling.Spread.
func (m *Model) Devices() []sampling.Network {
	out := []sampling.Network{m}
	for _, p := range m.patches {
		if _, draws := p.(patch.LayerPatch); draws { // numbers of the run, whose order counts
			return out
		}
	}
	for _, d := range m.further {
		n := *m
		n.place, n.further = Place{device: d, chosen: true}, nil
		out = append(out, &n)
	}
	return out
}

var _ sampling.Spread = (*Model)(nil)

// At returns the text encoders on another device.
func (c *CLIP) At(p Place) *CLIP {
	d := *c
	d.place = p
	return &d
}

// At returns the VAE on another device.
func (v *VAE) At(p Place) *VAE {
	d := *v
	d.place = p
	return &d
}
