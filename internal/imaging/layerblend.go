package imaging

import "math"

// LayerMode selects how a layer is blended with the ones below it. The modes are GIMP's, as in ComfyUI's compositor.
type LayerMode struct {
	// perceptual modes blend sRGB values, the others linear ones; clipped ones leave the backdrop's alpha as it is.
	perceptual, clipped bool
	channel             func(below, layer float32) float32       // of one channel
	color               func(below, layer [3]float32) [3]float32 // of all three; takes precedence
}

// layerEpsilon is the bound below which values count as zero.
const layerEpsilon = 1e-6

// LayerModes are the modes by name.
var LayerModes = map[string]LayerMode{
	"normal":       {channel: func(_, l float32) float32 { return l }},
	"multiply":     {clipped: true, channel: func(i, l float32) float32 { return i * l }},
	"screen":       {perceptual: true, clipped: true, channel: func(i, l float32) float32 { return 1 - float32((1-i)*(1-l)) }},
	"overlay":      {perceptual: true, clipped: true, channel: overlayLayer},
	"darken":       {clipped: true, channel: func(i, l float32) float32 { return min(i, l) }},
	"lighten":      {clipped: true, channel: func(i, l float32) float32 { return max(i, l) }},
	"color-dodge":  {perceptual: true, clipped: true, channel: dodgeLayer},
	"color-burn":   {perceptual: true, clipped: true, channel: burnLayer},
	"hard-light":   {perceptual: true, clipped: true, channel: hardLightLayer},
	"soft-light":   {perceptual: true, clipped: true, channel: softLightLayer},
	"difference":   {perceptual: true, clipped: true, channel: func(i, l float32) float32 { return max(i-l, l-i) }},
	"exclusion":    {perceptual: true, clipped: true, channel: func(i, l float32) float32 { return 0.5 - float32(2*(i-0.5)*(l-0.5)) }},
	"linear-dodge": {clipped: true, channel: func(i, l float32) float32 { return i + l }},
	"linear-burn":  {perceptual: true, clipped: true, channel: func(i, l float32) float32 { return i + l - 1 }},
	"vivid-light":  {perceptual: true, clipped: true, channel: vividLightLayer},
	"pin-light": {perceptual: true, clipped: true, channel: func(i, l float32) float32 {
		if l > 0.5 {
			return max(i, 2*(l-0.5))
		}
		return min(i, 2*l)
	}},
	"linear-light": {perceptual: true, clipped: true, channel: func(i, l float32) float32 { return i + 2*l - 1 }},
	"hard-mix": {perceptual: true, clipped: true, channel: func(i, l float32) float32 {
		if i+l < 1 {
			return 0
		}
		return 1
	}},
	"subtract":      {clipped: true, channel: func(i, l float32) float32 { return max(i-l, 0) }},
	"divide":        {clipped: true, channel: func(i, l float32) float32 { return clamp01(i / max(l, layerEpsilon)) }},
	"grain-extract": {perceptual: true, clipped: true, channel: func(i, l float32) float32 { return i - l + 0.5 }},
	"grain-merge":   {perceptual: true, clipped: true, channel: func(i, l float32) float32 { return i + l - 0.5 }},
	"hue":           {perceptual: true, clipped: true, color: hueLayer},
	"saturation":    {perceptual: true, clipped: true, color: saturationLayer},
	"color":         {perceptual: true, clipped: true, color: colorLayer},
	"luminosity":    {clipped: true, color: luminosityLayer},
}

func overlayLayer(i, l float32) float32 {
	if i < 0.5 {
		return 2 * i * l
	}
	return 1 - float32(2*(1-l)*(1-i))
}

// quotient is a/b, 0 where b counts as zero.
func quotient(a, b float32) float32 {
	if max(b, -b) < layerEpsilon {
		return 0
	}
	return a / b
}

func dodgeLayer(i, l float32) float32 {
	switch {
	case i <= 0:
		return 0
	case 1-l <= layerEpsilon:
		return 1
	}
	return min(quotient(i, 1-l), 1)
}

func burnLayer(i, l float32) float32 {
	switch {
	case i >= 1:
		return 1
	case l <= layerEpsilon:
		return 0
	}
	return 1 - min(quotient(1-i, l), 1)
}

func hardLightLayer(i, l float32) float32 {
	if l > 0.5 {
		return min(1-float32((1-i)*(1-float32((l-0.5)*2))), 1)
	}
	return min(i*(l*2), 1)
}

func softLightLayer(i, l float32) float32 {
	return float32((1-i)*(i*l)) + float32(i*(1-float32((1-i)*(1-l))))
}

func vividLightLayer(i, l float32) float32 {
	if l <= 0.5 {
		switch {
		case i >= 1:
			return 1
		case 2*l <= layerEpsilon:
			return 0
		}
		return max(1-quotient(1-i, 2*l), 0)
	}
	switch {
	case i <= 0:
		return 0
	case 2*(1-l) <= layerEpsilon:
		return 1
	}
	return min(quotient(i, 2*(1-l)), 1)
}

func extremes(c [3]float32) (least, greatest float32) {
	return min(c[0], c[1], c[2]), max(c[0], c[1], c[2])
}

// hueLayer has the hue of the layer with the saturation and the value of the backdrop (HSV).
func hueLayer(i, l [3]float32) [3]float32 {
	least, greatest := extremes(l)
	if greatest-least <= layerEpsilon {
		return i
	}
	low, value := extremes(i)
	var saturation float32
	if value != 0 {
		saturation = (value - low) / value
	}
	ratio := saturation * value / (greatest - least)
	offset := value - float32(greatest*ratio)
	return [3]float32{float32(l[0]*ratio) + offset, float32(l[1]*ratio) + offset, float32(l[2]*ratio) + offset}
}

// saturationLayer has the saturation of the layer with the hue and the value of the backdrop (HSV).
func saturationLayer(i, l [3]float32) [3]float32 {
	low, value := extremes(i)
	if value-low <= layerEpsilon {
		return [3]float32{value, value, value}
	}
	least, greatest := extremes(l)
	var saturation float32
	if greatest != 0 {
		saturation = (greatest - least) / greatest
	}
	ratio := saturation * value / (value - low)
	offset := (1 - ratio) * value
	return [3]float32{float32(i[0]*ratio) + offset, float32(i[1]*ratio) + offset, float32(i[2]*ratio) + offset}
}

// colorLayer has the hue and the saturation of the layer with the lightness of the backdrop (HSL).
func colorLayer(i, l [3]float32) [3]float32 {
	low, high := extremes(i)
	least, greatest := extremes(l)
	below, above := (low+high)/2, (least+greatest)/2
	if above <= layerEpsilon && above >= -layerEpsilon || 1-above <= layerEpsilon && 1-above >= -layerEpsilon {
		return [3]float32{below, below, below}
	}
	room := min(below, 1-below)
	ratio := room / min(above, 1-above)
	var offset float32
	if below > 0.5 {
		offset = 1 - 2*room
	}
	if above > 0.5 {
		offset += 2*room - ratio
	}
	return [3]float32{float32(l[0]*ratio) + offset, float32(l[1]*ratio) + offset, float32(l[2]*ratio) + offset}
}

func luminance(c [3]float32) float32 {
	return float32(c[0]*0.2224884) + float32(c[1]*0.71690369) + float32(c[2]*0.06060791)
}

// luminosityLayer has the luminance of the layer with the color of the backdrop.
func luminosityLayer(i, l [3]float32) [3]float32 {
	below, above := luminance(i), luminance(l)
	if below <= layerEpsilon {
		return [3]float32{above, above, above}
	}
	ratio := above / below
	return [3]float32{i[0] * ratio, i[1] * ratio, i[2] * ratio}
}

// Blend composites a layer's pixel over a backdrop's, both linear RGB with straight alpha.
func (m LayerMode) Blend(below, layer [4]float32, opacity float32) [4]float32 {
	alpha, cover := below[3], layer[3]*opacity
	if m.clipped {
		if alpha == 0 || cover == 0 {
			return below
		}
		c := m.blended(below, layer)
		for k := range c {
			c[k] = float32(c[k]*cover) + float32(below[k]*(1-cover))
		}
		return [4]float32{c[0], c[1], c[2], alpha}
	}
	sum := cover + float32((1-cover)*alpha)
	switch {
	case cover == 0 || sum == 0:
		return [4]float32{below[0], below[1], below[2], sum}
	case alpha == 0:
		return [4]float32{layer[0], layer[1], layer[2], sum}
	}
	c, ratio := m.blended(below, layer), cover/sum
	for k := range c {
		c[k] = float32(ratio*(float32(alpha*(c[k]-layer[k]))+layer[k]-below[k])) + below[k]
	}
	return [4]float32{c[0], c[1], c[2], sum}
}

func (m LayerMode) blended(below, layer [4]float32) (out [3]float32) {
	i, l := [3]float32(below[:3]), [3]float32(layer[:3])
	if m.perceptual {
		for k := range i {
			i[k], l[k] = LinearToSRGB(i[k]), LinearToSRGB(l[k])
		}
	}
	if m.color != nil {
		out = m.color(i, l)
	} else {
		for k := range out {
			out[k] = m.channel(i[k], l[k])
		}
	}
	if m.perceptual {
		for k, v := range out {
			out[k] = SRGBToLinear(v)
		}
	}
	return out
}

// SRGBToLinear takes the transfer function of sRGB from a value, which may be below 0 and above 1.
func SRGBToLinear(v float32) float32 {
	if v <= 0.04045 {
		return v / 12.92
	}
	return float32(math.Pow(float64((v+0.055)/1.055), 2.4))
}

// LinearToSRGB applies the transfer function of sRGB.
func LinearToSRGB(v float32) float32 {
	if v <= 0.0031308 {
		return 12.92 * v
	}
	return float32(1.055*float32(math.Pow(float64(v), 1/2.4))) - 0.055
}
