package video

import (
	"io"

	"comfygo/engine/tensor"
	videofile "comfygo/internal/video"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&SaveVideo{})
	nodes.Register(&SaveWEBM{})
}

// H264Encoding are the inputs of encoding H.264 again.
type H264Encoding struct {
	CRF        float64 `in:"crf" default:"23.0" min:"0.0" max:"51.0" step:"1.0" tooltip:"Constant rate factor: lower is better and larger."`
	ColorSpace string  `in:"color_space" options:"auto|sRGB|HDR|HDR PQ" display_name:"color space" default:"auto" tooltip:"auto keeps a known color space and takes sRGB for images. sRGB is BT.709 with 8 bits or more, HDR is BT.2020 with HLG and HDR PQ with PQ, both with 10 bits. Colors are not converted."`
}

// AV1Encoding are the inputs of encoding AV1 again.
type AV1Encoding struct {
	CRF        float64 `in:"crf" default:"30.0" min:"0.0" max:"63.0" step:"1.0" tooltip:"Constant rate factor: lower is better and larger."`
	ColorSpace string  `in:"color_space" options:"auto|sRGB|HDR|HDR PQ" display_name:"color space" default:"auto" tooltip:"auto keeps a known color space and takes sRGB for images. sRGB is BT.709 with 8 bits or more, HDR is BT.2020 with HLG and HDR PQ with PQ, both with 10 bits. Colors are not converted."`
}

// H264 are the inputs of the codec H.264.
type H264 struct {
	Encoding nodes.Choice `in:"encoding" optional:"true" display_name:"encoding mode" tooltip:"auto copies an H.264 stream where it can; re-encode encodes it with the options."`
}

// DynamicOptions implements nodes.Dynamic.
func (*H264) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "auto"}, {Key: "re-encode", Inputs: &H264Encoding{}}}
}

// AV1 are the inputs of the codec AV1.
type AV1 struct {
	Encoding nodes.Choice `in:"encoding" optional:"true" display_name:"encoding mode" tooltip:"auto copies an AV1 stream where it can; re-encode encodes it with the options."`
}

// DynamicOptions implements nodes.Dynamic.
func (*AV1) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "auto"}, {Key: "re-encode", Inputs: &AV1Encoding{}}}
}

// Codecs are the inputs of containers that hold H.264 and AV1.
type Codecs struct {
	Codec nodes.Choice `in:"codec" tooltip:"Video codec; auto copies a stream that fits."`
}

// DynamicOptions implements nodes.Dynamic.
func (*Codecs) DynamicOptions(string) []nodes.Option { return codecs() }

// WebMCodecs are the inputs of WebM files.
type WebMCodecs struct {
	Codec nodes.Choice `in:"codec" tooltip:"Video codec; auto copies a stream that fits."`
}

// DynamicOptions implements nodes.Dynamic.
func (*WebMCodecs) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "auto"}, {Key: "av1", Inputs: &AV1{}}}
}

func codecs() []nodes.Option {
	return []nodes.Option{{Key: "auto"}, {Key: "h264", Inputs: &H264{}}, {Key: "av1", Inputs: &AV1{}}}
}

// SaveVideo writes a video into the output folder.
type SaveVideo struct {
	Video  videofile.Video `in:"video" type:"VIDEO" tooltip:"Video to save."`
	Prefix string          `in:"filename_prefix" default:"video/ComfyUI" tooltip:"Beginning of the file name. It may name subfolders and hold tokens such as %date:yyyy-MM-dd% or %Empty Latent Image.width%."`
	Format nodes.Choice    `in:"format" tooltip:"Container format; auto is MP4."`
	Codec  nodes.Choice    `in:"codec" optional:"true" hidden:"true" tooltip:"Video codec of older workflows."`
}

// DynamicOptions implements nodes.Dynamic.
func (*SaveVideo) DynamicOptions(input string) []nodes.Option {
	if input == "codec" {
		return codecs()
	}
	return []nodes.Option{{Key: "auto", Inputs: &Codecs{}}, {Key: "mp4", Inputs: &Codecs{}}, {Key: "mkv", Inputs: &Codecs{}}, {Key: "webm", Inputs: &WebMCodecs{}}}
}

// Spec implements nodes.Node.
func (*SaveVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveVideo", DisplayName: "Save Video", Category: "video",
		Module: "comfy_extras.nodes_video", V3: true,
		EssentialsCategory: "Basics",
		Outputs:            []nodes.Output{{Type: "VIDEO", Name: "video", Tooltip: "The video as it came."}},
		OutputNode:         true,
		Description:        "Saves a video in the output folder. Needs ffmpeg.",
		SearchAliases:      []string{"export video"},
		Uses:               nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *SaveVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("video", n.Video); err != nil {
		return nodes.Result{}, err
	}
	o := n.options()
	ext := videofile.Extension(o.Format)
	if ext == "" {
		return nodes.Result{}, nodes.Errorf("ValueError", "saving a video: unknown format %q", o.Format)
	}
	env := Env(ctx)
	width, height, err := n.Video.Size(ctx, env)
	if err != nil {
		return nodes.Result{}, err
	}
	if o.Tags, err = tags(ctx); err != nil {
		return nodes.Result{}, err
	}
	ui, err := write(ctx, n.Prefix, ext, width, height, func(w io.Writer) error { return n.Video.Save(ctx, env, o, w) })
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Result{Values: []any{n.Video}, UI: ui}, nil
}

// options reads the nested inputs. Older workflows have the codec beside the format.
func (n *SaveVideo) options() videofile.SaveOptions {
	o := videofile.SaveOptions{Format: n.Format.Key, Codec: "auto"}
	codec := n.Codec
	switch in := n.Format.Inputs.(type) {
	case *Codecs:
		codec = chosen(in.Codec, codec)
	case *WebMCodecs:
		codec = chosen(in.Codec, codec)
	}
	if codec.Key != "" {
		o.Codec = codec.Key
	}
	var encoding nodes.Choice
	switch in := codec.Inputs.(type) {
	case *H264:
		encoding = in.Encoding
	case *AV1:
		encoding = in.Encoding
	}
	switch in := encoding.Inputs.(type) {
	case *H264Encoding:
		o.CRF, o.ColorSpace = &in.CRF, in.ColorSpace
	case *AV1Encoding:
		o.CRF, o.ColorSpace = &in.CRF, in.ColorSpace
	}
	if o.ColorSpace == "auto" {
		o.ColorSpace = ""
	}
	return o
}

func chosen(first, second nodes.Choice) nodes.Choice {
	if first.Key != "" {
		return first
	}
	return second
}

// SaveWEBM writes images as a WebM video.
type SaveWEBM struct {
	Images *tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Frames of the video. With vp9 the transparency of RGBA images is kept."`
	Prefix string         `in:"filename_prefix" default:"ComfyUI"`
	Codec  string         `in:"codec" options:"vp9|av1"`
	FPS    float64        `in:"fps" default:"24.0" min:"0.01" max:"1000.0" step:"0.01" tooltip:"Frame rate in frames per second."`
	CRF    float64        `in:"crf" default:"32.0" min:"0" max:"63.0" step:"1" tooltip:"Constant rate factor: higher is smaller and worse."`
}

// Spec implements nodes.Node.
func (*SaveWEBM) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveWEBM", DisplayName: "Save WEBM", Category: "video",
		Module: "comfy_extras.nodes_video", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images"}},
		OutputNode:    true,
		Experimental:  true,
		Description:   "Saves images as a WebM video in the output folder. Needs ffmpeg.",
		SearchAliases: []string{"export webm"},
		Uses:          nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*SaveWEBM) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *SaveWEBM) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Images == nil || len(n.Images.Shape) != 4 {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input images: it is not an image [batch, height, width, channels]")
	}
	o := videofile.WebM{Codec: n.Codec, Rate: n.FPS, CRF: n.CRF}
	var err error
	if o.Tags, err = tags(ctx); err != nil {
		return nodes.Result{}, err
	}
	env := Env(ctx)
	ui, err := write(ctx, n.Prefix, ".webm", n.Images.Shape[2], n.Images.Shape[1], func(w io.Writer) error {
		return videofile.WriteWebM(ctx, env, n.Images, o, w)
	})
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Result{Values: []any{n.Images}, UI: ui}, nil
}
