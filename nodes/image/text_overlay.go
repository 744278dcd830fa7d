package image

import (
	"context"
	"strings"

	"comfygo/engine/tensor"
	"comfygo/internal/draw"
	"comfygo/internal/imaging"
	"comfygo/internal/pystr"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&TextOverlay{})
}

// TextOverlay draws a text over images.
type TextOverlay struct {
	Images   *tensor.Tensor `in:"images" type:"IMAGE"`
	Text     string         `in:"text" default:"" multiline:"true"`
	FontSize float64        `in:"font_size" default:"5.0" min:"0.5" max:"50.0" step:"0.5" tooltip:"Font size in percent of the image height."`
	Color    any            `in:"color" type:"COLOR" default:"#ffffff" socketless:"true" tooltip:"Color of the text."`
	Position string         `in:"position" options:"top|bottom" default:"top"`
	Align    string         `in:"align" options:"left|center|right" default:"left"`
	Outline  bool           `in:"outline" default:"true" tooltip:"Draws a black outline around the letters."`
}

// Spec implements nodes.Node.
func (*TextOverlay) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TextOverlay", DisplayName: "Draw Text Overlay", Category: "text",
		Module: "comfy_extras.nodes_text_overlay", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images"}},
		Description:   "Draws a text over an image or each image of a batch.",
		SearchAliases: []string{"text", "label", "caption", "subtitle", "watermark", "title", "addlabel", "overlay"},
		Uses:          nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*TextOverlay) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run implements nodes.Node.
func (n *TextOverlay) Run(ctx *nodes.Context) (nodes.Result, error) {
	if pystr.Strip(n.Text) == "" {
		return nodes.Out(n.Images), nil
	}
	if !isImage(n.Images) {
		return nodes.Result{}, errNoImage("images")
	}
	b, h, w, c := n.Images.Shape[0], n.Images.Shape[1], n.Images.Shape[2], n.Images.Shape[3]
	if c != 1 && c != 3 {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "drawing a text: the images have %d channels, want 1 or 3", c)
	}
	if !(n.FontSize > 0 && n.FontSize*float64(h)/100 < draw.MaxSize) {
		return nodes.Result{}, nodes.Errorf("ValueError", "drawing a text: font_size is %g percent of %d pixels, want less than %d pixels", n.FontSize, h, draw.MaxSize)
	}
	color, err := parseColor(n.Color)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Align != "left" && n.Align != "center" && n.Align != "right" {
		return nodes.Result{}, nodes.Errorf("KeyError", "drawing a text: there is no align %q", n.Align)
	}
	if err := ctx.ReserveText(len(n.Text), 8); err != nil {
		return nodes.Result{}, err
	}
	if err := imaging.CheckSize("images with a text", b+1, h, w, 3); err != nil {
		return nodes.Result{}, err
	}
	layer := n.layer(w, h, color)
	out := tensor.New(b, h, w, 3)
	for i := range b {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		from, to := n.Images.Index(i).Data, out.Index(i).Data
		for p := range h * w {
			l := layer.Pix[4*p:][:4]
			alpha := float32(l[3]) / 255
			for k := range 3 {
				to[3*p+k] = float32(from[p*c+k%c]*(1-alpha)) + float32(float32(l[k])/255*alpha)
			}
		}
	}
	return nodes.Out(out), nil
}

// Proportions of the text: line height and outline as parts of the font size, margin and smallest font size as parts of the image.
const (
	lineHeight     = 1.2
	outlineWidth   = 0.04
	textMargin     = 1.0 / 100.0
	leastTextPart  = 2.0 / 100.0
	leastTextSize  = 10
	shrinkingSteps = 0.9
)

// layer draws the text on a transparent image, smaller if it does not fit.
func (n *TextOverlay) layer(w, h int, color [4]byte) *draw.Canvas {
	text := strings.ReplaceAll(strings.ReplaceAll(n.Text, `\n`, "\n"), `\t`, "\t")
	margin := roundEven(textMargin * float64(min(w, h)))
	maxWidth, maxHeight := max(1, w-2*margin), max(1, h-2*margin)
	size := max(1, roundEven(n.FontSize/100*float64(h)))
	least := min(size, max(leastTextSize, roundEven(leastTextPart*float64(h))))
	var t draw.Text
	var top, bottom float64
	for {
		t = draw.Text{Face: draw.NewFace(size)}
		if n.Outline {
			t.Stroke = max(1, roundEven(float64(size)*outlineWidth))
		}
		lines := wrapText(t.Face, text, maxWidth)
		t.Spacing = roundEven(float64(size)*lineHeight - naturalHeight(t))
		t.Text = strings.Join(lines, "\n")
		_, top, _, bottom = t.Bounds(0, 0)
		if bottom-top <= float64(maxHeight) || size <= least {
			break
		}
		size = max(least, int(float64(size)*shrinkingSteps))
	}
	x := float64(margin)
	switch n.Align {
	case "center":
		t.Anchor, x = draw.Middle, float64(w)/2
	case "right":
		t.Anchor, x = draw.Right, float64(w-margin)
	}
	y := float64(margin) - top
	if n.Position == "bottom" {
		y = float64(h-margin) - bottom
	}
	c := draw.New(w, h, 4)
	c.Text(t, x, y, color[:], []byte{0, 0, 0, 255})
	return c
}

// naturalHeight returns the distance of lines without spacing.
func naturalHeight(t draw.Text) float64 {
	t.Spacing, t.Text = 0, "Ay"
	_, top, _, bottom := t.Bounds(0, 0)
	t.Text = "Ay\nAy"
	_, twoTop, _, twoBottom := t.Bounds(0, 0)
	return (twoBottom - twoTop) - (bottom - top)
}

// wrapText breaks a text into lines of at most width pixels, at white space and within words that are longer.
func wrapText(f *draw.Face, text string, width int) []string {
	var lines []string
	space := f.Advance(' ')
	for paragraph := range strings.SplitSeq(text, "\n") {
		words := strings.FieldsFunc(paragraph, pystr.IsSpace)
		if len(words) == 0 {
			lines = append(lines, "")
			continue
		}
		var current strings.Builder
		used := 0
		flush := func() {
			lines = append(lines, current.String())
			current.Reset()
			used = 0
		}
		for _, word := range words {
			runes := []rune(word)
			length := f.Length(word)
			for length > width && len(runes) > 1 {
				cut, n := 1, f.Advance(runes[0])
				for cut < len(runes) && n+f.Advance(runes[cut]) <= width {
					n += f.Advance(runes[cut])
					cut++
				}
				if current.Len() > 0 {
					flush()
				}
				lines = append(lines, string(runes[:cut]))
				runes, length = runes[cut:], length-n
			}
			if len(runes) == 0 {
				continue
			}
			if current.Len() > 0 && used+space+length > width {
				flush()
			}
			if current.Len() > 0 {
				current.WriteByte(' ')
				used += space
			}
			current.WriteString(string(runes))
			used += length
		}
		if current.Len() > 0 {
			lines = append(lines, current.String())
		}
	}
	return lines
}
