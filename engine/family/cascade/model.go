package cascade

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/warning"
)

// The names of the inputs beside the latent, the timesteps and the text encoding.
const (
	// InputPooled is the pooled text encoding [N,1,width].
	InputPooled = "pooled"
	// InputImage are encoded images [N,images,width], which stage C reads.
	InputImage = "image"
	// InputPrior is the latent of stage C [N,16,h,w], which stage B reads at any size.
	InputPrior = "prior"
)

// keyPrior is the key of the latent of stage C in a conditioning entry.
const keyPrior = "stable_cascade_prior"

// Inputs implements family.Denoiser. Upstream: model_base.py StableCascade_C and StableCascade_B.
func (m *Model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Pooled == nil || len(c.Pooled.Shape) != 2 {
		return nil, errors.New("reading a conditioning entry: it has no pooled text encoding, which Stable Cascade needs: encode the prompt with its text encoder")
	}
	pooled := &tensor.Tensor{Shape: []int{c.Pooled.Dim(0), 1, c.Pooled.Dim(1)}, Data: c.Pooled.Data}
	list := []sampling.Input{{Name: InputPooled, Value: pooled, Rule: sampling.ByRows}}
	if m.Prior {
		if c.Tokens == nil {
			return nil, errors.New("reading a conditioning entry: it has no text encoding, which this model needs: connect the output of CLIP Text Encode")
		}
		images, err := m.images(c)
		if err != nil {
			return nil, err
		}
		return append(sampling.Text(c.Tokens).List, append(list, sampling.Input{Name: InputImage, Value: images, Rule: sampling.ByRows})...), nil
	}
	prior, err := sampling.Value[*tensor.Tensor](c, keyPrior)
	if err != nil {
		return nil, err
	}
	if prior == nil {
		const ratio = 42
		prior = tensor.New(1, m.Effnet, max(r.Shape[2]*decoderLatent.Downscale/ratio, 1), max(r.Shape[3]*decoderLatent.Downscale/ratio, 1))
	}
	if len(prior.Shape) != 4 || prior.Dim(1) != m.Effnet || prior.Len() == 0 {
		return nil, fmt.Errorf("reading a conditioning entry: the latent of stage C is %v, stage B reads %d channels", prior.Shape, m.Effnet)
	}
	return append(list, sampling.Input{Name: InputPrior, Value: prior, Rule: sampling.ByRows}), nil
}

// images returns the encoded images of an entry side by side, each times its strength, zeros without any.
func (m *Model) images(c *sampling.Cond) (*tensor.Tensor, error) {
	list, err := sampling.Value[[]any](c, sampling.KeyUnCLIP)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return tensor.New(1, 1, m.Image), nil
	}
	var data []float32
	for _, v := range list {
		object, ok := v.(interface{ Get(key string) (any, bool) })
		if !ok {
			return nil, fmt.Errorf("reading a conditioning entry: an image of unCLIP is of type %T", v)
		}
		value, _ := object.Get("clip_vision_output")
		strength, _ := object.Get("strength")
		factor, _ := strength.(float64)
		enc, ok := value.(family.ImageEncoding)
		if !ok || enc.Embeds == nil || len(enc.Embeds.Shape) != 2 || enc.Embeds.Dim(1) != m.Image {
			return nil, fmt.Errorf("reading a conditioning entry: stage C reads image encodings of width %d, those of CLIP ViT-L: connect clip_vision_output to CLIP Vision Encode with that encoder", m.Image)
		}
		for _, x := range enc.Embeds.Data {
			data = append(data, x*float32(factor))
		}
	}
	return tensor.From(data, 1, len(data)/m.Image, m.Image)
}

// Predict implements family.Denoiser.
func (m *Model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	if err := m.check(c); err != nil {
		return nil, err
	}
	text := c.Inputs.Get(sampling.InputContext)
	tokens := 0
	if text != nil {
		tokens = text.Dim(1)
	}
	if err := run.Check("running the model", m.Memory(c.X.Shape, tokens)); err != nil {
		return nil, err
	}
	height, width := c.X.Dim(2), c.X.Dim(3)
	in := []family.Value{family.Floats("x", resized(c.X, m.cells(height), m.cells(width))), family.Vector("timesteps", c.T), family.Floats(InputPooled, c.Inputs.Get(InputPooled))}
	if m.Prior {
		in = append(in, family.Floats("context", text), family.Floats(InputImage, c.Inputs.Get(InputImage)))
	} else {
		in = append(in, family.Floats(InputPrior, c.Inputs.Get(InputPrior)), family.Floats("pixels", tensor.New(1, 3, 1, 1)))
	}
	var steered []int
	switch r := c.Residuals; {
	case r != nil && !m.Prior:
		warning.Add(ctx, "the ControlNet has no effect on stage B of Stable Cascade, as in ComfyUI: it steers stage C")
	case r != nil:
		steered = family.Places(r.Input, m.residualBlocks())
		for _, i := range steered {
			in = append(in, family.Floats(controlInput(i), r.Input[i]))
		}
	}
	g := family.Graph{Part: "unet", Variant: family.Digest(m.Config, steered), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) { return m.build(s, steered) }}
	out, err := run.Run(ctx, g, in, "out")
	if err != nil {
		return nil, err
	}
	return resized(out["out"], height, width), nil
}

// cells returns the padded number of cells along a side: whole patches, and at least one position on the coarsest level.
// Upstream fails for others.
func (m *Model) cells(n int) int {
	if m.Prior {
		return n
	}
	return max((n+m.Patch-1)/m.Patch*m.Patch, m.Patch<<(len(m.Widths)-1))
}

// resized returns x [B,C,H,W] cut, or padded with zeros, to h x w cells.
func resized(x *tensor.Tensor, h, w int) *tensor.Tensor {
	if x.Dim(2) == h && x.Dim(3) == w {
		return x
	}
	out := tensor.New(x.Dim(0), x.Dim(1), h, w)
	for i := range x.Dim(0) * x.Dim(1) {
		for y := range min(h, x.Dim(2)) {
			copy(out.Data[(i*h+y)*w:(i*h+y)*w+min(w, x.Dim(3))], x.Data[(i*x.Dim(2)+y)*x.Dim(3):])
		}
	}
	return out
}

// check fails when a call does not fit the network.
func (m *Model) check(c family.Call) error {
	if len(c.X.Shape) != 4 || c.X.Dim(1) != m.Channels {
		return fmt.Errorf("the latent has shape %v, the model reads %d channels", c.X.Shape, m.Channels)
	}
	rows := c.X.Dim(0)
	if len(c.T) != rows {
		return fmt.Errorf("%d timesteps for %d rows", len(c.T), rows)
	}
	wants := map[string]int{InputPooled: m.Pooled}
	if m.Prior {
		wants[sampling.InputContext], wants[InputImage] = m.Text, m.Image
	} else if p := c.Inputs.Get(InputPrior); p == nil || len(p.Shape) != 4 || p.Dim(0) != rows || p.Dim(1) != m.Effnet {
		return errors.New("it needs the latent of stage C for each row")
	}
	for name, width := range wants {
		v := c.Inputs.Get(name)
		if v == nil || len(v.Shape) != 3 || v.Dim(0) != rows {
			return fmt.Errorf("it needs an encoding (%s) for each row", name)
		}
		if v.Dim(2) != width {
			return fmt.Errorf("the encoding (%s) has width %d, the model reads %d: it comes from the encoder of another family", name, v.Dim(2), width)
		}
	}
	return nil
}

// Memory implements family.Denoiser: the hidden features of a block of the finest level, four times as wide as the level, in
// some copies.
func (m *Model) Memory(shape []int, _ int) int64 {
	const copies = 6
	return family.Product(shape[0], m.cells(shape[2])/m.Patch, m.cells(shape[3])/m.Patch, 4*m.Widths[0], 4, copies)
}
