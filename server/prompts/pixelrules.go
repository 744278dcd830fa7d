package prompts

import (
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"

	"comfygo/nodes"
)

// The inputs that say how many pictures there are, that make pictures larger by a factor, and the repetitions.
var (
	countInputs  = []string{"batch_size", "length", "num_frames", "frames", "video_frames"}
	factorInputs = []string{"scale_by", "upscale_by", "rescale_factor"}
	repeatInputs = []string{"amount"}
)

// joins are the classes that put pictures behind one another.
var joins = []string{"ImageBatch", "BatchImagesNode", "BatchMasksNode", "LatentBatch", "BatchLatentsNode", "LTXVConcatAVLatent"}

// keeps are the classes of which it is known that every picture has the size behind them that it had before.
var keeps = []string{
	"VAEDecode", "VAEDecodeTiled", "VAEEncode", "VAEEncodeTiled", "KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced",
	"ImageInvert", "ImageBlur", "ImageSharpen", "ImageAddNoise", "RepeatImageBatch", "RepeatLatentBatch", "ImageFromBatch", "LatentFromBatch",
}

// sizers are the classes whose inputs say a size in a way of their own.
var sizers = map[string]func(s *step, in pictures) pictures{
	"ImagePadForOutpaint": func(s *step, in pictures) pictures {
		in.width += s.number("left") + s.number("right")
		in.height += s.number("top") + s.number("bottom")
		return in
	},
	"ResizeAndPadImage": func(s *step, in pictures) pictures {
		return in.of(s.number("target_width"), s.number("target_height"))
	},
	"ImageScaleToMaxDimension": func(s *step, in pictures) pictures {
		return in.of(s.number("largest_size"), s.number("largest_size"))
	},
	"ResizeImageMaskNode":   (*step).resized,
	"ImageStitch":           (*step).stitched,
	"LatentConcat":          (*step).concatenated,
	"LatentCutToBatch":      (*step).sliced,
	"ImageUpscaleWithModel": (*step).enlarged,
	"LoadLatent":            (*step).latentFile,
}

// of is pictures with another size, which need not be that of each.
func (p pictures) of(width, height float64) pictures {
	p.width, p.height, p.exact = width, height, false
	return p
}

// sized is what the node makes of what comes in; says reports that the node says a size.
func (s *step) sized(in pictures) (out pictures, says bool) {
	if slices.Contains(joins, s.class) {
		return s.joined(in), false
	}
	if size := sizers[s.class]; size != nil {
		return size(s, in), true
	}
	switch {
	case s.has("width") && s.has("height"):
		return s.canvas(in), true
	case s.has("megapixels"):
		return s.megapixels(in), true
	case s.hasAny(factorInputs), s.class != "LatentCut" && s.hasAny(repeatInputs):
		return s.multiplied(in), true
	case in.count == 0:
		return s.source(in), false
	}
	in.exact = in.exact && slices.Contains(keeps, s.class)
	return in, false
}

// source is what a node gives on that no pictures come into: those of a file, or what nobody can tell. What may be of any
// type is no picture then.
func (s *step) source(in pictures) pictures {
	if name, ok := s.text("image"); ok {
		out := s.file(name)
		out.count *= in.lists
		out.lists = in.lists
		return out
	}
	if s.gives(func(o nodes.Output) bool { return o.Type == "IMAGE" || o.Type == "LATENT" || o.Type == "MASK" }) {
		in.count, in.width, in.height = math.NaN(), math.NaN(), math.NaN()
	}
	return in
}

func (s *step) hasAny(names []string) bool { return slices.ContainsFunc(names, s.has) }

func (s *step) text(name string) (string, bool) {
	if !s.has(name) {
		return "", false
	}
	v, _ := s.inputs.Get(name)
	text, ok := v.(string)
	return text, ok
}

// joined are the pictures of all inputs behind one another, in the size of the largest.
func (s *step) joined(in pictures) pictures {
	in.count = 0
	for _, p := range s.links {
		if p.count != 0 {
			in.count += s.repeated(p, in.lists)
		}
	}
	return in
}

// canvas is a node with width and height. A side of 0 follows from the proportions of what comes in.
func (s *step) canvas(in pictures) pictures {
	width, height := s.number("width"), s.number("height")
	const grain = 8 // sides of latents are rounded to it
	if s.class == "LatentUpscale" && width+height > 0 {
		width, height = atLeast(width), atLeast(height)
	}
	out := in.of(width, height)
	switch {
	case in.count == 0:
		out.count = in.lists
		out.exact = math.Mod(width, grain) == 0 && math.Mod(height, grain) == 0
	case width == 0 || height == 0:
		return in.proportional(width, height)
	default:
		out.exact = s.class == "ImageScale"
	}
	for _, name := range countInputs {
		if s.has(name) {
			out.count *= max(1, s.number(name))
		}
	}
	return out
}

// smallest is the least side that a latent is scaled to.
const smallest = 64

// atLeast is a side that is said, not below the smallest.
func atLeast(side float64) float64 {
	if side == 0 {
		return 0
	}
	return max(smallest, side)
}

// proportional has the side that is 0 follow from the other one. The smallest side is added, for what is rounded.
func (p pictures) proportional(width, height float64) pictures {
	switch {
	case width == 0 && height == 0:
		return p
	case !p.exact:
		return p.of(math.NaN(), math.NaN())
	case width == 0:
		width = height*p.width/p.height + smallest
	default:
		height = width*p.height/p.width + smallest
	}
	return p.of(width, height)
}

// megapixels scales to a number of pixels, and both sides to a multiple of a step.
func (s *step) megapixels(in pictures) pictures {
	const mega = 1024 * 1024
	area := s.number("megapixels") * mega
	side := math.Sqrt(area)
	step := 1.0
	if s.has("resolution_steps") {
		step = s.number("resolution_steps")
	}
	if in.count == 0 {
		in.count = in.lists
	}
	switch {
	case step <= 1:
		return in.of(side, side)
	case !in.exact:
		return in.of(math.NaN(), math.NaN())
	}
	by := math.Sqrt(area / (in.width * in.height))
	return in.of(in.width*by+step/2, in.height*by+step/2)
}

// multiplied are pictures made larger by a factor, or repeated.
func (s *step) multiplied(in pictures) pictures {
	for _, name := range factorInputs {
		if s.has(name) {
			by := s.number(name)
			in.width *= by
			in.height *= by
		}
	}
	for _, name := range repeatInputs {
		if s.has(name) {
			in.count *= max(1, s.number(name))
		}
	}
	return in
}

// resized is what ResizeImageMaskNode makes. Only the inputs of the way that was chosen count.
func (s *step) resized(in pictures) pictures {
	const of = "resize_type."
	way, _ := s.text("resize_type")
	switch way {
	case "scale dimensions":
		return in.scaledTo(s.number(of+"width"), s.number(of+"height"))
	case "scale width":
		return in.scaledTo(s.number(of+"width"), 0)
	case "scale height":
		return in.scaledTo(0, s.number(of+"height"))
	case "scale by multiplier":
		return in.of(in.width*s.number(of+"multiplier"), in.height*s.number(of+"multiplier"))
	case "scale longer dimension":
		return in.of(s.number(of+"longer_size"), s.number(of+"longer_size"))
	case "scale shorter dimension":
		if side := s.number(of + "shorter_size"); in.width < in.height {
			return in.proportional(side, 0)
		} else {
			return in.proportional(0, side)
		}
	case "scale total pixels":
		side := math.Sqrt(s.number(of+"megapixels")) * 1024
		return in.of(side, side)
	case "match size":
		to, ok := s.named[of+"match"]
		if ok && to.count != 0 {
			return in.of(to.width, to.height)
		}
	case "scale to multiple":
		return in.of(in.width, in.height)
	}
	return in.of(math.NaN(), math.NaN())
}

// scaledTo is pictures in a size of which a side may be 0.
func (p pictures) scaledTo(width, height float64) pictures {
	if width == 0 || height == 0 {
		return p.proportional(width, height)
	}
	return p.of(width, height)
}

// stitched is what ImageStitch makes: the second picture is brought to the first one's side, unless that is switched off.
func (s *step) stitched(in pictures) pictures {
	a, b := s.named["image1"], s.named["image2"]
	if b.count == 0 {
		return in
	}
	gap := 0.0
	if s.has("spacing_width") {
		gap = s.number("spacing_width") + 1
	}
	// Where it cannot be seen at which side they meet, or whether sizes are matched, all of it is counted.
	direction, _ := s.text("direction")
	across, down := direction != "up" && direction != "down", direction != "left" && direction != "right"
	if match, _ := s.inputs.Get("match_image_size"); match != false {
		if across {
			b.width = max(b.width, s.named["image2"].proportional(0, a.height).width)
		}
		if down {
			b.height = max(b.height, s.named["image2"].proportional(a.width, 0).height)
		}
	}
	width, height := max(a.width, b.width), max(a.height, b.height)
	if across {
		width = a.width + b.width + gap
	}
	if down {
		height = a.height + b.height + gap
	}
	return in.of(width, height)
}

// concatenated is what LatentConcat makes, whichever side it joins them at.
func (s *step) concatenated(in pictures) pictures {
	a, b := s.named["samples1"], s.named["samples2"]
	switch dim, _ := s.text("dim"); dim {
	case "x", "-x":
		return in.of(a.width+b.width, in.height)
	case "y", "-y":
		return in.of(in.width, a.height+b.height)
	}
	return s.joined(in)
}

// latentPixel is how many pixels a latent one stands for along a side, where it is the least.
const latentPixel = 4

// sliced is what LatentCutToBatch makes: each slice is a picture of its own.
func (s *step) sliced(in pictures) pictures {
	in.exact = false
	in.count *= max(1, max(in.width, in.height)/latentPixel/max(1, s.number("slice_size")))
	return in
}

// usualFactor is how much an upscaling network enlarges whose name says nothing.
const usualFactor = 4

var factorInName = regexp.MustCompile(`(?i)(?:^|[^0-9a-z])(?:([0-9]{1,2})x|x([0-9]{1,2}))(?:[^0-9a-z]|$)`)

// enlarged is what a network makes that enlarges; by how much is told by its file's name.
func (s *step) enlarged(in pictures) pictures {
	by := float64(usualFactor)
	v, _ := s.inputs.Get("upscale_model")
	if link, ok := nodes.AsLink(v); ok {
		found := factorInName.FindStringSubmatch(s.prompt.Object(link.ID).Object("inputs").String("model_name"))
		if found != nil {
			if n, err := strconv.Atoi(found[1] + found[2]); err == nil {
				by = max(by, float64(n))
			}
		}
	}
	in.width *= by
	in.height *= by
	return in
}

// latentFile is what LoadLatent loads. The pixels follow from the file's size: no latent has fewer bytes for its 64 pixels.
func (s *step) latentFile(in pictures) pictures {
	const pixels, fewest = 64, 8 // four channels of two bytes
	out := pictures{count: in.lists, width: math.NaN(), height: math.NaN(), lists: in.lists}
	name, ok := s.text("latent")
	if !ok || s.folders == nil {
		return out
	}
	path, err := s.folders.Resolve(name)
	if err != nil {
		return out
	}
	info, err := os.Stat(path)
	if err != nil {
		return out
	}
	out.width = math.Sqrt(float64(info.Size()) / fewest * pixels)
	out.height = out.width
	return out
}
