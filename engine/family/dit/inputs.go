package dit

import (
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// PadFront puts zeros before the tokens of a text encoding [N,T,C] until there are least tokens.
func PadFront(x *tensor.Tensor, least int) *tensor.Tensor {
	if len(x.Shape) != 3 || x.Dim(1) >= least {
		return x
	}
	out := tensor.New(x.Dim(0), least, x.Dim(2))
	skip := (least - x.Dim(1)) * x.Dim(2)
	for b := range x.Dim(0) {
		copy(out.Index(b).Data[skip:], x.Index(b).Data)
	}
	return out
}

// PlainGuidance is the guidance of an entry that states none, for most models.
const PlainGuidance = 3.5

// Guidance returns the guidance [1] of an entry, plain where it states none; guided is false when the entry asks for none.
func Guidance(c *sampling.Cond, plain float64) (g *tensor.Tensor, guided bool, err error) {
	v := plain
	if given, ok := c.Values[sampling.KeyGuidance]; ok {
		if given == nil {
			return nil, false, nil
		}
		if v, err = sampling.Value[float64](c, sampling.KeyGuidance); err != nil {
			return nil, false, err
		}
	}
	return &tensor.Tensor{Shape: []int{1}, Data: []float32{float32(v)}}, true, nil
}

// CheckText fails if a text encoding does not fit a network that reads width values per token, for the given number of rows.
func CheckText(text *tensor.Tensor, rows, width int) error {
	switch {
	case text == nil || len(text.Shape) != 3 || text.Dim(0) != rows || text.Dim(1) == 0:
		return fmt.Errorf("it needs a text encoding for each row")
	case text.Dim(2) != width:
		return fmt.Errorf("the text encoding has width %d, the model reads %d: it comes from the text encoder of another family", text.Dim(2), width)
	}
	return nil
}

// Skipped returns the run options of blocks that are left out: those of double and those of single blocks.
func Skipped(options map[string]any) (double, single []int) {
	double, _ = options[sampling.OptionSkipDouble].([]int)
	single, _ = options[sampling.OptionSkipSingle].([]int)
	return double, single
}

// CheckLatent fails if the latent of a call does not have the given channels and axes, or not one timestep per row.
func CheckLatent(c family.Call, channels, axes int) error {
	switch {
	case len(c.X.Shape) != axes || c.X.Dim(1) != channels:
		return fmt.Errorf("the latent has shape %v, the model reads %d channels and %d axes", c.X.Shape, channels, axes)
	case len(c.T) != c.X.Dim(0):
		return fmt.Errorf("%d timesteps for %d rows", len(c.T), c.X.Dim(0))
	}
	return nil
}

// Hides reports whether a mask of zeros and ones hides anything.
func Hides(mask *tensor.Tensor) bool {
	for _, v := range mask.Data {
		if v != 1 {
			return true
		}
	}
	return false
}

// MaskOf continues a mask [N,T] of the first tokens with ones for the others, of tokens in all.
func MaskOf(mask *tensor.Tensor, tokens int) *tensor.Tensor {
	out := tensor.New(mask.Dim(0), tokens)
	for b := range mask.Dim(0) {
		row := out.Index(b).Data
		for i := copy(row, mask.Index(b).Data); i < tokens; i++ {
			row[i] = 1
		}
	}
	return out
}
