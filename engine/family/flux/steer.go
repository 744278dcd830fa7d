package flux

import (
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/weights"
)

// CheckResiduals implements family.Steered. ControlNets are made for the published number of blocks: a network that has
// fewer takes the first residuals.
func (m *Model) CheckResiduals(r *family.Residuals) error {
	if r.Middle != nil {
		return dit.ErrOfUNet
	}
	return dit.CheckWidth(m.Hidden, r.Input, r.Output)
}

// steer adds the residuals of ControlNets to a call.
func (m *Model) steer(p *prepared, c family.Call) error {
	if c.Residuals == nil {
		return nil
	}
	s := weights.NewScope(m.Source)
	p.v.Double, p.v.Single = family.Places(c.Residuals.Input, s.Count("double_blocks")), family.Places(c.Residuals.Output, s.Count("single_blocks"))
	for _, list := range []struct {
		places []int
		name   func(int) string
		of     func(int) family.Value
	}{
		{p.v.Double, ResidualDouble, func(i int) family.Value { return family.Floats(ResidualDouble(i), c.Residuals.Input[i]) }},
		{p.v.Single, ResidualSingle, func(i int) family.Value { return family.Floats(ResidualSingle(i), c.Residuals.Output[i]) }},
	} {
		for _, i := range list.places {
			v := list.of(i)
			if got := v.Tensor.Dim(1); got != p.grid.Tokens() {
				return fmt.Errorf("running the model with a ControlNet: it adds to %d tokens, and the image has %d", got, p.grid.Tokens())
			}
			p.in = append(p.in, v)
		}
	}
	return nil
}
