package models_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/models"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// listed is a weight file that a list of names and sizes describes.
type listed struct {
	names   []string
	entries map[string]weights.Entry
}

func (l *listed) Names() []string { return l.names }
func (l *listed) Lookup(name string) (weights.Entry, bool) {
	e, ok := l.entries[name]
	return e, ok
}
func (l *listed) Metadata() map[string]string { return nil }
func (l *listed) Path() string                { return "listed" }
func (l *listed) Close() error                { return nil }

// list reads lines like "conv_first.weight 64 3 3 3".
func list(text string) *listed {
	l := &listed{entries: map[string]weights.Entry{}}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || len(l.names) > 400 {
			continue
		}
		e := weights.Entry{Name: words[0], DType: dtype.F32, TypeName: "F32"}
		elements := 1
		for _, w := range words[1:] {
			n, err := strconv.Atoi(w)
			if err != nil || n < 0 || n > 1<<12 || len(e.Shape) > 4 {
				n = 1
			}
			e.Shape = append(e.Shape, n)
			elements *= max(n, 1)
		}
		if elements > 1<<20 {
			continue // nobody needs the bytes of more
		}
		e.Data = make([]byte, 4*e.Count())
		if !slices.Contains(l.names, e.Name) {
			l.names = append(l.names, e.Name)
		}
		l.entries[e.Name] = e
	}
	return l
}

// FuzzDetect looks for models among names and shapes that fit badly, and writes the graphs of what is found: an error is
// fine, a panic is not.
func FuzzDetect(f *testing.F) {
	for _, seed := range []string{
		"conv_first.weight 32 12 3 3\nconv_first.bias 32\nbody.0.rdb1.conv1.weight 32 32 3 3\nbody.0.rdb1.conv5.weight 32 160 3 3\nconv_body.weight 32 32 3 3\nconv_up1.weight 32 32 3 3\nconv_hr.weight 32 32 3 3\nconv_last.weight 3 32 3 3\n",
		"model.0.weight 32 3 3 3\nmodel.1.sub.0.RDB1.conv1.0.weight 32 32 3 3\nmodel.1.sub.1.weight 32 32 3 3\nmodel.3.weight 32 32 3 3\nmodel.5.weight 32 32 3 3\nmodel.7.weight 3 32 3 3\n",
		"body.0.weight 32 3 3 3\nbody.1.weight 32\nbody.2.weight 12 32 3 3\nbody.2.bias 12\n",
		"control_model.zero_convs.0.0.weight 320 320 1 1\ncontrol_model.input_blocks.0.0.weight 320 4 3 3\ncontrol_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight 320 768\ncontrol_model.input_hint_block.0.weight 16 3 3 3\ncontrol_model.input_blocks.1.0.in_layers.2.weight 320 320 3 3\n",
		"controlnet_cond_embedding.conv_in.weight 16 3 3 3\ncontrolnet_down_blocks.0.weight 320 320 1 1\nconv_in.weight 320 4 3 3\ndown_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight 320 768\ndown_blocks.0.resnets.0.conv1.weight 320 320 3 3\n",
		"model.diffusion_model.input_blocks.0.0.weight 320 4 3 3\nmodel.diffusion_model.out.2.weight 4 320 3 3\nmodel.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight 320 768\nmodel.diffusion_model.output_blocks.0.0.in_layers.2.weight 320 640 3 3\n",
		"first_stage_model.decoder.conv_in.weight 512 4 3 3\nfirst_stage_model.decoder.mid.block_1.norm1.weight 512\nfirst_stage_model.decoder.up.0.block.0.conv1.weight 128 128 3 3\n",
		"text_model.encoder.layers.0.mlp.fc1.weight 3072 768\ntext_model.embeddings.token_embedding.weight 100 768\n",
		"taesd_decoder.1.weight 64 4 3 3\ntaesd_decoder.3.conv.0.weight 64 64 3 3\ntaesd_encoder.0.weight 64 3 3 3\ntaesd_encoder.1.conv.0.weight 64 64 3 3\ntaesd_encoder.14.weight 4 64 3 3\n",
	} {
		f.Add(seed, 0)
		f.Add(seed, 16)
	}
	f.Fuzz(func(_ *testing.T, text string, block int) {
		if block != 8 && block != 16 {
			block = 0
		}
		found, err := models.Detect(list(text))
		if err != nil {
			return
		}
		t := nn.Target{Compute: dtype.F32, Block: block}
		write := func(_ *onnx.Graph, _ error) {}
		if found.Upscaler != nil {
			write(models.UpscalerGraph(found.UpscalerScope(), *found.Upscaler, t))
		}
		if found.Control != nil {
			write(models.ControlGraph(found.ControlScope(), *found.Control, t))
		}
		if found.UNet != nil {
			write(models.UNetGraph(found.UNetScope(), *found.UNet, t, true))
			write(models.ControlledUNetGraph(found.UNetScope(), *found.UNet, t, false))
		}
		if found.VAE != nil {
			write(models.VAEDecoderGraph(found.VAEScope(), *found.VAE, t))
			write(models.VAEEncoderGraph(found.VAEScope(), *found.VAE, t))
		}
		if found.Tiny != nil && found.Tiny.HasDecoder {
			write(models.TinyDecoderGraph(found.TinyDecoderScope(), t))
		}
		if found.Tiny != nil && found.Tiny.HasEncoder {
			write(models.TinyEncoderGraph(found.TinyEncoderScope(), t))
		}
	})
}
