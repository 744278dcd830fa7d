package layout

import (
	"strconv"
	"strings"

	"comfygo/engine/weights"
)

// VAE shows an AutoencoderKL in the layout of diffusers (encoder.down_blocks.0.resnets.0…) in that of Stable Diffusion's own
// code (encoder.down.0.block.0…), for any number of levels, with the attention names of old and of new files.
//
// Upstream: diffusers_convert.py convert_vae_state_dict.
func VAE(src weights.Source) weights.Source {
	if !has(src, "decoder.up_blocks.0.resnets.0.norm1.weight") && !has(src, "encoder.down_blocks.0.resnets.0.norm1.weight") {
		return src
	}
	c := vaeConverter{levels: count(src, "decoder.up_blocks."), rank: 4}
	for _, n := range src.Names() {
		if e, ok := src.Lookup(n); ok && strings.HasSuffix(n, ".conv.weight") && len(e.Shape) == 5 {
			c.rank = 5 // of a video VAE
		}
	}
	v := newView(src)
	for _, n := range src.Names() {
		name, attention := c.name(n)
		if attention && strings.HasSuffix(name, ".weight") {
			v.add(name, n, c.convolution)
			continue
		}
		v.add(name, n, nil)
	}
	return v
}

type vaeConverter struct {
	levels, rank int
}

// vaeAttention are the parts of the middle attention block.
var vaeAttention = map[string]string{
	"group_norm": "norm", "query": "q", "key": "k", "value": "v", "to_q": "q", "to_k": "k", "to_v": "v", "proj_attn": "proj_out", "to_out": "proj_out",
}

// name is the tensor's name in the other layout; attention is set for the matrices of the attention block.
func (c vaeConverter) name(n string) (name string, attention bool) {
	p := strings.Split(n, ".")
	if len(p) < 3 || p[0] != "encoder" && p[0] != "decoder" {
		return n, false
	}
	side := p[0]
	join := func(head string, rest []string) string {
		return side + "." + head + "." + strings.ReplaceAll(strings.Join(rest, "."), "conv_shortcut", "nin_shortcut")
	}
	if p[1] == "conv_norm_out" {
		return join("norm_out", p[2:]), false
	}
	if len(p) < 5 {
		return n, false
	}
	i, err := strconv.Atoi(p[2])
	switch block := p[1] + "." + p[3]; {
	case block == "down_blocks.resnets" && err == nil:
		return join("down."+p[2]+".block."+p[4], p[5:]), false
	case block == "down_blocks.downsamplers" && err == nil:
		return join("down."+p[2]+".downsample", p[5:]), false
	case block == "up_blocks.resnets" && err == nil: // counted from the other end
		return join("up."+strconv.Itoa(c.levels-1-i)+".block."+p[4], p[5:]), false
	case block == "up_blocks.upsamplers" && err == nil:
		return join("up."+strconv.Itoa(c.levels-1-i)+".upsample", p[5:]), false
	case p[1] == "mid_block" && p[2] == "resnets":
		if j, err := strconv.Atoi(p[3]); err == nil {
			return join("mid.block_"+strconv.Itoa(j+1), p[4:]), false
		}
	case p[1] == "mid_block" && p[2] == "attentions":
		own, ok := vaeAttention[p[4]]
		if !ok {
			return join("mid.attn_1", p[4:]), false
		}
		rest := p[5:]
		if p[4] == "to_out" && len(rest) > 0 {
			rest = rest[1:] // the 0 of a list of layers
		}
		return join("mid.attn_1."+own, rest), own != "norm"
	}
	return n, false
}

// convolution shows a matrix as a convolution with a kernel of one pixel.
func (c vaeConverter) convolution(e weights.Entry) (weights.Entry, error) {
	if len(e.Shape) != 2 {
		return e, nil
	}
	shape := append([]int(nil), e.Shape...)
	for len(shape) < c.rank {
		shape = append(shape, 1)
	}
	return e.Reshape(shape...)
}

// count returns the number of prefixes prefix+"0.", prefix+"1." and so on that begin a name, up to the first gap.
func count(src weights.Source, prefix string) int {
	seen := map[int]bool{}
	for _, n := range src.Names() {
		rest, ok := strings.CutPrefix(n, prefix)
		if !ok {
			continue
		}
		digits, _, _ := strings.Cut(rest, ".")
		if i, err := strconv.Atoi(digits); err == nil && strconv.Itoa(i) == digits {
			seen[i] = true
		}
	}
	n := 0
	for seen[n] {
		n++
	}
	return n
}
