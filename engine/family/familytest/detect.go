package familytest

import (
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
)

// Detection is a file and the family of diffusion models that reads it.
type Detection struct {
	// Manifest names the file; Source, when set, is the file instead.
	Manifest string
	Source   weights.Source
	// Without, when set, leaves out the tensors whose names contain it.
	Without string
	// Family is the name of the family, "" for none; Type and Shift are its prediction type and shift.
	Family string
	Type   sampling.ModelType
	Shift  float64
}

// Open returns the file.
func (d Detection) Open(t *testing.T) weights.Source {
	t.Helper()
	src := d.Source
	if src == nil {
		src = Manifest(t, d.Manifest, dtype.Invalid)
	}
	if d.Without != "" {
		src = Without(src, d.Without)
	}
	return src
}

// CheckDetection reads each file.
func CheckDetection(t *testing.T, cases map[string]Detection) {
	t.Helper()
	for name, c := range cases {
		d, fam, err := family.Open(family.Default, c.Open(t)).Diffusion()
		if c.Family == "" {
			if err == nil {
				t.Errorf("%s: read as %s", name, fam.Name())
			}
			continue
		}
		if err != nil || fam.Name() != c.Family {
			t.Errorf("%s: family %v, %v", name, fam, err)
			continue
		}
		if kind, settings := d.Sampling(); kind != c.Type || settings.Shift != c.Shift {
			t.Errorf("%s: %v %+v, want %v with shift %v", name, kind, settings, c.Type, c.Shift)
		}
	}
}

// Model returns the diffusion model of a manifest.
func Model(t *testing.T, manifest string, stored dtype.DType) family.Denoiser {
	t.Helper()
	d, _, err := family.Open(family.Default, Manifest(t, manifest, stored)).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// CheckLoRAKeys looks names of adapter files up in the key map of a model.
func CheckLoRAKeys(t *testing.T, model family.Denoiser, want map[string]patch.Target) {
	t.Helper()
	var keys patch.KeyMap
	model.(family.Adaptable).LoRAKeys(&keys, "diffusion_model.")
	for name, w := range want {
		w.Key = "diffusion_model." + w.Key
		if got, ok := keys.Lookup(name); !ok || got != w {
			t.Errorf("%s stands for %+v, want %+v", name, got, w)
		}
	}
}

// Without is a file that lacks the tensors whose names contain a text.
func Without(src weights.Source, text string) weights.Source { return without{src, text} }

type without struct {
	weights.Source
	text string
}

// Names implements weights.Source.
func (w without) Names() []string {
	var out []string
	for _, n := range w.Source.Names() {
		if !strings.Contains(n, w.text) {
			out = append(out, n)
		}
	}
	return out
}

// Lookup implements weights.Source.
func (w without) Lookup(name string) (weights.Entry, bool) {
	if strings.Contains(name, w.text) {
		return weights.Entry{}, false
	}
	return w.Source.Lookup(name)
}
