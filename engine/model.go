package engine

import (
	"context"
	"fmt"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/ort"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Model is the value of MODEL links: a diffusion model with its sampling. It is immutable, and implements sampling.Network.
type Model struct {
	rt       *Runtime
	file     *file
	net      family.Denoiser
	family   family.Family
	sampling *sampling.ModelSampling
	// weights, when set, is the type that weights are rounded to.
	weights dtype.DType
	// compute, when set, is the compute type on a GPU.
	compute dtype.DType
	// format, when set, replaces the family's.
	format *sampling.LatentFormat
	// trained, when set, is the sampling that sampling replaced.
	trained *sampling.ModelSampling
	// loras are the adapters that were applied, in order.
	loras patch.Stack
	// loraMetadata is the metadata of the file of the last adapters; nil if the file has no metadata.
	loraMetadata map[string]string
	// patches are the graph patches, in order.
	patches patch.GraphPatches
	// attached are the model patches, in order.
	attached []*attachment
	// hooks and options are for the sampler and the network.
	hooks   sampling.Hooks
	options map[string]any
	// hookFiles are the files of weight hooks that were read for the model, shared by all that are made from it.
	hookFiles *hookFiles
	// place is the device of the network; the conditionings of a step are shared out to further GPUs, too.
	place   Place
	further []ort.Device
	// preview, when set, makes the images that are shown while the model is sampled.
	preview Previewer
	// alternating reports that hooks changed the weights: each of their states has sessions of its own.
	alternating bool
}

var (
	_ sampling.Network = (*Model)(nil)
	_ sampling.Keeper  = (*Model)(nil)
	_ sampling.Causal  = (*Model)(nil)

	_ sampling.PartsKeeper = (*Model)(nil)
)

// LoadModel opens the diffusion model in the file at path. round, when set, is a narrow type that its weights are rounded
// to (upstream's weight_dtype).
func (rt *Runtime) LoadModel(path string, round dtype.DType) (*Model, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, fam, err := f.Parts.Diffusion()
	return rt.newModel(f, net, fam, round, err)
}

func (rt *Runtime) newModel(f *file, net family.Denoiser, fam family.Family, round dtype.DType, err error) (*Model, error) {
	if err != nil {
		return nil, fmt.Errorf("loading the diffusion model: %w", err)
	}
	kind, settings := net.Sampling()
	ms, err := sampling.NewModelSampling(kind, settings)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", f.Path, err)
	}
	return &Model{rt: rt, file: f, net: net, family: fam, sampling: ms, weights: round, hookFiles: &hookFiles{}}, nil
}

// LoadCheckpoint opens a file that holds a diffusion model, text encoders and a VAE. A missing part is nil, as in upstream:
// the node that needs it reports the error.
func (rt *Runtime) LoadCheckpoint(path string) (*Model, *CLIP, *VAE, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, nil, nil, err
	}
	net, fam, err := f.Parts.Checkpoint()
	m, err := rt.newModel(f, net, fam, dtype.Invalid, err)
	if err != nil {
		return nil, nil, nil, err
	}
	c, err := rt.bundledCLIP(m)
	if err != nil {
		return nil, nil, nil, err
	}
	v, err := rt.vaeOf(m.file)
	if _, ok := net.(family.OnPixels); ok && v == nil && err == nil {
		v = rt.PixelSpace()
	}
	return m, c, v, err
}

// Family is the name of the model's family.
func (m *Model) Family() string { return m.family.Name() }

// Sampling returns the model's prediction type and noise schedule.
func (m *Model) Sampling() *sampling.ModelSampling { return m.sampling }

// LatentFormat relates the VAE's latents to those of the network.
func (m *Model) LatentFormat() sampling.LatentFormat {
	if m.format != nil {
		return *m.format
	}
	return m.net.Latent()
}

// Inputs returns the network's named inputs for a conditioning entry; see family.Denoiser. The client is warned about values
// of the entry that the family does not read.
func (m *Model) Inputs(ctx context.Context, c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	c = c.Watched()
	in, err := m.net.Inputs(c, r)
	if err != nil {
		return nil, err
	}
	text, err := controlText(c, r)
	if err != nil {
		return nil, err
	}
	in = append(in, text...)
	for _, key := range c.Unread() {
		m.warnUnread(ctx, "conditioning value", key)
	}
	return in, nil
}

func (m *Model) runner() runner {
	files := []*file{m.file}
	for _, a := range m.attached {
		files = append(files, a.patch.file)
	}
	r := m.rt.runner(family.RoleDiffusion, false, files...)
	r.compute, r.weights = or(or(m.compute, r.compute), preferred(m.net)), m.weights
	r.adapters, r.apart = m.loras.Storing(m.storage).Part(diffusionPart), m.alternating
	return m.place.on(r)
}

// preferred is the compute type on a GPU that a model's family asks for; Invalid leaves it to the role.
func preferred(net family.Denoiser) dtype.DType {
	if t, ok := net.(family.Typed); ok && len(t.ComputeTypes()) > 0 {
		return t.ComputeTypes()[0]
	}
	return dtype.Invalid
}

// Predict runs the network: x [N,C,axes…] as the network reads it, one timestep a row, and the inputs of in; the result is
// the raw prediction in the shape of x.
func (m *Model) Predict(ctx context.Context, x *tensor.Tensor, t []float32, in sampling.Inputs) (*tensor.Tensor, error) {
	if err := m.warnOptions(ctx, in.Options); err != nil {
		return nil, err
	}
	m, err := m.hooked(ctx, in.Hooks)
	if err != nil {
		return nil, err
	}
	patches, err := m.callPatches(in)
	if err != nil {
		return nil, err
	}
	run := m.runner()
	call := family.Call{X: x, T: t, Inputs: in, Patches: patches}
	if call.Residuals, err = m.residuals(ctx, call); err != nil {
		return nil, err
	}
	if call.Attached, err = m.attachments(ctx, x, in.Sigma); err != nil {
		return nil, err
	}
	tokens := 0
	if text := in.Get(sampling.InputContext); text != nil && len(text.Shape) == 3 {
		tokens = text.Dim(1)
	}
	if len(x.Shape) >= 3 {
		defer m.rt.sessions.Reserve(run.device, family.MemoryWith(m.net, x.Shape, tokens, call.Attached))()
	}
	y, err := m.net.Predict(ctx, run, call)
	if err != nil {
		return nil, err
	}
	return y, m.explain(y)
}

// Kept implements sampling.Keeper by the model's family.
func (m *Model) Kept(sigma float32, latent *tensor.Tensor) *tensor.Tensor {
	if k, ok := m.net.(family.Keeping); ok {
		return k.Kept(sigma, latent)
	}
	return nil
}

// KeptParts implements sampling.PartsKeeper by the model's family.
func (m *Model) KeptParts(k sampling.Kept) (*tensor.Tensor, error) {
	if f, ok := m.net.(family.KeepingParts); ok {
		return f.KeptParts(k)
	}
	return nil, nil
}

// Causal implements sampling.Causal by the options that the model's family reads.
func (m *Model) Causal() bool {
	o, ok := m.net.(family.Optioned)
	return ok && slices.Contains(o.Options(), sampling.OptionBlock)
}

// explain looks for the cause when a prediction is not finite: a weight that is none, or a LoRA file. Weights that stay in the file are
// not looked through when they are loaded, so that loading does not have to read them all.
func (m *Model) explain(y *tensor.Tensor) error {
	for _, v := range y.Data {
		if v-v == 0 {
			continue
		}
		src := m.net.Weights()
		for _, name := range src.Names() {
			if e, ok := src.Lookup(name); ok {
				if err := weights.Scan(e); err != nil {
					return fmt.Errorf("running the model gave %v: %w", v, err)
				}
			}
		}
		if files := m.loras.Suspects(); files != "" {
			return fmt.Errorf("running the model gave %v, though the numbers of its own file are finite: it carries %s: lower the strength, or leave the file out", v, files)
		}
		return nil // the numbers ran away by themselves: the sampler knows the step
	}
	return nil
}

// MaxRows returns the number of latents of the shape [C,axes…] that one run can take with the available memory, at least 1.
func (m *Model) MaxRows(shape []int, tokens int) int {
	device := m.runner().device
	have, known := m.rt.sessions.Available(device)
	if device.Kind == ort.CUDA && known {
		// What sessions hold can be had, but for the weights; where these would leave little they are streamed.
		all, _ := m.rt.sessions.Capacity(device)
		have = max(all-m.weightBytes(), all/2)
	}
	const most = 1 << 20
	if !known {
		return most
	}
	attached := make([]family.Attached, len(m.attached))
	for i, a := range m.attached {
		attached[i].Net = a.patch.net
	}
	one := family.MemoryWith(m.net, append([]int{1}, shape...), tokens, attached)
	return int(max(1, min(have/2/max(one, 1), most)))
}

// weightBytes is the size of the model's weights in its compute type.
func (m *Model) weightBytes() int64 {
	n := int64(0)
	src := m.net.Weights()
	for _, name := range src.Names() {
		if e, ok := src.Lookup(name); ok {
			n += 2 * int64(e.Count())
		}
	}
	return n
}

// Denoiser is the model's network as its family read it, for tests and tools.
func (m *Model) Denoiser() family.Denoiser { return m.net }
