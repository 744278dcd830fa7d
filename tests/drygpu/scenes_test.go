//go:build drygpu && linux

package drygpu_test

import (
	"context"
	"fmt"

	"comfygo/engine"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/ort"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/ortlib"
)

// scenes are what processes do.
var scenes = map[string]func(ctx context.Context, p *player) error{
	"check":     check,
	"decode":    decode,
	"prompt":    prompt,
	"sessions":  sessions,
	"sizes":     sizes,
	"steps":     steps,
	"too large": tooLarge,
	"video":     video,
}

// check tries CUDA and prints what came of it.
func check(ctx context.Context, p *player) error {
	lib, err := library()
	if err != nil {
		return err
	}
	if err := lib.CheckCUDA(ctx, p.Device); err != nil {
		fmt.Println(err)
	} else {
		fmt.Printf("GPU %d can be used\n", p.Device)
	}
	return lib.Close()
}

// library opens the CUDA build of ONNX Runtime, for scenes without an engine.
func library() (*ort.Runtime, error) {
	path, err := ortlib.Find(ortlib.Options{CUDA: true})
	if err != nil {
		return nil, err
	}
	return ort.Open(ort.Config{Library: path})
}

// prompt encodes a prompt and predicts.
func prompt(ctx context.Context, p *player) error {
	_, clip, _, err := p.rt.LoadCheckpoint(p.Checkpoint)
	if err != nil {
		return err
	}
	if _, err := clip.Encode(ctx, "a lighthouse"); err != nil {
		return err
	}
	return steps(ctx, p)
}

// tooLarge prints the error of a step.
func tooLarge(ctx context.Context, p *player) error {
	err := steps(ctx, p)
	fmt.Println(err)
	return nil
}

// steps predicts for two rows again and again; each step is a section.
func steps(ctx context.Context, p *player) error {
	m, err := p.rt.LoadModel(p.Checkpoint, 0)
	if err == nil && p.LoRA != "" {
		m, _, err = p.rt.ApplyLoRA(ctx, p.LoRA, m, nil, 1, 0)
	}
	if err != nil {
		return err
	}
	return p.predict(ctx, m, p.prefix)
}

// predict is steps for a model; the names of sections begin with prefix.
func (p *player) predict(ctx context.Context, m *engine.Model, prefix string) error {
	format := m.LatentFormat()
	x := tensor.New(2, format.Channels, p.Size/8, p.Size/8)
	cond, err := dryrun.Entry(ctx, m.Denoiser())
	if err != nil {
		return err
	}
	list, err := m.Inputs(ctx, cond, sampling.Request{Shape: x.Shape, Latent: x, Format: format})
	if err != nil {
		return err
	}
	for i, in := range list {
		if in.Value.Dim(0) == 1 {
			two := tensor.New(append([]int{2}, in.Value.Shape[1:]...)...)
			copy(two.Index(0).Data, in.Value.Data)
			copy(two.Index(1).Data, in.Value.Data)
			list[i].Value = two
		}
	}
	for i := range p.Steps {
		if err := p.mark(fmt.Sprint(prefix, "step", i)); err != nil {
			return err
		}
		if p.before != nil {
			p.before()
		}
		x.Data[0] = float32(i) // the latent changes from step to step, the text does not
		if _, err := m.Predict(ctx, x, []float32{float32(500 - i), float32(500 - i)}, sampling.Inputs{List: list}); err != nil {
			return err
		}
		if err := p.account(fmt.Sprint(prefix, "step", i)); err != nil {
			return err
		}
	}
	return p.mark(prefix + "end")
}

// sizes predicts for a size, and for one that needs another graph.
func sizes(ctx context.Context, p *player) error {
	for _, more := range []int{0, 8} {
		p.Size += more
		p.prefix = fmt.Sprint(p.Size, "-")
		if err := steps(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// decode decodes a latent twice.
func decode(ctx context.Context, p *player) error {
	_, _, vae, err := p.rt.LoadCheckpoint(p.Checkpoint)
	if err != nil {
		return err
	}
	for i := range p.Steps {
		if err := p.mark(fmt.Sprint("decode", i)); err != nil {
			return err
		}
		if _, err := vae.Decode(ctx, tensor.New(1, 4, p.Size/8, p.Size/8)); err != nil {
			return err
		}
		if err := p.account(fmt.Sprint("decode", i)); err != nil {
			return err
		}
	}
	return p.mark("end")
}

// video decodes 17 frames by a VAE of Wan 2.1 twice.
func video(ctx context.Context, p *player) error {
	vae, err := p.rt.LoadVAE(p.Checkpoint)
	if err != nil {
		return err
	}
	for i := range p.Steps {
		if err := p.mark(fmt.Sprint("decode", i)); err != nil {
			return err
		}
		if _, err := vae.Decode(ctx, tensor.New(1, 16, 5, p.Size/8, p.Size/8)); err != nil {
			return err
		}
		if err := p.account(fmt.Sprint("decode", i)); err != nil {
			return err
		}
	}
	return p.mark("end")
}
