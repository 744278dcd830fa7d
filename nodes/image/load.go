package image

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/imaging/codec"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LoadImage{})
	nodes.Register(&LoadImageMask{})
	nodes.Register(&LoadImageOutput{})
}

// LoadImage loads an image file from the input folder; "name [output]" and "name [temp]" reach the other folders.
type LoadImage struct {
	Image any `in:"image" files:"input:image" image_upload:"true"` // text, but anything may be sent
}

// Spec implements nodes.Node.
func (*LoadImage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoadImage", DisplayName: "Load Image", Category: "image", EssentialsCategory: "Basics",
		SearchAliases: []string{"load image", "open image", "import image", "image input", "upload image", "read image", "image loader"},
		Outputs:       nodes.Outputs("IMAGE", "MASK"), Validates: []string{"image"},
		Uses: nodes.UsesNothing,
	}
}

func (*LoadImage) Sizes(s *nodes.Sizing) nodes.Images { return fileSizes(s, "image") }

// Run returns the frames as one batch, and their transparency as masks; without transparency in the file the masks
// are 64x64 zeros.
func (n *LoadImage) Run(ctx *nodes.Context) (nodes.Result, error) {
	images, masks, err := loadImage(ctx, nameOf(n.Image))
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(images, masks), nil
}

// Fingerprint is the content of the file.
func (n *LoadImage) Fingerprint(ctx *nodes.Context) (any, error) {
	return fileDigest(ctx, nameOf(n.Image))
}

// ValidateInputs refuses names that lead to no file.
func (n *LoadImage) ValidateInputs(ctx *nodes.Context) error {
	return checkValue(ctx, n.Image)
}

// checkValue refuses values of the input image that are not names; a linked input has no value yet.
func checkValue(ctx *nodes.Context, v any) error {
	_, linked := ctx.Linked("image")
	if _, ok := v.(string); !ok && !linked {
		return nodes.Errorf("AttributeError", "'%s' object has no attribute 'endswith'", pyjson.TypeName(v))
	}
	return checkFile(ctx, "image", nameOf(v))
}

func nameOf(v any) string {
	s, _ := v.(string)
	return s
}

// LoadImageMask loads one channel of an image file as a mask.
type LoadImageMask struct {
	Image   any    `in:"image" files:"input:image" image_upload:"true"`
	Channel string `in:"channel" options:"alpha|red|green|blue"`
}

// Spec implements nodes.Node.
func (*LoadImageMask) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoadImageMask", DisplayName: "Load Image (as Mask)", Category: "image", EssentialsCategory: "Image Tools",
		SearchAliases: []string{"import mask", "alpha mask", "channel mask"},
		Outputs:       nodes.Outputs("MASK"), Validates: []string{"image"},
		Uses: nodes.UsesNothing,
	}
}

func (*LoadImageMask) Sizes(s *nodes.Sizing) nodes.Images { return fileSizes(s, "image") }

// Run returns the channel; for alpha what LoadImage returns as masks.
func (n *LoadImageMask) Run(ctx *nodes.Context) (nodes.Result, error) {
	images, masks, err := loadImage(ctx, nameOf(n.Image))
	if err != nil {
		return nodes.Result{}, err
	}
	switch n.Channel {
	case "red":
		return nodes.Out(channel(images, 0)), nil
	case "green":
		return nodes.Out(channel(images, 1)), nil
	case "blue":
		return nodes.Out(channel(images, 2)), nil
	}
	return nodes.Out(masks), nil
}

// Fingerprint is the content of the file.
func (n *LoadImageMask) Fingerprint(ctx *nodes.Context) (any, error) {
	return fileDigest(ctx, nameOf(n.Image))
}

// ValidateInputs refuses names that lead to no file.
func (n *LoadImageMask) ValidateInputs(ctx *nodes.Context) error {
	return checkValue(ctx, n.Image)
}

// LoadImageOutput is LoadImage with a widget that lists the output folder.
type LoadImageOutput struct {
	Image any `in:"image" type:"COMBO" image_upload:"true" image_folder:"output" remote:"{\"route\": \"/internal/files/output\", \"refresh_button\": true, \"control_after_refresh\": \"first\"}"`
}

// Spec implements nodes.Node.
func (*LoadImageOutput) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoadImageOutput", DisplayName: "Load Image (from Outputs)", Category: "image", EssentialsCategory: "Basics",
		Description:   "Loads a saved image. Refreshing the list selects its first entry.",
		SearchAliases: []string{"output image", "previous generation"}, Experimental: true,
		Outputs: nodes.Outputs("IMAGE", "MASK"), Validates: []string{"image"},
		Uses: nodes.UsesNothing,
	}
}

func (*LoadImageOutput) Sizes(s *nodes.Sizing) nodes.Images { return fileSizes(s, "image") }

// Run does what LoadImage does.
func (n *LoadImageOutput) Run(ctx *nodes.Context) (nodes.Result, error) {
	return (&LoadImage{Image: n.Image}).Run(ctx)
}

// Fingerprint is the content of the file.
func (n *LoadImageOutput) Fingerprint(ctx *nodes.Context) (any, error) {
	return fileDigest(ctx, nameOf(n.Image))
}

// ValidateInputs refuses names that lead to no file.
func (n *LoadImageOutput) ValidateInputs(ctx *nodes.Context) error {
	return checkValue(ctx, n.Image)
}

var (
	_ nodes.Validator     = (*LoadImage)(nil)
	_ nodes.Fingerprinter = (*LoadImage)(nil)
	_ nodes.Validator     = (*LoadImageMask)(nil)
	_ nodes.Fingerprinter = (*LoadImageMask)(nil)
	_ nodes.Validator     = (*LoadImageOutput)(nil)
	_ nodes.Fingerprinter = (*LoadImageOutput)(nil)
)

func checkFile(ctx *nodes.Context, input, name string) error {
	if _, linked := ctx.Linked(input); !linked && !ctx.Folders.Exists(name) {
		return nodes.Invalid("Invalid image file: %s", name)
	}
	return nil
}

func fileDigest(ctx *nodes.Context, name string) (any, error) {
	path, err := ctx.Folders.Resolve(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// maskSide is the side of the masks of files without transparency.
const maskSide = 64

func loadImage(ctx *nodes.Context, name string) (images, masks *tensor.Tensor, err error) {
	data, err := readFile(ctx, name)
	if err != nil {
		return nil, nil, nodes.Errorf(errorType(err), "loading the image %q: %w", name, err)
	}
	l, err := imaging.Load(ctx, data, codec.DefaultLimits, ctx.Memory)
	if errors.Is(err, codec.ErrUnknown) && codec.IsAudio(data) {
		return nil, nil, nodes.Errorf("ValueError", "No video stream found in file '%s'", name)
	}
	if err != nil {
		return nil, nil, nodes.Errorf(errorType(err), "loading the image %q: %w", name, err)
	}
	if l.Alpha == nil {
		return l.Images, tensor.New(l.Images.Shape[0], maskSide, maskSide), nil
	}
	for i, a := range l.Alpha.Data {
		l.Alpha.Data[i] = 1 - a
	}
	return l.Images, l.Alpha, nil
}

// errorType keeps the name that the error has for clients; a file that is a broken image is an OSError.
func errorType(err error) string {
	if errors.Is(err, codec.ErrUnknown) {
		return "PIL.UnidentifiedImageError"
	}
	if t := nodes.ExceptionType(err); t != "RuntimeError" {
		return t
	}
	return "OSError"
}

func readFile(ctx *nodes.Context, name string) ([]byte, error) {
	path, err := ctx.Folders.Resolve(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	if err := imaging.CheckSize("a file of this size", int(info.Size()/4)); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// channel copies channel c of an image, or returns zeros if the image lacks it.
func channel(images *tensor.Tensor, c int) *tensor.Tensor {
	out := tensor.New(images.Shape[:3]...)
	channels := images.Shape[3]
	if c >= channels {
		return out
	}
	for i := range out.Data {
		out.Data[i] = images.Data[i*channels+c]
	}
	return out
}
