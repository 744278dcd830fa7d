package engine

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

// Tensors are the contents of a weight file to be written.
type Tensors struct {
	// Metadata are text pairs about the model.
	Metadata map[string]string
	list     []weights.Saved
}

// Write writes the file, a piece at a time, with further metadata.
func (t *Tensors) Write(ctx context.Context, w io.Writer, further map[string]string) error {
	all := maps.Clone(t.Metadata)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, further)
	return weights.Save(ctx, w, all, t.list)
}

// The prefixes of the parts of a checkpoint.
const (
	savedDiffusion = "model.diffusion_model."
	savedVAE       = "first_stage_model."
	savedText      = "text_encoders."
)

// Bundle is what a checkpoint is saved from; all but the model may be nil.
type Bundle struct {
	Model  *Model
	CLIP   *CLIP
	VAE    *VAE
	Vision *ImageEncoder
}

// Checkpoint returns a checkpoint of the parts with their adapters, under the names and with the markers that identify it
// when it is loaded (upstream: sd.py save_checkpoint, nodes_model_merging.py save_checkpoint). title is the title in the
// metadata of models that have one.
func (rt *Runtime) Checkpoint(b Bundle, title string) (*Tensors, error) {
	t := &Tensors{Metadata: map[string]string{}}
	m := b.Model
	src, err := patchedWith(m.loras, diffusionPart, m.net.Weights())
	if err != nil {
		return nil, fmt.Errorf("saving the diffusion model: %w", err)
	}
	if config := src.Metadata()["config"]; config != "" { // sizes that cannot be read off the weights
		t.Metadata["config"] = config
	}
	t.add(savedDiffusion, src)
	t.markers(m, title)
	if b.CLIP != nil {
		if err := t.addText(m, b.CLIP); err != nil {
			return nil, fmt.Errorf("saving the text encoders: %w", err)
		}
	}
	if b.VAE != nil {
		if err := t.addVAE(savedVAE, b.VAE); err != nil {
			return nil, err
		}
	}
	if b.Vision != nil {
		prefix := ""
		if k, ok := m.net.(family.Sighted); ok {
			prefix = k.VisionPrefix()
		}
		t.add(prefix, savedSource{Source: b.Vision.net.Weights()})
	}
	return t, nil
}

// markers adds the keys and metadata that state the prediction type of the model.
func (t *Tensors) markers(m *Model, title string) {
	if s, ok := m.net.(family.Specified); ok && s.ModelSpec() != "" {
		t.Metadata["modelspec.architecture"] = s.ModelSpec()
		t.Metadata["modelspec.sai_model_spec"] = "1.0.0"
		t.Metadata["modelspec.implementation"] = "sgm"
		t.Metadata["modelspec.title"] = title
	}
	marker := func(name string, values ...float32) {
		t.list = append(t.list, weights.Saved{Name: name, Entry: weights.Entry{Name: name, DType: dtype.F32, Shape: []int{len(values)}, Data: floatBytes(values)}})
	}
	trained, _ := m.net.Sampling()
	now := m.sampling.Settings()
	if k := m.sampling.Type(); k == sampling.VPredictionEDM || k == sampling.VPredictionContinuous {
		for name, v := range map[string]float64{"edm_vpred.sigma_max": now.SigmaMax, "edm_vpred.sigma_min": now.SigmaMin} {
			e := weights.Entry{Name: name, DType: dtype.F32, Data: floatBytes([]float32{float32(v)})}
			t.list = append(t.list, weights.Saved{Name: name, Entry: e})
		}
	}
	switch trained {
	case sampling.EPS:
		t.Metadata["modelspec.predict_key"] = "epsilon"
	case sampling.VPrediction:
		t.Metadata["modelspec.predict_key"] = "v"
		marker("v_pred")
		if now.ZSNR {
			marker("ztsnr")
		}
	}
}

// addText adds text encoders under the prefixes of the model's checkpoints, in open_clip's layout where the prefix is one
// of its files.
func (t *Tensors) addText(m *Model, c *CLIP) error {
	var prefixes map[string][]string
	if b, ok := m.net.(family.Bundle); ok {
		prefixes = b.TextPrefixes()
	}
	for _, key := range slices.Sorted(maps.Keys(c.parts)) {
		src, err := patchedWith(c.loras, textPrefix(key), c.parts[key].net.Weights())
		if err != nil {
			return err
		}
		prefix := savedText + textPrefix(key)
		if p := prefixes[key]; len(p) > 0 {
			prefix = p[0]
		}
		if !strings.HasSuffix(prefix, ".model.") {
			t.add(prefix, src)
			continue
		}
		stored := src.stored
		src.Source, src.stored = layout.OpenCLIPText(src.Source), nil
		if stored != nil {
			src.stored = layout.OpenCLIPText(stored)
		}
		t.add(prefix, src)
	}
	return nil
}

func (t *Tensors) addVAE(prefix string, v *VAE) error {
	if v.net == nil {
		return fmt.Errorf("saving the VAE: it has no network: latents are images themselves")
	}
	seen := map[string]bool{}
	for _, src := range v.net.Weights() {
		for _, n := range src.Names() {
			if e, ok := src.Lookup(n); ok && !seen[n] {
				seen[n] = true
				t.list = append(t.list, weights.Saved{Name: prefix + n, Entry: e, DType: saveable(e.DType)})
			}
		}
	}
	return nil
}

// SaveVAE returns a file of a VAE alone.
func (rt *Runtime) SaveVAE(v *VAE) (*Tensors, error) {
	t := &Tensors{}
	return t, t.addVAE("", v)
}

// SaveCLIP returns a file for each of the text encoders, by key.
func (rt *Runtime) SaveCLIP(c *CLIP) (map[string]*Tensors, error) {
	out := map[string]*Tensors{}
	for key, p := range c.parts {
		src, err := patchedWith(c.loras, textPrefix(key), p.net.Weights())
		if err != nil {
			return nil, fmt.Errorf("saving the text encoder %s: %w", key, err)
		}
		out[key] = &Tensors{}
		out[key].add("", src)
	}
	return out, nil
}

// savedSource is a source with its changes; stored, when set, is the source without them, whose types are kept.
type savedSource struct {
	weights.Source
	stored weights.Source
}

func patchedWith(s patch.Stack, part string, src weights.Source) (savedSource, error) {
	changed, err := s.Whole(part, src)
	return savedSource{changed, src}, err
}

// add adds all tensors of a source.
func (t *Tensors) add(prefix string, src savedSource) {
	for _, n := range src.Names() {
		e, ok := src.Lookup(n)
		if !ok {
			continue
		}
		d := e.DType
		if src.stored != nil {
			if was, ok := src.stored.Lookup(n); ok {
				d = was.DType
			}
		}
		if e.Computed() {
			d = saveable(d)
		}
		t.list = append(t.list, weights.Saved{Name: prefix + n, Entry: e, DType: d})
	}
}

// saveable is the type in which computed elements are written for those of a stored type.
func saveable(d dtype.DType) dtype.DType {
	if d.IsFloat() && d.Size() == 1 {
		return dtype.F16
	}
	return d
}

func floatBytes(v []float32) []byte {
	b := make([]byte, 4*len(v))
	_ = weights.FromFloat32(b, v, dtype.F32) // the lengths fit
	return b
}
