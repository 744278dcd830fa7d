package unet_test

import (
	"slices"
	"testing"

	"comfygo/engine/family/unet"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

func request() sampling.Request {
	return sampling.Request{
		Shape: []int{2, 4, 16, 16}, Latent: tensor.New(2, 4, 16, 16), Format: sampling.LatentFormat{Channels: 4, Scale: 1, Downscale: 8},
	}
}

func TestInpaintInput(t *testing.T) {
	t.Parallel()
	c, err := unet.InpaintInput(&sampling.Cond{}, request())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Shape, []int{2, 5, 16, 16}) || c.Data[0] != 1 || c.Index(0).Index(1).Data[0] != 0.8223 {
		t.Errorf("without a mask the network reads %v beginning %v, want a full mask and the latent of black", c.Shape, c.Data[:1])
	}
	r := request()
	r.Mask = tensor.New(2, 4, 16, 16)
	r.Mask.Data[0], r.Latent.Data[0] = 0.7, 9
	if c, err = unet.InpaintInput(&sampling.Cond{}, r); err != nil {
		t.Fatal(err)
	}
	if row := c.Index(0); row.Index(0).Data[0] != 1 || row.Index(0).Data[1] != 0 || row.Index(1).Data[0] != 9 {
		t.Errorf("with a mask the network reads mask %v and latent %v", row.Index(0).Data[:2], row.Index(1).Data[0])
	}
	entry := &sampling.Cond{Values: map[string]any{sampling.KeyConcatMask: tensor.New(1, 16, 16)}}
	if c, err = unet.InpaintInput(entry, r); err != nil || c.Data[0] != 0 {
		t.Errorf("the entry's own mask is not read: %v, %v", c.Data[0], err)
	}
}

func TestEditInput(t *testing.T) {
	t.Parallel()
	c, err := unet.EditInput(&sampling.Cond{}, request())
	if err != nil || c.Dim(1) != 4 || slices.Max(c.Data) != 0 {
		t.Errorf("an editing model without an image does not read zeros: %v", err)
	}
}

func TestInputsThatDoNotFit(t *testing.T) {
	t.Parallel()
	for name, values := range map[string]map[string]any{
		"channels":  {sampling.KeyConcatLatent: tensor.New(1, 3, 4, 4)},
		"mask axes": {sampling.KeyConcatMask: tensor.New(3)},
		"type":      {sampling.KeyConcatMask: "mask"},
	} {
		_, inpaint := unet.InpaintInput(&sampling.Cond{Values: values}, request())
		_, edit := unet.EditInput(&sampling.Cond{Values: values}, request())
		if inpaint == nil && edit == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
