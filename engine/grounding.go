package engine

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/sampling"
)

// Grounding is the value of GLIGEN links: a network that makes a diffusion model place described objects in boxes.
type Grounding struct {
	file *file
	net  family.GroundingNetwork
}

// LoadGrounding opens the grounding network in the file at path.
func (rt *Runtime) LoadGrounding(path string) (*Grounding, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := f.Parts.Grounding()
	if err != nil {
		return nil, fmt.Errorf("loading the GLIGEN model: %w", err)
	}
	return &Grounding{f, net}, nil
}

// Place returns the conditioning with a text in a box, which is measured in pixels.
func (g *Grounding) Place(ctx context.Context, to Conditioning, c *CLIP, text string, x, y, width, height int) (Conditioning, error) {
	d := *c
	d.unprojected = true
	encoded, err := d.Encode(ctx, text)
	if err != nil {
		return nil, err
	}
	if len(encoded) == 0 || encoded[0].Pooled == nil {
		return nil, fmt.Errorf("placing a text: text encoders of %s give no pooled encoding", c.scheme.Name())
	}
	const cell = 8 // pixels
	box := family.Box{Text: encoded[0].Pooled.Index(0).Data, X: x / cell, Y: y / cell, Width: width / cell, Height: height / cell}
	out := make(Conditioning, len(to))
	for i, entry := range to {
		before, _ := entry.Values[sampling.KeyGLIGEN].(family.Placement)
		p, err := g.net.Place(g.file.ID, before, box)
		if err != nil {
			return nil, err
		}
		out[i] = entry.With(map[string]any{sampling.KeyGLIGEN: p})
	}
	return out, nil
}
