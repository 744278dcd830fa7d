package main

import (
	"math"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/internal/recipe"
)

// network gathers the tensors of a network below a prefix.
type network struct {
	prefix  string
	tensors []recipe.Tensor
	linears []linear
}

// linear is a matrix that a LoRA changes.
type linear struct {
	name    string
	out, in int
}

// uniform adds a tensor of values between ±amplitude around the center.
func (n *network) uniform(name string, amplitude, center float64, shape ...int) {
	s := amplitude * 0x1p-23
	n.tensors = append(n.tensors, recipe.Tensor{
		Key: n.prefix + name, Shape: shape, DType: dtype.F16, Kind: recipe.Uniform, B: int64(center / s), S: s,
	})
}

// constant adds a scalar.
func (n *network) constant(name string, v float64) {
	n.tensors = append(n.tensors, recipe.Tensor{Key: n.prefix + name, Shape: []int{}, DType: dtype.F16, Kind: recipe.Constant, S: v})
}

// weight adds a matrix or a convolution whose outputs have the variance of its inputs.
func (n *network) weight(name string, shape ...int) {
	fanIn := 1
	for _, d := range shape[1:] {
		fanIn *= d
	}
	n.uniform(name, math.Sqrt(3/float64(fanIn)), 0, shape...)
}

func (n *network) bias(name string, width int) { n.uniform(name, 0.02, 0, width) }

func (n *network) linear(name string, out, in int, biased bool) {
	n.weight(name+".weight", out, in)
	if biased {
		n.bias(name+".bias", out)
	}
	n.linears = append(n.linears, linear{name, out, in})
}

func (n *network) conv(name string, out, in, size int) {
	n.weight(name+".weight", out, in, size, size)
	n.bias(name+".bias", out)
}

func (n *network) norm(name string, width int) {
	n.uniform(name+".weight", 0.125, 1, width)
	n.bias(name+".bias", width)
}

// lora returns low-rank changes of the attention's matrices, in kohya's naming. With those of the feed-forward layers ComfyUI
// takes more than 23 GB in float32.
func (n *network) lora(rank int) []recipe.Tensor {
	var l network
	for _, m := range n.linears {
		if !strings.Contains(m.name, ".attn1.") && !strings.Contains(m.name, ".attn2.") {
			continue
		}
		name := "lora_unet_" + strings.ReplaceAll(m.name, ".", "_")
		l.uniform(name+".lora_up.weight", 0.05, 0, m.out, rank)
		l.weight(name+".lora_down.weight", rank, m.in)
		l.constant(name+".alpha", float64(rank)/2)
	}
	return l.tensors
}
