package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// input is one input of a call.
type input struct {
	Name  string
	Value any
}

// call is a class with inputs.
type call struct {
	Class  string
	Inputs []input
}

// describe names the sizes of the first image and the options.
func (c call) describe() string {
	var parts []string
	for i, in := range c.Inputs {
		switch v := in.Value.(type) {
		case made:
			if _, isTensor := v.(random); i == 0 || !isTensor {
				parts = append(parts, v.sizes())
			}
		case string:
			parts = append(parts, v)
		default:
			parts = append(parts, fmt.Sprintf("%s %v", in.Name, v))
		}
	}
	return strings.Join(parts, ", ")
}

func of(class string, pairs ...any) call {
	c := call{Class: class}
	for i := 0; i < len(pairs); i += 2 {
		c.Inputs = append(c.Inputs, input{pairs[i].(string), pairs[i+1]})
	}
	return c
}

// Images and masks of the calls.
var (
	photo  = random{[]int{1, 1024, 1024, 3}, 1}
	second = random{[]int{1, 1024, 1024, 3}, 2}
	small  = random{[]int{1, 512, 512, 3}, 3}
	four   = random{[]int{4, 512, 512, 3}, 4}
	mask   = random{[]int{1, 1024, 1024}, 5}
)

// calls are the classes that most workflows have, on sizes that they have.
var calls = []call{
	of("ImageScale", "image", photo, "upscale_method", "lanczos", "width", 768, "height", 512, "crop", "center"),
	of("ImageScale", "image", small, "upscale_method", "bicubic", "width", 1024, "height", 1024, "crop", "disabled"),
	of("ImageScale", "image", photo, "upscale_method", "area", "width", 512, "height", 512, "crop", "disabled"),
	of("ImageScale", "image", small, "upscale_method", "nearest-exact", "width", 1024, "height", 1024, "crop", "disabled"),
	of("ImageScaleBy", "image", small, "upscale_method", "bilinear", "scale_by", 2.0),
	of("ImageScaleBy", "image", small, "upscale_method", "lanczos", "scale_by", 2.0),
	of("ImageScaleToTotalPixels", "image", photo, "upscale_method", "lanczos", "megapixels", 0.5, "resolution_steps", 1),
	of("ImageScaleToMaxDimension", "image", photo, "upscale_method", "area", "largest_size", 768),
	of("ImageCompositeMasked", "destination", photo, "source", small, "x", 100, "y", 200, "resize_source", false),
	of("ImageCompositeMasked", "destination", photo, "source", second, "x", 0, "y", 0, "resize_source", false, "mask", mask),
	of("ImageBlend", "image1", photo, "image2", second, "blend_factor", 0.5, "blend_mode", "overlay"),
	of("ImageBlur", "image", small, "blur_radius", 5, "sigma", 1.0),
	of("ImageSharpen", "image", small, "sharpen_radius", 1, "sigma", 1.0, "alpha", 1.0),
	of("Canny", "image", small, "low_threshold", 0.4, "high_threshold", 0.8),
	of("ImageQuantize", "image", small, "colors", 256, "dither", "floyd-steinberg"),
	of("ImageQuantize", "image", small, "colors", 64, "dither", "bayer-4"),
	of("ImageBatch", "image1", four, "image2", small),
	of("ImageBatch", "image1", four, "image2", photo),
	of("ImageInvert", "image", photo),
	of("ImagePadForOutpaint", "image", photo, "left", 128, "top", 0, "right", 128, "bottom", 0, "feathering", 40),
	of("ImageCrop", "image", photo, "width", 512, "height", 512, "x", 100, "y", 100),
	of("ImageFlip", "image", photo, "flip_method", "x-axis: vertically"),
	of("ImageRotate", "image", photo, "rotation", "90 degrees"),
	of("RepeatImageBatch", "image", small, "amount", 4),
	of("GrowMask", "mask", mask, "expand", 6, "tapered_corners", true),
	of("MaskComposite", "destination", mask, "source", mask, "x", 0, "y", 0, "operation", "multiply"),
	of("MaskToImage", "mask", mask),
	of("ImageToMask", "image", photo, "channel", "red"),
	of("JoinImageWithAlpha", "image", photo, "alpha", mask),
	of("PorterDuffImageComposite", "source", small, "source_alpha", random{[]int{1, 512, 512}, 6}, "destination", small, "destination_alpha", random{[]int{1, 512, 512}, 7}, "mode", "SRC_OVER"),
	of("ImageColorToMask", "image", photo, "color", 0x102030),
	of("AudioMerge", "audio1", sound{30 * 44100, 44100}, "audio2", sound{30 * 22050, 22050}, "merge_method", "add"),
	of("GetVideoComponents", "video", movie{filepath.Join(os.TempDir(), "nodebench.mp4"), 5}),
	of("SaveWEBM", "images", random{[]int{24, 256, 256, 3}, 8}, "filename_prefix", "bench", "codec", "vp9", "fps", 24.0, "crf", 32.0),
	of("SaveAudioMP3", "audio", sound{30 * 44100, 44100}, "filename_prefix", "bench", "quality", "128k"),
	of("Morphology", "image", small, "operation", "dilate", "kernel_size", 5),
}
