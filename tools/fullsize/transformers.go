package main

import (
	"fmt"

	"comfygo/engine/dtype"
)

// shape is a tensor of zeros.
type shape struct {
	name string
	dims []int
	// narrow reports that the tensor is a matrix, which is stored in the file's narrow type.
	narrow bool
}

// zeros is a file of zeros, which takes no room on a disk.
type zeros struct {
	folder, name string
	// matrices is the type of the matrices, others that of everything else. With Invalid it is a GGUF file of the architecture
	// arch with matrices in Q4_K and everything else in float32.
	matrices, others dtype.DType
	arch             string
	tensors          []shape
}

func (z *zeros) vector(name string, dims ...int) {
	z.tensors = append(z.tensors, shape{name: name, dims: dims})
}

func (z *zeros) matrix(name string, out, in int, biased bool) {
	z.tensors = append(z.tensors, shape{name + ".weight", []int{out, in}, true})
	if biased {
		z.vector(name+".bias", out)
	}
}

// reduced are sizes in place of a model's own, where they are not 0: the number of blocks of each kind, and the width of the text encoding.
type reduced struct{ depth, text int }

// transformers are the files by name.
var transformers = map[string]func(r reduced) *zeros{
	"flux-dev-fp8":    fluxDev,
	"flux-dev-bf16":   func(r reduced) *zeros { return fluxDev(r).stored("flux-dev-bf16", dtype.BF16) },
	"t5xxl-fp8":       t5XXL,
	"sd35-large-fp8":  sd35Large,
	"qwen-image-q4_k": qwenImage,
	"qwen-image-bf16": func(r reduced) *zeros { return qwenImage(r).stored("qwen-image-bf16", dtype.BF16) },
	"z-image-bf16":    zImage,
}

// stored is the file under another name with all tensors in one type.
func (z *zeros) stored(name string, t dtype.DType) *zeros {
	z.name, z.matrices, z.others = name, t, t
	return z
}

// blocks is the number of blocks of a kind of which the model has full.
func (r reduced) blocks(full int) int {
	if r.depth > 0 {
		return min(r.depth, full)
	}
	return full
}

// width is the width of the text encoding where the model's is full.
func (r reduced) width(full int) int {
	if r.text > 0 {
		return r.text
	}
	return full
}

// fluxDev is Flux.1 dev: 12 billion weights.
func fluxDev(r reduced) *zeros {
	const h, head, mlp, pooled, patch = 3072, 128, 4 * 3072, 768, 64
	z := &zeros{folder: "diffusion_models", name: "flux-dev-fp8", matrices: dtype.F8E4M3, others: dtype.BF16}
	z.matrix("img_in", h, patch, true)
	z.matrix("txt_in", h, r.width(4096), true)
	for name, in := range map[string]int{"time_in": 256, "vector_in": pooled, "guidance_in": 256} {
		z.matrix(name+".in_layer", h, in, true)
		z.matrix(name+".out_layer", h, h, true)
	}
	norms := func(at string) {
		z.vector(at+".query_norm.scale", head)
		z.vector(at+".key_norm.scale", head)
	}
	for i := range r.blocks(19) {
		for _, kind := range []string{"img", "txt"} {
			at := fmt.Sprintf("double_blocks.%d.%s_", i, kind)
			z.matrix(at+"mod.lin", 6*h, h, true)
			z.matrix(at+"attn.qkv", 3*h, h, true)
			norms(at + "attn.norm")
			z.matrix(at+"attn.proj", h, h, true)
			z.matrix(at+"mlp.0", mlp, h, true)
			z.matrix(at+"mlp.2", h, mlp, true)
		}
	}
	for i := range r.blocks(38) {
		at := fmt.Sprintf("single_blocks.%d.", i)
		z.matrix(at+"linear1", 3*h+mlp, h, true)
		z.matrix(at+"linear2", h, h+mlp, true)
		norms(at + "norm")
		z.matrix(at+"modulation.lin", 3*h, h, true)
	}
	z.matrix("final_layer.linear", patch, h, true)
	z.matrix("final_layer.adaLN_modulation.1", 2*h, h, true)
	return z
}

// t5XXL is the encoder of T5 v1.1 XXL: 4.8 billion weights.
func t5XXL(r reduced) *zeros {
	const width, inner, mlp, heads = 4096, 4096, 10240, 64
	z := &zeros{folder: "text_encoders", name: "t5xxl-fp8", matrices: dtype.F8E4M3, others: dtype.F16}
	z.matrix("shared", 32128, width, false)
	for i := range r.blocks(24) {
		at := fmt.Sprintf("encoder.block.%d.layer.", i)
		for _, p := range []string{"q", "k", "v"} {
			z.matrix(at+"0.SelfAttention."+p, inner, width, false)
		}
		z.matrix(at+"0.SelfAttention.o", width, inner, false)
		if i == 0 {
			z.vector(at+"0.SelfAttention.relative_attention_bias.weight", 32, heads)
		}
		z.vector(at+"0.layer_norm.weight", width)
		z.matrix(at+"1.DenseReluDense.wi_0", mlp, width, false)
		z.matrix(at+"1.DenseReluDense.wi_1", mlp, width, false)
		z.matrix(at+"1.DenseReluDense.wo", width, mlp, false)
		z.vector(at+"1.layer_norm.weight", width)
	}
	z.vector("encoder.final_layer_norm.weight", width)
	return z
}

// sd35Large is Stable Diffusion 3.5 large: 8 billion weights.
func sd35Large(r reduced) *zeros {
	const h, head, pooled, side, patch = 2432, 64, 2048, 192, 64
	z := &zeros{folder: "diffusion_models", name: "sd35-large-fp8", matrices: dtype.F8E4M3, others: dtype.F16}
	z.vector("pos_embed", 1, side*side, h)
	z.vector("x_embedder.proj.weight", h, 16, 2, 2)
	z.vector("x_embedder.proj.bias", h)
	for name, in := range map[string]int{"t_embedder": 256, "y_embedder": pooled} {
		z.matrix(name+".mlp.0", h, in, true)
		z.matrix(name+".mlp.2", h, h, true)
	}
	z.matrix("context_embedder", h, r.width(4096), true)
	n := r.blocks(38)
	for i := range n {
		for _, kind := range []string{"context", "x"} {
			at := fmt.Sprintf("joint_blocks.%d.%s_block.", i, kind)
			z.matrix(at+"attn.qkv", 3*h, h, true)
			z.vector(at+"attn.ln_q.weight", head)
			z.vector(at+"attn.ln_k.weight", head)
			if kind == "context" && i == n-1 {
				z.matrix(at+"adaLN_modulation.1", 2*h, h, true)
				continue
			}
			z.matrix(at+"attn.proj", h, h, true)
			z.matrix(at+"mlp.fc1", 4*h, h, true)
			z.matrix(at+"mlp.fc2", h, 4*h, true)
			z.matrix(at+"adaLN_modulation.1", 6*h, h, true)
		}
	}
	z.matrix("final_layer.linear", patch, h, true)
	z.matrix("final_layer.adaLN_modulation.1", 2*h, h, true)
	return z
}

// qwenImage is Qwen-Image: 20 billion weights.
func qwenImage(r reduced) *zeros {
	const h, head, mlp, patch = 3072, 128, 4 * 3072, 64
	text := r.width(3584)
	z := &zeros{folder: "diffusion_models", name: "qwen-image-q4_k", arch: "qwen_image"}
	z.matrix("time_text_embed.timestep_embedder.linear_1", h, 256, true)
	z.matrix("time_text_embed.timestep_embedder.linear_2", h, h, true)
	z.vector("txt_norm.weight", text)
	z.vector("img_in.weight", h, patch)
	z.vector("img_in.bias", h)
	z.matrix("txt_in", h, text, true)
	for i := range r.blocks(60) {
		at := fmt.Sprintf("transformer_blocks.%d.", i)
		for _, kind := range []string{"img", "txt"} {
			z.matrix(at+kind+"_mod.1", 6*h, h, true)
			z.matrix(at+kind+"_mlp.net.0.proj", mlp, h, true)
			z.matrix(at+kind+"_mlp.net.2", h, mlp, true)
		}
		for _, n := range []string{"q", "k", "added_q", "added_k"} {
			z.vector(at+"attn.norm_"+n+".weight", head)
		}
		for _, n := range []string{"to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_out.0", "to_add_out"} {
			z.matrix(at+"attn."+n, h, h, true)
		}
	}
	z.matrix("norm_out.linear", 2*h, h, true)
	z.matrix("proj_out", patch, h, true)
	return z
}

// zImage is Z-Image turbo: 6 billion weights.
func zImage(r reduced) *zeros {
	const h, head, mlp, times, patch = 3840, 128, 10240, 256, 64
	text := r.width(2560)
	z := &zeros{folder: "diffusion_models", name: "z-image-bf16", matrices: dtype.BF16, others: dtype.BF16}
	z.vector("x_pad_token", 1, h)
	z.vector("cap_pad_token", 1, h)
	z.matrix("x_embedder", h, patch, true)
	z.matrix("t_embedder.mlp.0", 1024, 256, true)
	z.matrix("t_embedder.mlp.2", times, 1024, true)
	z.vector("cap_embedder.0.weight", text)
	z.matrix("cap_embedder.1", h, text, true)
	stack := func(name string, n int, modulated bool) {
		for i := range n {
			at := fmt.Sprintf("%s.%d.", name, i)
			z.matrix(at+"attention.qkv", 3*h, h, false)
			z.matrix(at+"attention.out", h, h, false)
			z.vector(at+"attention.q_norm.weight", head)
			z.vector(at+"attention.k_norm.weight", head)
			z.matrix(at+"feed_forward.w1", mlp, h, false)
			z.matrix(at+"feed_forward.w2", h, mlp, false)
			z.matrix(at+"feed_forward.w3", mlp, h, false)
			for _, norm := range []string{"attention_norm1", "ffn_norm1", "attention_norm2", "ffn_norm2"} {
				z.vector(at+norm+".weight", h)
			}
			if modulated {
				z.matrix(at+"adaLN_modulation.0", 4*h, times, true)
			}
		}
	}
	stack("noise_refiner", 2, true)
	stack("context_refiner", 2, false)
	stack("layers", r.blocks(30), true)
	z.matrix("final_layer.linear", patch, h, true)
	z.matrix("final_layer.adaLN_modulation.1", h, times, true)
	return z
}
