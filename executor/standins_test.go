package executor_test

import (
	"strings"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/tests/testnodes"
)

// The recorded prompts use some of the program's own nodes. These stand in for them: the same inputs, no files.

type emptyImage struct {
	Width  int `in:"width" default:"512" min:"1" max:"16384" step:"1"`
	Height int `in:"height" default:"512" min:"1" max:"16384" step:"1"`
	Batch  int `in:"batch_size" default:"1" min:"1" max:"4096"`
	Color  int `in:"color" default:"0" min:"0" max:"16777215" step:"1" display:"color"`
}

func (*emptyImage) Spec() nodes.Spec { return named("EmptyImage", "IMAGE") }
func (n *emptyImage) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(tensor.New(n.Batch, n.Height, n.Width, 3)), nil
}

type previewImage struct {
	Images *tensor.Tensor `in:"images" type:"IMAGE"`
}

func (*previewImage) Spec() nodes.Spec { return output(named("PreviewImage", "IMAGE")) }
func (n *previewImage) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(n.Images).AddUI("images", []any{pyjson.NewObject("filename", "ComfyUI_temp_abcde_00001_.png", "subfolder", "", "type", "temp")}), nil
}

type imageScale struct {
	Image  *tensor.Tensor `in:"image" type:"IMAGE"`
	Method string         `in:"upscale_method" options:"nearest-exact|bilinear|area|bicubic|lanczos"`
	Width  int            `in:"width" default:"512" min:"0" max:"16384" step:"1"`
	Height int            `in:"height" default:"512" min:"0" max:"16384" step:"1"`
	Crop   string         `in:"crop" options:"disabled|center"`
}

func (*imageScale) Spec() nodes.Spec                           { return named("ImageScale", "IMAGE") }
func (n *imageScale) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Image), nil }

type imageInvert struct {
	Image *tensor.Tensor `in:"image" type:"IMAGE"`
}

func (*imageInvert) Spec() nodes.Spec                           { return named("ImageInvert", "IMAGE") }
func (n *imageInvert) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Image), nil }

type imageBlend struct {
	Image1 *tensor.Tensor `in:"image1" type:"IMAGE"`
	Image2 *tensor.Tensor `in:"image2" type:"IMAGE"`
	Factor float64        `in:"blend_factor" default:"0.5" min:"0.0" max:"1.0" step:"0.01"`
	Mode   string         `in:"blend_mode" options:"normal|multiply|screen|overlay|soft_light|difference"`
}

func (*imageBlend) Spec() nodes.Spec                           { return v3("ImageBlend", "IMAGE") }
func (n *imageBlend) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Image1), nil }

type samplerSelect struct {
	Name string `in:"sampler_name" choices:"samplers"`
}

func (*samplerSelect) Spec() nodes.Spec { return v3("KSamplerSelect", "SAMPLER") }
func (*samplerSelect) Choices(nodes.Env, string) []any {
	return []any{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21"}
}
func (n *samplerSelect) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Name), nil }

type previewAny struct {
	Source any `in:"source" opts:"{}"`
}

func (*previewAny) Spec() nodes.Spec { return output(named("PreviewAny", "STRING")) }
func (n *previewAny) Run(*nodes.Context) (nodes.Result, error) {
	s := pyjson.Str(n.Source)
	return nodes.Out(s).AddUI("text", []any{s}), nil
}

type upscaleLoader struct {
	Name string `in:"model_name" options:"up.pkl"`
}

func (*upscaleLoader) Spec() nodes.Spec                           { return v3("UpscaleModelLoader", "UPSCALE_MODEL") }
func (n *upscaleLoader) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Name), nil }

type checkpointLoader struct {
	Name string `in:"ckpt_name" options:".hidden.safetensors|UPPER.SAFETENSORS|cover.safetensors|nometa.safetensors|outputfolder_free.sft|sub/inner.safetensors|sub/other.ckpt|tiny.safetensors" tooltip:"The name of the checkpoint (model) to load."`
}

func (*checkpointLoader) Spec() nodes.Spec {
	return named("CheckpointLoaderSimple", "MODEL", "CLIP", "VAE")
}

func (*checkpointLoader) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(nil, nil, nil), nil
}

type solidMask struct {
	Value  float64 `in:"value" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Width  int     `in:"width" default:"512" min:"1" max:"16384" step:"1"`
	Height int     `in:"height" default:"512" min:"1" max:"16384" step:"1"`
}

func (*solidMask) Spec() nodes.Spec { return v3("SolidMask", "MASK") }
func (n *solidMask) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(tensor.New(1, n.Height, n.Width)), nil
}

type primitiveInt struct {
	Value int64 `in:"value" min:"-9223372036854775807" max:"9223372036854775807" control_after_generate:"\"fixed\""`
}

func (*primitiveInt) Spec() nodes.Spec                           { return v3("PrimitiveInt", "INT") }
func (n *primitiveInt) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Value), nil }

type primitiveFloat struct {
	Value float64 `in:"value" min:"-9223372036854775807" max:"9223372036854775807" step:"0.1"`
}

func (*primitiveFloat) Spec() nodes.Spec { return v3("PrimitiveFloat", "FLOAT") }

func (n *primitiveFloat) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Value), nil }

type primitiveString struct {
	Value string `in:"value"`
}

func (*primitiveString) Spec() nodes.Spec { return v3("PrimitiveString", "STRING") }

func (n *primitiveString) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Value), nil }

type loadImage struct {
	Image any `in:"image" type:"COMBO" image_upload:"true"`
}

func (*loadImage) Spec() nodes.Spec {
	s := named("LoadImage", "IMAGE", "MASK")
	s.Validates = []string{"image"}
	return s
}

func (n *loadImage) ValidateInputs(*nodes.Context) error {
	name, ok := n.Image.(string)
	if !ok {
		return nodes.Errorf("AttributeError", "'%s' object has no attribute 'endswith'", pyjson.TypeName(n.Image))
	}
	if strings.HasPrefix(name, "no-such") || strings.Contains(name, "..") {
		return nodes.Invalid("Invalid image file: %s", name)
	}
	return nil
}
func (*loadImage) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(nil, nil), nil }

type byMultiplier struct {
	Multiplier float64 `in:"multiplier" default:"1.0" min:"0.01" max:"8.0" step:"0.01"`
}

type byWidth struct {
	Width int `in:"width" default:"512" min:"0" max:"16384" step:"1"`
}

type resize struct {
	Input  any          `in:"input" match:"input_type" allowed:"IMAGE,MASK"`
	How    nodes.Choice `in:"resize_type"`
	Method string       `in:"scale_method" options:"nearest-exact|bilinear|area|bicubic|lanczos" default:"area"`
}

func (*resize) Spec() nodes.Spec {
	s := v3("ResizeImageMaskNode", "COMFY_MATCHTYPE_V3")
	s.Outputs[0].Match = "input_type"
	return s
}

func (*resize) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "scale by multiplier", Inputs: &byMultiplier{}}, {Key: "scale width", Inputs: &byWidth{}}, {Key: "as it is"}}
}

func (n *resize) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Input), nil }

type batchImages struct {
	Images nodes.Grown `in:"images" autogrow:"image" item:"IMAGE" prefix:"image" least:"1" most:"50"`
}

func (*batchImages) Spec() nodes.Spec { return v3("BatchImagesNode", "IMAGE") }
func (n *batchImages) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(n.Images.Values[0]), nil
}

type switchNode struct {
	Switch  bool `in:"switch"`
	OnFalse any  `in:"on_false" lazy:"true" match:"switch"`
	OnTrue  any  `in:"on_true" lazy:"true" match:"switch"`
}

func (*switchNode) Spec() nodes.Spec { return v3("ComfySwitchNode", "COMFY_MATCHTYPE_V3") }
func (n *switchNode) CheckLazy(*nodes.Context) ([]string, error) {
	if n.Switch {
		return []string{"on_true"}, nil
	}
	return []string{"on_false"}, nil
}

func (n *switchNode) Run(*nodes.Context) (nodes.Result, error) {
	if n.Switch {
		return nodes.Out(n.OnTrue), nil
	}
	return nodes.Out(n.OnFalse), nil
}

func named(name string, outputs ...string) nodes.Spec {
	return nodes.Spec{Name: name, Outputs: nodes.Outputs(outputs...)}
}

func v3(name string, outputs ...string) nodes.Spec {
	s := named(name, outputs...)
	s.V3 = true
	return s
}

func output(s nodes.Spec) nodes.Spec {
	s.OutputNode = true
	return s
}

// registry returns the test nodes, the stand-ins and whatever a test adds.
func registry(t testing.TB, more ...nodes.Node) *nodes.Registry {
	t.Helper()
	r := nodes.NewRegistry()
	all := append(testnodes.All(), &emptyImage{}, &previewImage{}, &imageScale{}, &imageInvert{}, &imageBlend{}, &samplerSelect{}, &previewAny{}, &upscaleLoader{},
		&checkpointLoader{}, &solidMask{}, &primitiveInt{}, &primitiveFloat{}, &primitiveString{}, &loadImage{}, &resize{}, &batchImages{}, &switchNode{})
	for _, n := range append(all, more...) {
		if err := r.Add(n); err != nil {
			t.Fatal(err)
		}
	}
	return r
}
