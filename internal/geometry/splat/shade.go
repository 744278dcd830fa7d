package splat

import "math"

// shade makes the image and the mask of the sums.
func (l *layers) shade() (img, mask []float32) {
	n := l.o.Width * l.o.Height
	mask = make([]float32, n)
	for i, t := range l.through {
		mask[i] = 1 - t
	}
	if l.normals != nil {
		l.smoothNormals(mask)
	}
	switch l.o.Style {
	case "depth":
		img = l.depths(mask)
	case "normal":
		img = make([]float32, 3*n)
		for i := range n {
			if mask[i] <= 0.5 {
				continue
			}
			for c, sign := range [3]float32{1, -1, -1} { // OpenGL's: right, up, to the viewer
				img[3*i+c] = sign*l.normals[3*i+c]*0.5 + 0.5
			}
		}
	default:
		img = l.lit()
	}
	clip(img)
	clip(mask)
	return img, mask
}

// lit returns the colors in their light, before the background.
func (l *layers) lit() []float32 {
	key := vec{-0.4, -0.7, -0.6}
	key = key.times(1 / key.length())
	linear := l.o.Style == "color"
	img := l.colors
	for i, t := range l.through {
		light := float32(1)
		switch {
		case l.o.Style == "clay": // a key light from the upper left, and ambient light
			n := l.normals[3*i : 3*i+3]
			h := min(max(0.5*(n[0]*float32(key[0])+n[1]*float32(key[1])+n[2]*float32(key[2]))+0.5, 0), 1)
			light = 0.35 + 0.65*h*h
		case l.o.Headlight > 0:
			k := float32(l.o.Headlight)
			light = 1 - 0.6*k + 0.6*k*min(max(-l.normals[3*i+2], 0), 1)
		}
		b := l.o.background(i)
		for c := range 3 {
			v := b[c]
			if linear {
				v = toLinear(v)
			}
			v = img[3*i+c]*light + t*v
			if linear {
				v = toSRGB(v)
			}
			img[3*i+c] = v
		}
	}
	return img
}

// depths returns near as bright, far as dark, and 0 where nothing is.
func (l *layers) depths(mask []float32) []float32 {
	lo, hi := float32(math.Inf(1)), float32(math.Inf(-1))
	for i, m := range mask {
		l.depth[i] /= max(m, 1e-6)
		if m > 0.5 {
			lo, hi = min(lo, l.depth[i]), max(hi, l.depth[i])
		}
	}
	img := make([]float32, 3*len(mask))
	for i, m := range mask {
		if m > 0.5 {
			v := (hi - l.depth[i]) / max(hi-lo, 1e-6)
			img[3*i], img[3*i+1], img[3*i+2] = v, v, v
		}
	}
	return img
}

// smoothNormals blurs the normals, which differ from Gaussian to Gaussian, and gives them length 1.
func (l *layers) smoothNormals(mask []float32) {
	const sigma = 1.2
	blurred := blur(l.normals, l.o.Width, l.o.Height, 3, sigma)
	cover := blur(mask, l.o.Width, l.o.Height, 1, sigma)
	for i := range cover {
		n := blurred[3*i : 3*i+3]
		w := max(cover[i], 1e-6)
		n[0], n[1], n[2] = n[0]/w, n[1]/w, n[2]/w
		length := max(float32(math.Sqrt(float64(n[0]*n[0]+n[1]*n[1]+n[2]*n[2]))), 1e-6)
		n[0], n[1], n[2] = n[0]/length, n[1]/length, n[2]/length
	}
	l.normals = blurred
}

// blur convolves channels of an image with a Gaussian; outside is 0.
func blur(in []float32, w, h, channels int, sigma float64) []float32 {
	r := max(1, int(math.RoundToEven(3*sigma)))
	kernel := make([]float32, 2*r+1)
	sum := float32(0)
	for i := range kernel {
		kernel[i] = float32(math.Exp(-0.5 * float64((i-r)*(i-r)) / (sigma * sigma)))
		sum += kernel[i]
	}
	across := make([]float32, len(in))
	out := make([]float32, len(in))
	pass := func(to, from []float32, at, end, step int) {
		for i := range end {
			for k := max(0, i-r); k <= min(end-1, i+r); k++ {
				f := kernel[k-i+r] / sum
				for c := range channels {
					to[at+i*step+c] += f * from[at+k*step+c]
				}
			}
		}
	}
	for y := range h {
		pass(across, in, y*w*channels, w, channels)
	}
	for x := range w {
		pass(out, across, x*channels, h, w*channels)
	}
	return out
}

func toLinear(c float32) float32 {
	if c <= 0.04045 {
		return c / 12.92
	}
	return float32(math.Pow((float64(c)+0.055)/1.055, 2.4))
}

func toSRGB(c float32) float32 {
	if c <= 0.0031308 {
		return c * 12.92
	}
	return float32(1.055*math.Pow(float64(c), 1/2.4) - 0.055)
}
