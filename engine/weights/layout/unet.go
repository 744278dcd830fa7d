package layout

import (
	"slices"
	"strconv"
	"strings"

	"comfygo/engine/weights"
)

// UNet shows a U-Net in the layout of diffusers (down_blocks.0.resnets.0…) in that of Stable Diffusion's own code
// (input_blocks.1.0…). The number of levels and of blocks in each is read from the names.
//
// Upstream: utils.py unet_to_diffusers.
func UNet(src weights.Source) weights.Source {
	if !has(src, "conv_in.weight") || !has(src, "down_blocks.0.resnets.0.conv1.weight") || !has(src, "up_blocks.0.resnets.0.conv1.weight") {
		return src
	}
	return Renamed(src, UNetNames(src).Name)
}

// ControlNet shows a ControlNet in the layout of diffusers in that of its authors' code (zero_convs.0.0…).
//
// Upstream: controlnet.py load_controlnet_state_dict.
func ControlNet(src weights.Source) weights.Source {
	if !has(src, "controlnet_cond_embedding.conv_in.weight") {
		return src
	}
	unet := UNetNames(src)
	union := has(src, "control_add_embedding.linear_1.bias") // for several hint types, selected by an embedding
	hints := count(src, "controlnet_cond_embedding.blocks.")
	return Renamed(src, func(n string) string {
		for _, c := range []struct {
			prefix string
			to     func(i int) string
		}{
			{"controlnet_cond_embedding.conv_in.", func(int) string { return "input_hint_block.0." }},
			{"controlnet_cond_embedding.conv_out.", func(int) string { return "input_hint_block." + strconv.Itoa(2*hints+2) + "." }},
			{"controlnet_mid_block.", func(int) string { return "middle_block_out.0." }},
		} {
			if rest, ok := strings.CutPrefix(n, c.prefix); ok {
				return c.to(0) + rest
			}
		}
		if i, rest, ok := numbered(n, "controlnet_cond_embedding.blocks."); ok {
			return "input_hint_block." + strconv.Itoa(2*i+2) + "." + rest
		}
		if i, rest, ok := numbered(n, "controlnet_down_blocks."); ok {
			return "zero_convs." + strconv.Itoa(i) + ".0." + rest
		}
		if own := unet.Name(n); own != "" || !union {
			return own
		}
		return strings.ReplaceAll(n, ".attn.in_proj_", ".attn.in_proj.")
	})
}

// Renamed is a view of the tensors for which name gives a name.
func Renamed(src weights.Source, name func(string) string) weights.Source {
	v := newView(src)
	for _, n := range src.Names() {
		if own := name(n); own != "" {
			v.add(own, n, nil)
		}
	}
	return v
}

// numbered takes prefix and a number off the front of n.
func numbered(n, prefix string) (i int, rest string, ok bool) {
	rest, ok = strings.CutPrefix(n, prefix)
	digits, rest, dot := strings.Cut(rest, ".")
	i, err := strconv.Atoi(digits)
	const most = 1000 // blocks, far beyond any model
	return i, rest, ok && dot && err == nil && i >= 0 && i <= most
}

// begins reports whether a name begins with prefix.
func begins(src weights.Source, prefix string) bool {
	return slices.ContainsFunc(src.Names(), func(n string) bool { return strings.HasPrefix(n, prefix) })
}

// Blocks is the structure of a U-Net, by which blocks are numbered.
type Blocks struct {
	// Down and Up are the residual blocks of each level of the first and the second half.
	Down, Up []int
	// Attends reports for each level of the second half whether its last block has attention.
	Attends []bool
}

// UNetNames reads the structure of a U-Net in diffusers' layout from its names.
func UNetNames(src weights.Source) Blocks {
	var b Blocks
	for i := range count(src, "down_blocks.") {
		b.Down = append(b.Down, count(src, "down_blocks."+strconv.Itoa(i)+".resnets."))
	}
	for i := range count(src, "up_blocks.") {
		level := "up_blocks." + strconv.Itoa(i)
		n := count(src, level+".resnets.")
		b.Up = append(b.Up, n)
		b.Attends = append(b.Attends, begins(src, level+".attentions."+strconv.Itoa(n-1)+"."))
	}
	return b
}

// unetNames are the tensors outside the blocks.
var unetNames = map[string]string{
	"conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
	"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
	"class_embedding.linear_1": "label_emb.0.0", "class_embedding.linear_2": "label_emb.0.2",
	"add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
}

// residualNames are the parts of a residual block.
var residualNames = map[string]string{
	"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0", "conv2": "out_layers.3",
	"conv_shortcut": "skip_connection",
}

// Name returns the name of a tensor or module of diffusers' U-Net in the other layout, or "" if it has no counterpart. LoRA
// files, which name modules, are mapped by it, too.
func (b Blocks) Name(n string) string {
	if i, rest, ok := numbered(n, "down_blocks."); ok {
		return b.down(i, rest)
	}
	if i, rest, ok := numbered(n, "up_blocks."); ok {
		return b.up(i, rest)
	}
	if rest, ok := strings.CutPrefix(n, "mid_block.attentions.0."); ok {
		return "middle_block.1." + rest
	}
	if i, rest, ok := numbered(n, "mid_block.resnets."); ok && i < 2 {
		return residual("middle_block."+strconv.Itoa(2*i), rest)
	}
	for from, to := range unetNames {
		if rest, ok := strings.CutPrefix(n, from); ok && (rest == "" || rest[0] == '.') {
			return to + rest
		}
	}
	return ""
}

// down names a part of level of the first half: each level is its blocks and, except for the last, a downsampling.
func (b Blocks) down(level int, rest string) string {
	if level >= len(b.Down) {
		return ""
	}
	at := 1
	for _, n := range b.Down[:level] {
		at += n + 1
	}
	if j, part, ok := numbered(rest, "resnets."); ok {
		return residual("input_blocks."+strconv.Itoa(at+j)+".0", part)
	}
	if j, part, ok := numbered(rest, "attentions."); ok {
		return "input_blocks." + strconv.Itoa(at+j) + ".1." + part
	}
	if part, ok := strings.CutPrefix(rest, "downsamplers.0.conv"); ok {
		return "input_blocks." + strconv.Itoa(at+b.Down[level]) + ".0.op" + part
	}
	return ""
}

// up names a part of level of the second half, whose upsampling is part of the level's last block.
func (b Blocks) up(level int, rest string) string {
	if level >= len(b.Up) {
		return ""
	}
	at := 0
	for _, n := range b.Up[:level] {
		at += n
	}
	if j, part, ok := numbered(rest, "resnets."); ok {
		return residual("output_blocks."+strconv.Itoa(at+j)+".0", part)
	}
	if j, part, ok := numbered(rest, "attentions."); ok {
		return "output_blocks." + strconv.Itoa(at+j) + ".1." + part
	}
	if part, ok := strings.CutPrefix(rest, "upsamplers.0.conv"); ok {
		place := 1
		if b.Attends[level] {
			place = 2
		}
		return "output_blocks." + strconv.Itoa(at+b.Up[level]-1) + "." + strconv.Itoa(place) + ".conv" + part
	}
	return ""
}

func residual(block, part string) string {
	for from, to := range residualNames {
		if rest, ok := strings.CutPrefix(part, from); ok && (rest == "" || rest[0] == '.') {
			return block + "." + to + rest
		}
	}
	return ""
}
