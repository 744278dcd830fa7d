package image

import (
	"context"
	"fmt"
	"strings"

	"comfygo/engine/tensor"
	"comfygo/internal/draw"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/internal/pystr"
	"comfygo/nodes"
)

// preview draws regions over the background, which is darkened, or over gray.
func (n *CreateBoundingBoxes) preview(ctx *nodes.Context, regions []region) (*tensor.Tensor, error) {
	base, w, h, err := n.base()
	if err != nil {
		return nil, err
	}
	d := newBoxDrawing(w, h)
	for i, r := range regions {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if err := d.region(i, r); err != nil {
			return nil, fmt.Errorf("drawing box %d: %w", i, err)
		}
	}
	overOpaque(base, d.Pix)
	out := tensor.New(1, h, w, 3)
	imaging.FromBytes(out.Data, base)
	return out, nil
}

// base returns the background behind the boxes, RGB.
func (n *CreateBoundingBoxes) base() (pix []byte, w, h int, err error) {
	scaled := func(w, h int) (int, int) {
		scale := min(1, previewSide/float64(max(w, h, 1)))
		return max(1, roundEven(float64(w)*scale)), max(1, roundEven(float64(h)*scale))
	}
	const dim = 4 // brightness is divided by
	if t := n.Background; isImage(t) && (t.Shape[3] == 3 || t.Shape[3] == 4) {
		if err := imaging.CheckSize("a preview", t.Shape[1], t.Shape[2], 2); err != nil {
			return nil, 0, 0, err
		}
		w, h = scaled(t.Shape[2], t.Shape[1])
		pix, err = imaging.Resize8(imaging.ToBytes(imaging.WithChannels(t.Slice(0, 1), 3, 0).Data), t.Shape[2], t.Shape[1], 3, w, h, imaging.Lanczos)
		for i := range pix {
			pix[i] /= dim
		}
		return pix, w, h, err
	}
	w, h = scaled(n.Width, n.Height)
	pix = make([]byte, 3*w*h)
	const gray = 128 / dim
	for i := range pix {
		pix[i] = gray
	}
	return pix, w, h, nil
}

// overOpaque lays an RGBA image over an RGB one, in fixed point as Pillow's alpha_composite.
func overOpaque(base, layer []byte) {
	const bits = 7
	for i := 0; i < len(base)/3; i++ {
		p, alpha := layer[4*i:][:4], int(layer[4*i+3])
		if alpha == 0 {
			continue
		}
		// The result is opaque.
		of := alpha * (1 << bits)
		for k := range 3 {
			v := int(p[k])*of + int(base[3*i+k])*(255*(1<<bits)-of) + 0x80<<bits
			base[3*i+k] = byte(((v>>8 + v) >> 8) >> bits)
		}
	}
}

// boxDrawing draws regions on a transparent canvas.
type boxDrawing struct {
	*draw.Canvas

	size      int // of descriptions in pixels
	text, tag *draw.Face
}

func newBoxDrawing(w, h int) *boxDrawing {
	const leastText, leastTag, lines = 10, 9, 64
	size := max(leastText, roundEven(float64(h)/lines))
	return &boxDrawing{draw.New(w, h, 4), size, draw.NewFace(size), draw.NewFace(max(leastTag, size-2))}
}

// region draws the border, the palette, the number and the description of a region.
func (d *boxDrawing) region(i int, r region) error {
	colors, err := swatches(r.color)
	if err != nil {
		return err
	}
	color := [3]byte{140, 140, 140}
	if len(colors) > 0 {
		color = colors[0]
	}
	place := func(v float64, side int) int { return max(0, min(side, roundEven(v*float64(side)))) }
	x1, x2 := place(r.x, d.Width), place(r.x+r.w, d.Width)
	y1, y2 := place(r.y, d.Height), place(r.y+r.h, d.Height)
	x1, x2, y1, y2 = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
	ink := []byte{color[0], color[1], color[2], 255}
	const border = 2
	d.Outline(x1, y1, x2, y2, border, ink)
	d.palette(colors, x1, y1, x2)

	tag := fmt.Sprintf("%02d", i+1)
	d.Fill(x1, y1, x1+d.tag.Length(tag)+6, y1+d.size+2, ink)
	tagInk := []byte{255, 255, 255, 255}
	if brightness(color) > 140 {
		tagInk = []byte{0, 0, 0, 255}
	}
	d.Text(draw.Text{Face: d.tag, Text: tag}, float64(x1+3), float64(y1+1), tagInk, nil)

	body, err := description(r)
	if err != nil || body == "" || x2-x1 <= 8 {
		return err
	}
	c := readable(color)
	y := y1 + d.size + 5
	wrapLines(d.text, body, x2-x1-8, func(line string) bool {
		if y > y2 {
			return false
		}
		d.Text(draw.Text{Face: d.text, Text: line}, float64(x1+4), float64(y), []byte{c[0], c[1], c[2], 255}, nil)
		y += d.size + 2
		return true
	})
	return nil
}

// palette draws up to five colors side by side along the upper border.
func (d *boxDrawing) palette(colors [][3]byte, x1, y1, x2 int) {
	const most = 5
	if colors = colors[:min(len(colors), most)]; len(colors) == 0 || x2-x1 <= 2 {
		return
	}
	part := float64(x2-x1) / float64(len(colors))
	for p, c := range colors {
		d.Fill(x1+roundEven(float64(p)*part), y1, x1+roundEven(float64(p+1)*part), y1+max(5, d.size/2), []byte{c[0], c[1], c[2], 255})
	}
}

// swatches returns the colors of a region's palette; values that are not #RRGGBB become white.
func swatches(v any) ([][3]byte, error) {
	if !pyjson.Truthy(v) {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, nodes.Errorf("TypeError", "its palette is a %s, want a list of colors", pyjson.TypeName(v))
	}
	var out [][3]byte
	for _, e := range list {
		if !pyjson.Truthy(e) {
			continue
		}
		text, ok := e.(string)
		if !ok {
			return nil, nodes.Errorf("AttributeError", "its palette has a %s, want colors such as #ff8000", pyjson.TypeName(e))
		}
		color := [3]byte{255, 255, 255}
		if digits := strings.TrimLeft(text, "#"); len(digits) == 6 {
			if c, ok := hexColorOf(strings.ToLower(digits)); ok {
				color = [3]byte(c[:3])
			}
		}
		out = append(out, color)
	}
	return out, nil
}

// description returns the text that is written into a region.
func description(r region) (string, error) {
	desc, ok := r.desc.(string)
	if !ok && pyjson.Truthy(r.desc) {
		return "", nodes.Errorf("TypeError", "its description is a %s, want a text", pyjson.TypeName(r.desc))
	}
	if r.kind == "text" && pyjson.Truthy(r.text) {
		quoted := `"` + pyjson.Str(r.text) + `"`
		if desc != "" {
			quoted += " — " + desc
		}
		return quoted, nil
	}
	return desc, nil
}

// brightness is the luma of a color (BT.601).
func brightness(c [3]byte) float64 {
	return float64(0.299*float64(c[0])) + float64(0.587*float64(c[1])) + float64(0.114*float64(c[2]))
}

// readable lightens a dark color.
func readable(c [3]byte) [3]byte {
	const least = 130
	luma := brightness(c)
	if luma >= least {
		return c
	}
	t := (least - luma) / (255 - luma)
	for k, v := range c {
		c[k] = byte(roundEven(float64(v) + (255-float64(v))*t))
	}
	return c
}

// wrapLines breaks a text at white space into lines of at most width pixels; longer words stay whole. It ends when use returns
// false.
func wrapLines(f *draw.Face, text string, width int, use func(line string) bool) {
	for paragraph := range strings.SplitSeq(text, "\n") {
		line := ""
		for _, word := range strings.FieldsFunc(paragraph, pystr.IsSpace) {
			longer := word
			if line != "" {
				longer = line + " " + word
			}
			if line != "" && f.Length(longer) > width {
				if !use(line) {
					return
				}
				longer = word
			}
			line = longer
		}
		if !use(line) {
			return
		}
	}
}
