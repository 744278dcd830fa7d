package image

import (
	"context"
	"io"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() { nodes.Register(&SaveImageAdvanced{}) }

// PNGFormat are the inputs of the format png.
type PNGFormat struct {
	BitDepth        string `in:"bit_depth" options:"8-bit|16-bit" advanced:"true" default:"8-bit"`
	InputColorSpace string `in:"input_color_space" options:"sRGB" advanced:"true" default:"sRGB"`
}

// EXRFormat are the inputs of the format exr.
type EXRFormat struct {
	BitDepth        string `in:"bit_depth" options:"32-bit float" advanced:"true" default:"32-bit float"`
	InputColorSpace string `in:"input_color_space" options:"sRGB|HDR|linear" advanced:"true" default:"sRGB" tooltip:"Color space of the images. The file is scene-linear: from sRGB the sRGB curve is removed (Rec. 709 primaries), from HDR the HLG curve (Rec. 2020 primaries); linear is written as it is."`
}

// SaveImageAdvanced writes images as PNG files of 8 or 16 bits or as OpenEXR files.
type SaveImageAdvanced struct {
	Images         *tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Images to save."`
	FilenamePrefix string         `in:"filename_prefix" default:"ComfyUI" tooltip:"Beginning of the file names. It may name subfolders and hold tokens such as %date:yyyy-MM-dd% or %Empty Latent Image.width%."`
	Format         nodes.Choice   `in:"format" tooltip:"File format."`
}

// DynamicOptions implements nodes.Dynamic.
func (*SaveImageAdvanced) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "png", Inputs: &PNGFormat{}}, {Key: "exr", Inputs: &EXRFormat{}}}
}

// Spec implements nodes.Node.
func (*SaveImageAdvanced) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveImageAdvanced", DisplayName: "Save Image (Advanced)", Category: "image",
		Module: moduleImages, V3: true,
		EssentialsCategory: "Basics",
		Outputs:            []nodes.Output{{Type: "IMAGE", Name: "images"}},
		OutputNode:         true,
		Description:        "Saves images in the output folder as PNG (8 or 16 bits) or OpenEXR (32-bit floating point).",
		SearchAliases:      []string{"save", "save image", "export image", "output image", "write image"},
		Uses:               nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*SaveImageAdvanced) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *SaveImageAdvanced) Run(ctx *nodes.Context) (nodes.Result, error) {
	images := grayToo(n.Images)
	if images == nil || len(images.Shape) != 4 || images.Shape[0] == 0 {
		return nodes.Result{}, nodes.Errorf("IndexError", "saving images: images is an empty batch")
	}
	switch c := images.Shape[3]; c {
	case 1, 3, 4:
	default:
		return nodes.Result{}, nodes.Errorf("ValueError", "saving images: they have %d channels; files hold 1 (gray), 3 (RGB) or 4 (RGBA)", c)
	}
	write, ext, err := n.writer(ctx, images)
	if err != nil {
		return nodes.Result{}, err
	}
	to, err := savePath(ctx, n.FilenamePrefix, "output", images.Shape[2], images.Shape[1])
	if err != nil {
		return nodes.Result{}, err
	}
	to.Bare = true
	files := []any{}
	for i := range images.Shape[0] {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		name, err := to.Write(i, ext, func(w io.Writer) error { return write(w, images.Index(i).Data) })
		if err != nil {
			return nodes.Result{}, nodes.Errorf("OSError", "saving images: %w", err)
		}
		files = append(files, fileEntry(name, to, "output"))
	}
	return nodes.Out(n.Images).AddUI("images", files), nil
}

// writer returns what writes one image, and the ending of its name.
func (n *SaveImageAdvanced) writer(ctx *nodes.Context, images *tensor.Tensor) (write func(io.Writer, []float32) error, ext string, err error) {
	height, width, channels := images.Shape[1], images.Shape[2], images.Shape[3]
	text, err := pngText(ctx)
	if err != nil {
		return nil, "", err
	}
	if in, ok := n.Format.Inputs.(*EXRFormat); ok {
		o := exrOptions(ctx, in.InputColorSpace, text)
		return func(w io.Writer, pix []float32) error {
			return imaging.WriteEXR(w, linearized(pix, channels, in.InputColorSpace), width, height, channels, o)
		}, ".exr", nil
	}
	const level = 4
	o := imaging.PNGOptions{Level: level, Text: text}
	if in, ok := n.Format.Inputs.(*PNGFormat); ok {
		o.Deep = in.BitDepth == "16-bit"
	}
	return func(w io.Writer, pix []float32) error {
		data := imaging.ToBytes(pix)
		if o.Deep {
			data = imaging.ToDeepBytes(pix)
		}
		return imaging.WritePNG(w, data, width, height, channels, o)
	}, ".png", nil
}

// exrOptions names the primaries of a color space, and omits metadata with names that the file cannot hold.
func exrOptions(ctx *nodes.Context, space string, text []imaging.Text) imaging.EXROptions {
	o := imaging.EXROptions{Chromaticities: [8]float32{0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.329}} // Rec. 709
	if space == "HDR" {
		o.Chromaticities = [8]float32{0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329} // Rec. 2020
	}
	if len(text) == 0 && !ctx.Metadata {
		o.Chromaticities = [8]float32{} // upstream writes them with the metadata
	}
	for _, t := range text {
		if !imaging.ValidEXRName(t.Key) {
			ctx.Log.Warn("leaving out image metadata: its name cannot stand in an exr file", "name", t.Key)
			continue
		}
		o.Text = append(o.Text, t)
	}
	return o
}

// linearized returns the scene-linear light of colors; alpha stays.
func linearized(pix []float32, channels int, space string) []float32 {
	var curve func(float64) float64
	switch space {
	case "sRGB":
		curve = fromSRGB
	case "HDR":
		curve = fromHLG
	default:
		return pix
	}
	out := make([]float32, len(pix))
	for i, v := range pix {
		if channels == 4 && i%4 == 3 {
			out[i] = v
			continue
		}
		out[i] = float32(curve(float64(v)))
	}
	return out
}

// fromSRGB is the inverse of sRGB's transfer function (IEC 61966-2-1).
func fromSRGB(v float64) float64 {
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

// fromHLG is the inverse of HLG's transfer function (ITU-R BT.2100), without the display's gamma.
func fromHLG(v float64) float64 {
	const a, b, c = 0.17883277, 0.28466892, 0.55991072928
	if v <= 0.5 {
		return v * v / 3
	}
	return (math.Exp((v-c)/a) + b) / 12
}
