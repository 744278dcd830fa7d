package main

import "fmt"

const (
	sdxlChannels = 320
	sdxlContext  = 2048
	sdxlVector   = 2816
)

// sdxlLevels are the U-Net's levels: multiple of the channels and depth of the transformers.
var sdxlLevels = []struct{ multiple, depth int }{{1, 0}, {2, 2}, {4, 10}}

// diffusionModel is the U-Net of SDXL base: 2.6 billion weights.
func diffusionModel() *network {
	n := &network{prefix: "model.diffusion_model."}
	wide := 4 * sdxlChannels
	for _, e := range []struct {
		name string
		in   int
	}{{"time_embed", sdxlChannels}, {"label_emb.0", sdxlVector}} {
		n.linear(e.name+".0", wide, e.in, true)
		n.linear(e.name+".2", wide, wide, true)
	}
	n.conv("input_blocks.0.0", sdxlChannels, 4, 3)
	skips, width, at := []int{sdxlChannels}, sdxlChannels, 1
	for i, level := range sdxlLevels {
		for range 2 {
			block := fmt.Sprintf("input_blocks.%d.", at)
			width = n.resBlock(block+"0", width, level.multiple*sdxlChannels)
			n.transformer(block+"1", width, level.depth)
			skips, at = append(skips, width), at+1
		}
		if i < len(sdxlLevels)-1 {
			n.conv(fmt.Sprintf("input_blocks.%d.0.op", at), width, width, 3)
			skips, at = append(skips, width), at+1
		}
	}
	n.resBlock("middle_block.0", width, width)
	n.transformer("middle_block.1", width, sdxlLevels[len(sdxlLevels)-1].depth)
	n.resBlock("middle_block.2", width, width)
	at = 0
	for i := len(sdxlLevels) - 1; i >= 0; i-- {
		level := sdxlLevels[i]
		for k := range 3 {
			block := fmt.Sprintf("output_blocks.%d.", at)
			skip := skips[len(skips)-1]
			skips, at = skips[:len(skips)-1], at+1
			width = n.resBlock(block+"0", width+skip, level.multiple*sdxlChannels)
			n.transformer(block+"1", width, level.depth)
			if k == 2 && i > 0 {
				n.conv(block+"2.conv", width, width, 3)
			}
		}
	}
	n.norm("out.0", width)
	n.conv("out.2", 4, width, 3)
	return n
}

// resBlock adds a residual block and returns its width.
func (n *network) resBlock(name string, in, out int) int {
	n.norm(name+".in_layers.0", in)
	n.conv(name+".in_layers.2", out, in, 3)
	n.linear(name+".emb_layers.1", out, 4*sdxlChannels, true)
	n.norm(name+".out_layers.0", out)
	n.conv(name+".out_layers.3", out, out, 3)
	if in != out {
		n.conv(name+".skip_connection", out, in, 1)
	}
	return out
}

// transformer adds a spatial transformer; none of depth 0.
func (n *network) transformer(name string, width, depth int) {
	if depth == 0 {
		return
	}
	n.norm(name+".norm", width)
	n.linear(name+".proj_in", width, width, true)
	for d := range depth {
		block := fmt.Sprintf("%s.transformer_blocks.%d.", name, d)
		for i, context := range []int{width, sdxlContext} {
			attention := fmt.Sprintf("%sattn%d.", block, i+1)
			n.linear(attention+"to_q", width, width, false)
			n.linear(attention+"to_k", width, context, false)
			n.linear(attention+"to_v", width, context, false)
			n.linear(attention+"to_out.0", width, width, true)
		}
		for i := range 3 {
			n.norm(fmt.Sprintf("%snorm%d", block, i+1), width)
		}
		n.linear(block+"ff.net.0.proj", 8*width, width, true)
		n.linear(block+"ff.net.2", width, 4*width, true)
	}
	n.linear(name+".proj_out", width, width, true)
}

// clipL is CLIP ViT-L's text encoder in Hugging Face's naming.
func clipL() *network {
	const width = 768
	n := &network{prefix: "conditioner.embedders.0.transformer.text_model."}
	n.uniform("embeddings.token_embedding.weight", 0.5, 0, 49408, width)
	n.uniform("embeddings.position_embedding.weight", 0.25, 0, 77, width)
	for i := range 12 {
		layer := fmt.Sprintf("encoder.layers.%d.", i)
		for _, p := range []string{"q", "k", "v", "out"} {
			n.linear(layer+"self_attn."+p+"_proj", width, width, true)
		}
		n.norm(layer+"layer_norm1", width)
		n.norm(layer+"layer_norm2", width)
		n.linear(layer+"mlp.fc1", 4*width, width, true)
		n.linear(layer+"mlp.fc2", width, 4*width, true)
	}
	n.norm("final_layer_norm", width)
	return n
}

// clipG is OpenCLIP bigG's text encoder in OpenCLIP's naming.
func clipG() *network {
	const width = 1280
	n := &network{prefix: "conditioner.embedders.1.model."}
	n.uniform("token_embedding.weight", 0.5, 0, 49408, width)
	n.uniform("positional_embedding", 0.25, 0, 77, width)
	for i := range 32 {
		layer := fmt.Sprintf("transformer.resblocks.%d.", i)
		n.weight(layer+"attn.in_proj_weight", 3*width, width)
		n.bias(layer+"attn.in_proj_bias", 3*width)
		n.linear(layer+"attn.out_proj", width, width, true)
		n.norm(layer+"ln_1", width)
		n.norm(layer+"ln_2", width)
		n.linear(layer+"mlp.c_fc", 4*width, width, true)
		n.linear(layer+"mlp.c_proj", width, 4*width, true)
	}
	n.norm("ln_final", width)
	n.weight("text_projection", width, width)
	n.constant("logit_scale", 4.6)
	return n
}
