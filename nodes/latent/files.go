package latent

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"os"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/safetensors"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&SaveLatent{})
	nodes.Register(&LoadLatent{})
}

// The names of the two tensors in a .latent file; the second is empty and marks the version.
const (
	tensorKey  = "latent_tensor"
	versionKey = "latent_format_version_0"
)

// SaveLatent writes a latent into the output folder, as a safetensors file with the ending .latent.
type SaveLatent struct {
	Samples      engine.Latent `in:"samples" type:"LATENT"`
	Prefix       string        `in:"filename_prefix" default:"latents/ComfyUI"`
	Prompt       any           `in:"prompt" hidden:"PROMPT"`
	ExtraPNGInfo any           `in:"extra_pnginfo" hidden:"EXTRA_PNGINFO"`
}

// Spec implements nodes.Node.
func (*SaveLatent) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveLatent", DisplayName: "Save Latent", Category: "model/latent", SearchAliases: []string{"export latent"},
		Outputs: []nodes.Output{{Type: "LATENT", Name: "samples"}}, OutputNode: true,
		Uses: nodes.UsesNothing,
	}
}

func (*SaveLatent) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *SaveLatent) Run(ctx *nodes.Context) (nodes.Result, error) {
	samples := n.Samples.Samples
	if samples == nil || len(samples.Shape) < 3 || len(samples.Data) == 0 { // latents of audio have three axes
		return nodes.Result{}, nodes.Errorf("ValueError", "saving a latent: the input samples is no latent")
	}
	to, err := ctx.Folders.SavePath(n.Prefix, ctx.Folders.Output(), 0, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	metadata, err := fileMetadata(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	data := make([]byte, 0, 4*len(samples.Data))
	for _, v := range samples.Data {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	name, err := to.Write(0, ".latent", func(w io.Writer) error {
		return safetensors.Encode(w, metadata, []safetensors.Tensor{
			{Name: versionKey, DType: dtype.F32, Shape: []int{0}},
			{Name: tensorKey, DType: dtype.F32, Shape: samples.Shape, Data: data},
		})
	})
	if err != nil {
		return nodes.Result{}, nodes.Errorf("OSError", "saving a latent: %w", err)
	}
	entry := pyjson.NewObject("filename", name, "subfolder", to.Subfolder, "type", "output")
	return nodes.Out(n.Samples).AddUI("latents", []any{entry}), nil
}

// fileMetadata returns the metadata to store in the file, or nil if that is disabled.
func fileMetadata(ctx *nodes.Context) (map[string]string, error) {
	if !ctx.Metadata {
		return nil, nil
	}
	metadata := map[string]string{"prompt": ""}
	set := func(key string, value any) error {
		text, err := pyjson.Marshal(value)
		if err != nil {
			return fmt.Errorf("writing the metadata %q: %w", key, err)
		}
		metadata[key] = string(text)
		return nil
	}
	if prompt := ctx.Prompt(); prompt != nil {
		if err := set("prompt", prompt); err != nil {
			return nil, err
		}
	}
	if extra := ctx.ExtraPNGInfo(); extra != nil {
		for key, value := range extra.All() {
			if err := set(key, value); err != nil {
				return nil, err
			}
		}
	}
	return metadata, nil
}

// LoadLatent reads a .latent file from the input folder.
type LoadLatent struct {
	Latent string `in:"latent" files:"input:.latent"`
}

// Spec implements nodes.Node.
func (*LoadLatent) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoadLatent", DisplayName: "Load Latent", Category: "model/latent", SearchAliases: []string{"import latent", "open latent"},
		Outputs: nodes.Outputs("LATENT"), Validates: []string{"latent"},
		Uses: nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*LoadLatent) Sizes(s *nodes.Sizing) nodes.Images {
	const pixels, fewest = 64, 8 // no latent has fewer bytes for its 64 pixels: four channels of two bytes
	out := nodes.UnknownImages()
	out.Count, out.Lists, out.Made = s.In.Lists, s.In.Lists, true
	name, ok := s.Text("latent")
	if !ok || s.Folders == nil {
		return out
	}
	path, err := s.Folders.Resolve(name)
	if err != nil {
		return out
	}
	info, err := os.Stat(path)
	if err != nil {
		return out
	}
	out.Width = math.Sqrt(float64(info.Size()) / fewest * pixels)
	out.Height = out.Width
	return out
}

var (
	_ nodes.Validator     = (*LoadLatent)(nil)
	_ nodes.Fingerprinter = (*LoadLatent)(nil)
)

// Run implements nodes.Node. Files without a version hold scaled values of SD 1.x, which are scaled back.
func (n *LoadLatent) Run(ctx *nodes.Context) (nodes.Result, error) {
	path, err := ctx.Folders.Resolve(n.Latent)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "loading a latent: %w", err)
	}
	samples, err := readLatent(path)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("OSError", "loading the latent %q: %w", n.Latent, err)
	}
	return nodes.Out(engine.Latent{Samples: samples}), nil
}

func readLatent(path string) (t *tensor.Tensor, err error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	found, ok := f.Lookup(tensorKey)
	if !ok {
		return nil, fmt.Errorf("there is no tensor called %s in it", tensorKey)
	}
	if err := imaging.CheckSize("the latent", found.Shape...); err != nil {
		return nil, err
	}
	t = tensor.New(found.Shape...)
	if err := weights.ToFloat32(t.Data, weights.Entry{Name: found.Name, DType: found.DType, Shape: found.Shape, Data: found.Data}); err != nil {
		return nil, err
	}
	if _, versioned := f.Lookup(versionKey); !versioned {
		const sd1Scale = 0.18215
		unscale := 1 / sd1Scale
		for i := range t.Data {
			t.Data[i] *= float32(unscale)
		}
	}
	return t, nil
}

// Fingerprint is the content of the file.
func (n *LoadLatent) Fingerprint(ctx *nodes.Context) (any, error) {
	path, err := ctx.Folders.Resolve(n.Latent)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", n.Latent, err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return nil, fmt.Errorf("reading %s: %w", n.Latent, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// ValidateInputs refuses names that lead to no file.
func (n *LoadLatent) ValidateInputs(ctx *nodes.Context) error {
	if _, linked := ctx.Linked("latent"); !linked && !ctx.Folders.Exists(n.Latent) {
		return nodes.Invalid("Invalid latent file: %s", n.Latent)
	}
	return nil
}
