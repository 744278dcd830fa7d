package codec

// fancyRow writes row y of LimitedYUV as RGB with alpha 255, equal to libwebp's fancy upsampling.
func (f *Frame) fancyRow(y int, to []byte) {
	img := f.YUV
	_, rows := f.chromaSize()
	near, far := y/2, (y-1)/2
	if y%2 == 1 {
		far = min(y/2+1, rows-1)
	}
	at, other := near*img.CStride, max(far, 0)*img.CStride
	nearU, farU, nearV, farV := img.Cb[at:], img.Cb[other:], img.Cr[at:], img.Cr[other:]
	luma := img.Y[y*img.YStride:]
	edge := func(n, o []byte, i int) int { return (3*int(n[i]) + int(o[i]) + 2) >> 2 }
	limitedColor(to, luma[0], edge(nearU, farU, 0), edge(nearV, farV, 0))
	for i := 1; i <= (f.Width-1)/2; i++ {
		leftU, rightU := fancyPair(nearU, farU, i)
		leftV, rightV := fancyPair(nearV, farV, i)
		limitedColor(to[4*(2*i-1):], luma[2*i-1], leftU, leftV)
		limitedColor(to[4*2*i:], luma[2*i], rightU, rightV)
	}
	if last := f.Width - 1; last%2 == 1 {
		limitedColor(to[4*last:], luma[last], edge(nearU, farU, last/2), edge(nearV, farV, last/2))
	}
}

// fancyPair are the chroma values of the two pixels between samples i-1 and i of the nearer of two rows.
func fancyPair(near, far []byte, i int) (left, right int) {
	n0, n1, f0, f1 := int(near[i-1]), int(near[i]), int(far[i-1]), int(far[i])
	sum := n0 + n1 + f0 + f1 + 8
	return ((sum+2*(n1+f0))>>3 + n0) >> 1, ((sum+2*(n0+f1))>>3 + n1) >> 1
}

// limitedColor converts a color as libwebp does, in 14 bits.
func limitedColor(to []byte, luma byte, u, v int) {
	high := func(v, factor int) int { return v * factor >> 8 }
	clip := func(v int) byte { return byte(max(0, min(v>>6, 255))) }
	l := high(int(luma), 19077)
	to[0] = clip(l + high(v, 26149) - 14234)
	to[1] = clip(l - high(u, 6419) - high(v, 13320) + 8708)
	to[2] = clip(l + high(u, 33050) - 17685)
	to[3] = 255
}
